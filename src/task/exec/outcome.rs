//! What the program's end means, in the words of the report.

use humantime::format_duration;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::around::Failure;
use super::program::{How, ProgramEnd};
use crate::job::telling_line;
use crate::task::exit;

/// What to tell the database, and this process' exit code.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The program did its work, with this result.
    Succeeded(Option<Value>),
    /// It did not, or cannot show it.
    Failed {
        /// For a person.
        message: String,
        /// Exit code and output.
        detail: Value,
        /// Whether it may go better another time.
        retry: bool,
        /// What to leave with.
        exit_code: i32,
    },
}

impl Outcome {
    /// A failure that is not the program's own.
    pub fn failed(failure: Failure) -> Self {
        let Failure { message, retry } = failure;
        Self::Failed { message, detail: Value::Null, retry, exit_code: exit::REFUSED }
    }

    /// It was stopped before or after its program ran.
    pub fn stopped(signal: Signal) -> Self {
        let message = format!("stopped by signal {signal}");
        Self::Failed { message, detail: Value::Null, retry: true, exit_code: 128 + signal as i32 }
    }

    /// Of a program that ended so.
    pub fn of(
        end: &ProgramEnd,
        result: Result<Option<Value>, String>,
        no_retry: &[i32],
        secrets: &[String],
    ) -> Self {
        let exit_code = end.exit_code();
        if exit_code == 0 {
            return match (result, end.told) {
                (Ok(result), None) => Self::Succeeded(result),
                (Ok(Some(result)), Some(_)) => Self::Succeeded(Some(result)),
                // A program that ends well because it was told to has not done its work, unless it shows a result.
                (Ok(None), Some(_)) => {
                    Self::Failed { message: what(end), detail: Value::Null, retry: true, exit_code }
                }
                (Err(message), _) => Self::failed(Failure { message, retry: false }),
            };
        }
        let output = end.kept.tail.masked(secrets);
        let message = telling_line(&output).map_or(what(end), |line| format!("{}: {line}", what(end)));
        // A program that was told to stop did not end of its own accord, whatever its exit code says.
        let retry = end.told.is_some() || !no_retry.contains(&exit_code);
        Self::Failed {
            message,
            detail: json!({ "exit_code": exit_code, "output": output }),
            retry,
            exit_code,
        }
    }
}

/// How it ended, for a person.
pub fn what(end: &ProgramEnd) -> String {
    let ended = match &end.how {
        How::Code(code) => format!("exit code {code}"),
        How::Signal(number) => format!("signal {}", name(*number)),
        How::NotRun(_, why) => return why.clone(),
        How::Unseen(why) => format!("an end that could not be seen: {why}"),
    };
    match (end.told, end.killed_after) {
        (Some(told), Some(after)) => {
            format!("stopped by signal {told}, killed after {}", format_duration(after))
        }
        (Some(told), None) if end.how == How::Signal(told as i32) => format!("stopped by signal {told}"),
        (Some(told), None) => format!("stopped by signal {told}, then {ended}"),
        (None, _) if matches!(end.how, How::Signal(_)) => format!("ended by {ended}"),
        (None, _) => ended,
    }
}

fn name(number: i32) -> String {
    Signal::try_from(number).map_or(number.to_string(), |signal| signal.to_string())
}
