//! The end is told, until it is heard or a limit is over.

use std::time::Duration;

use serde_json::Value;

use super::outcome::Outcome;
use crate::task::exit::{self, complain};
use crate::task::{Failing, ReportError, Reporter};

/// How all of it ended.
pub enum Ended {
    /// The database said that the attempt is over: there is nothing to tell.
    Over(String),
    /// There is.
    Here {
        /// What.
        outcome: Outcome,
        /// How the program ended, for those who read the log when it could not be told.
        what: String,
    },
}

impl Ended {
    /// Not by the program's own end.
    pub fn before(outcome: Outcome) -> Self {
        let what = match &outcome {
            Outcome::Failed { message, .. } => message.clone(),
            Outcome::Succeeded(_) => String::new(),
        };
        Self::Here { outcome, what }
    }
}

/// Tells the database, and decides this process' exit code.
pub async fn report(reporter: &mut Reporter, ended: Ended, limit: Duration) -> i32 {
    let (outcome, what) = match ended {
        Ended::Over(over) => return complain(exit::OVER, over),
        Ended::Here { outcome, what } => (outcome, what),
    };
    let (told, exit_code, lost) = match outcome {
        Outcome::Succeeded(result) => match reporter.succeed(result.as_ref(), limit).await {
            Err(ReportError::Refused { reason, retry }) => {
                // The work is done but its result was not taken: that is a failure with a reason, not silence.
                let message = format!("the result was refused: {reason}");
                complain(exit::REFUSED, &message);
                let told = reporter.fail(&message, &Value::Null, Failing::of_task(retry), limit).await;
                (told, exit::REFUSED, "its failure")
            }
            told => (told, 0, if result.is_some() { "its success and its result" } else { "its success" }),
        },
        Outcome::Failed { message, detail, retry, exit_code } => {
            if exit_code == exit::REFUSED {
                complain(exit_code, &message);
            }
            (reporter.fail(&message, &detail, Failing::of_task(retry), limit).await, exit_code, "its failure")
        }
    };
    match told {
        // A program that reported by itself knows best.
        Ok(()) | Err(ReportError::AlreadyReported(_)) => exit_code,
        Err(error @ ReportError::Unreachable { .. }) => {
            let what =
                format_args!("the end ({what}) was not reported, {lost} is lost to the database: {error}");
            complain(exit::UNAVAILABLE, what)
        }
        Err(error) => complain(exit::OVER, format_args!("the end ({what}) was not taken: {error}")),
    }
}
