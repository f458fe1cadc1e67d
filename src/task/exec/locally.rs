//! The program alone, with a developer's directories and without a database: everything happens as for an attempt,
//! and the report is printed.

use serde_json::Value;

use super::around::Around;
use super::beats::Beats;
use super::children::Children;
use super::outcome::Outcome;
use super::place::Place;
use super::progress::Progress;
use super::report::Ended;
use super::{Files, Options, Run};
use crate::job::JobId;
use crate::task::Started;
use crate::task::contract::variable;
use crate::task::exit::{self, complain};
use crate::task::files::Local;
use crate::task::signals::Signals;

/// Runs, and returns the exit code for this process.
pub async fn run(options: &Options, local: Local) -> i32 {
    let place = Place::find();
    let files = match Files::new(options, place.as_ref()) {
        Ok(files) => files,
        Err(problem) => return complain(exit::USAGE, problem),
    };
    let progress = Progress::new(files.progress.clone());
    let mut around = match Around::new(options, Some(local), progress.saying.clone()) {
        Ok(around) => around,
        Err(problem) => return complain(exit::USAGE, problem),
    };
    let children = Children::adopt();
    let signals = Signals::listen();
    let mut beats = Beats::new(None, progress, options.heartbeat_interval);
    let mut run = Run { options, files: &files, beats: &mut beats, signals, children };
    let ended = run.program(&mut around, &nobody(), files.environment()).await;
    let code = tell(ended);
    around.clean_up().await;
    code
}

/// Prints the result as the row would get it, or says why there is none; returns the exit code.
pub fn tell(ended: Ended) -> i32 {
    match ended {
        Ended::Over(over) => complain(exit::OVER, over),
        Ended::Here { outcome: Outcome::Succeeded(result), .. } => {
            if let Some(result) = result {
                println!("{result}");
            }
            0
        }
        Ended::Here { outcome: Outcome::Failed { message, retry, exit_code, .. }, .. } => {
            let retry = if retry { "it would be tried again" } else { "it would not be tried again" };
            complain(exit_code, format_args!("{message} ({retry})"))
        }
    }
}

/// In the place of an attempt.
fn nobody() -> Started {
    let number = |name| variable(name).and_then(|text| text.parse().ok());
    Started {
        job: JobId::new(number("ROWCALL_JOB").unwrap_or(0)),
        attempt: number("ROWCALL_ATTEMPT").map_or(1, |attempt: i64| attempt as i32),
        task: String::new(),
        source_table: None,
        row_key: Value::Null,
        row: None,
        values: Value::Null,
    }
}
