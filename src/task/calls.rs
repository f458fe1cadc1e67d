//! The task functions as commands, for shell scripts: each is one call and leaves.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use humantime::parse_duration;
use serde_json::Value;

use super::exit::{self, complain};
use super::{Failing, ReportError, Reporter, Started, contract, executor, whereabouts};

/// Of a result or a detail that is read from a file; the database takes less.
const LONGEST: u64 = 4 << 20;

/// One call.
#[derive(Debug, clap::Subcommand)]
pub enum Call {
    /// Start the attempt that ROWCALL_TOKEN names, and print its job and row as JSON
    ///
    /// The object has job, attempt, task, source_table, row_key, row and values. May be repeated in the same
    /// container; anywhere else the attempt is refused from then on, with exit code 77.
    Start {
        /// Print only the value at this path, such as row.attributes.path; a string without its quotes
        #[arg(long, value_name = "PATH")]
        get: Option<String>,
        /// How long to try to reach the database
        #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
        limit: Duration,
    },
    /// Send a heartbeat, and how far the task is
    Progress {
        /// From 0 to 1
        #[arg(value_parser = fraction)]
        fraction: Option<f64>,
        /// What it is doing
        message: Option<String>,
        /// How long to try to reach the database
        #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
        limit: Duration,
    },
    /// Report success
    Succeed {
        /// The result, as JSON
        #[arg(long, value_name = "JSON", value_parser = json, conflicts_with = "result_file")]
        result: Option<Value>,
        /// The file that holds the result, as JSON; - is standard input
        #[arg(long, value_name = "PATH")]
        result_file: Option<PathBuf>,
        /// How long to try to reach the database
        #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
        limit: Duration,
    },
    /// Report a failure
    Fail {
        /// What went wrong, for a person
        message: String,
        /// The job ends at once, without a retry
        #[arg(long)]
        no_retry: bool,
        /// What has failed: the task, or something beside it (runner), which spends no attempt
        #[arg(long, value_name = "KIND", value_parser = ["task", "runner"], default_value = "task")]
        kind: String,
        /// More about it, as JSON
        #[arg(long, value_name = "JSON", value_parser = json)]
        detail: Option<Value>,
        /// How long to try to reach the database
        #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
        limit: Duration,
    },
    /// Not ready yet: end this attempt without spending it, and try again after this time
    Snooze {
        /// Such as 10m or 1h 30m
        #[arg(value_name = "DURATION", value_parser = parse_duration)]
        snooze: Duration,
        /// Why, for a person
        reason: Option<String>,
        /// How long to try to reach the database
        #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
        limit: Duration,
    },
}

/// Makes the call, and returns the exit code for this process.
pub async fn run(call: Call) -> i32 {
    let mut reporter = match contract::reporter() {
        Ok((reporter, _)) => reporter,
        Err(problem) => return complain(exit::USAGE, problem),
    };
    let done = match call {
        Call::Start { get, limit } => match start(&mut reporter, limit).await {
            Ok(started) => return show(&started, get.as_deref()),
            Err(error) => Err(error),
        },
        Call::Progress { fraction, message, limit } => {
            reporter.progress(fraction, message.as_deref(), limit).await
        }
        Call::Succeed { result, result_file, limit } => {
            let result = match result_file.as_deref().map(read_json).transpose() {
                Ok(read) => read.or(result),
                Err(problem) => return complain(exit::REFUSED, format_args!("the result {problem}")),
            };
            reporter.succeed(result.as_ref(), limit).await
        }
        Call::Fail { message, no_retry, kind, detail, limit } => {
            let how = Failing { retry: !no_retry, by_runner: kind == "runner" };
            reporter.fail(&message, &detail.unwrap_or(Value::Null), how, limit).await
        }
        Call::Snooze { snooze, reason, limit } => reporter.snooze(snooze, reason.as_deref(), limit).await,
    };
    match done {
        Ok(()) => 0,
        Err(error @ ReportError::Unreachable { .. }) => complain(exit::UNAVAILABLE, error),
        Err(error @ ReportError::Refused { .. }) => complain(exit::REFUSED, error),
        Err(error) => complain(exit::OVER, error),
    }
}

async fn start(reporter: &mut Reporter, limit: Duration) -> Result<Started, ReportError> {
    let task_arn = whereabouts::task_arn().await;
    reporter.start(&executor::shared(), task_arn.as_deref(), limit).await
}

fn show(started: &Started, path: Option<&str>) -> i32 {
    let whole = match serde_json::to_value(started) {
        Ok(whole) => whole,
        Err(error) => return complain(exit::REFUSED, error),
    };
    let Some(path) = path else {
        println!("{whole}");
        return 0;
    };
    match at(&whole, path) {
        Some(Value::String(text)) => println!("{text}"),
        Some(value) => println!("{value}"),
        None => return complain(exit::REFUSED, format_args!("there is no {path}, or it is null")),
    }
    0
}

/// What stands at a path such as `row.attributes.parts.0`; null counts as nothing.
pub(super) fn at<'a>(whole: &'a Value, path: &str) -> Option<&'a Value> {
    let found = path.split('.').try_fold(whole, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    });
    found.filter(|value| !value.is_null())
}

fn read_json(path: &Path) -> Result<Value, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read from {}: {error}", path.display());
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > LONGEST {
        return Err(format!("in {} has more than {LONGEST} bytes; 1 MiB is allowed", path.display()));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("in {} is not JSON: {error}", path.display()))
}

fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction));
    fraction.ok_or_else(|| "the form is a number from 0 to 1, such as 0.42".to_owned())
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let whole = json!({"row": {"parts": ["a", {"b": 2}], "none": null}});
        assert_eq!(at(&whole, "row.parts.0"), Some(&json!("a")));
        assert_eq!(at(&whole, "row.parts.1.b"), Some(&json!(2)));
        for nothing in ["row.none", "row.parts.2", "row.parts.x", "column", "row.parts.0.a"] {
            assert_eq!(at(&whole, nothing), None, "{nothing}");
        }
    }
}
