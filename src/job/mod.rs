//! States, outcomes and what follows from them: pure, no I/O, no clock.

mod backoff;
mod retry_on;
mod settlement;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use backoff::delay;
pub use retry_on::RetryOn;
pub use settlement::{Facts, Next, RowWrite, Settlement, settle};

/// How an attempt ended; the words of `rowcall.attempts.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The task did its work.
    Succeeded,
    /// The task said so, or its exit code did.
    TaskFailed,
    /// It could not be launched or was taken away, by no fault of the task.
    RunnerFailed,
    /// Past a deadline, and stopped.
    TimedOut,
    /// Stopped because somebody asked.
    Cancelled,
    /// Nobody can say how it ended.
    Lost,
    /// The task asked to come back later.
    Snoozed,
}

impl Outcome {
    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::TaskFailed => "TASK_FAILED",
            Self::RunnerFailed => "RUNNER_FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Cancelled => "CANCELLED",
            Self::Lost => "LOST",
            Self::Snoozed => "SNOOZED",
        }
    }
}

/// What a runner saw of an attempt's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The kind of end.
    pub how: How,
    /// Exit code of the task's program, where it had one.
    pub exit_code: Option<i32>,
    /// The runner's words for it, for a person.
    pub reason: Option<String>,
    /// The tail of what the task printed.
    pub output: Option<String>,
    /// What it answered, where the runner is given an answer.
    pub result: Option<Value>,
    /// The runner's own name for it, if that became known only now.
    pub external_id: Option<String>,
}

/// The kinds of end a runner can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The program ran and ended, by itself or by a signal.
    Exited,
    /// The runner refused or could not start it; the program did not run.
    NotStarted {
        /// Whether trying again may help.
        retryable: bool,
    },
    /// It ran, and was taken away by no fault of its own.
    Interrupted {
        /// Whether trying again may help.
        retryable: bool,
    },
    /// It is gone and nobody saw it end.
    Lost,
    /// It answered, and the answer is an error: the reason has its words.
    Error,
    /// Nobody can see its end, and it may run still or have done its work: it is not tried again.
    Unseen,
}

impl End {
    fn of(how: How) -> Self {
        Self { how, exit_code: None, reason: None, output: None, result: None, external_id: None }
    }

    /// The program ended with a code.
    #[must_use]
    pub fn exited(exit_code: i32) -> Self {
        Self { exit_code: Some(exit_code), ..Self::of(How::Exited) }
    }

    /// It ended, with no more to tell than these words.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Exited) }
    }

    /// The program never ran.
    #[must_use]
    pub fn not_started(reason: impl Into<String>, retryable: bool) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::NotStarted { retryable }) }
    }

    /// It was taken away.
    #[must_use]
    pub fn interrupted(reason: impl Into<String>, retryable: bool) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Interrupted { retryable }) }
    }

    /// It answered with an error, in these words.
    #[must_use]
    pub fn error(words: impl Into<String>) -> Self {
        Self { reason: Some(words.into()), ..Self::of(How::Error) }
    }

    /// It may run still or have done its work, and nobody can tell.
    #[must_use]
    pub fn unseen(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Unseen) }
    }

    /// Gone without a trace.
    #[must_use]
    pub fn lost(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Lost) }
    }
}

/// What the task itself said, through the task functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// `task_succeed`
    Succeeded,
    /// `task_fail`
    Failed {
        /// For a person.
        message: String,
        /// Whether the task thinks that trying again may help.
        retry: bool,
    },
    /// `task_snooze`
    Snoozed {
        /// How long to stay away.
        delay: Duration,
        /// For a person.
        reason: Option<String>,
    },
}

/// Who decides that an attempt without a report was a success; `parameters.completion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completion {
    /// Exit code 0 is success.
    Exit,
    /// Only a report is.
    Report,
}

/// How hard a job is tried; frozen into each attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Attempts that may fail by the task's fault.
    pub max_attempts: i32,
    /// Seconds before the first retry.
    pub backoff: f64,
    /// Seconds before any retry, at most.
    pub backoff_max: f64,
    /// What counts as success.
    pub completion: Completion,
    /// Which ends are worth a retry.
    #[serde(default)]
    pub retry_on: RetryOn,
}
