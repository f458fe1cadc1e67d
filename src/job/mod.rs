//! States, outcomes and what follows from them: pure, no I/O, no clock.

mod backoff;
mod ids;
mod launched;
mod retry_on;
mod settlement;
mod states;
mod telling_line;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use backoff::{LONGEST, delay};
pub use ids::{AttemptId, DispatcherId, JobId};
pub use launched::{Launched, LogPlace, storable};
pub use retry_on::RetryOn;
pub use settlement::{Facts, Next, RowWrite, Settlement, settle};
pub use states::{TRANSITIONS, Transition, state_diagram};
pub use telling_line::telling_line;
pub use words::{
    Cause, Completion, JobState, OnMoved, Outcome, ReportKind, RunnerName, StatusRunningBy, UnknownWord,
};

/// What a runner saw of an attempt's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The kind of end.
    pub how: How,
    /// Why it came to that, as far as the runner can tell.
    pub cause: Cause,
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
    /// How long ago it was, if no dispatcher was there to see it.
    pub ago: Option<Duration>,
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
    /// It is gone, and its end was not seen.
    Lost,
    /// It answered, and the answer is an error: the reason has its words.
    Error,
    /// Its end cannot be seen, and it may run still or have done its work: it is not tried again.
    Unseen,
}

impl End {
    fn of(how: How, cause: Cause) -> Self {
        Self {
            how,
            cause,
            exit_code: None,
            reason: None,
            output: None,
            result: None,
            external_id: None,
            ago: None,
        }
    }

    /// The program ended with a code.
    #[must_use]
    pub fn exited(exit_code: i32) -> Self {
        Self { exit_code: Some(exit_code), ..Self::of(How::Exited, Cause::ExitCode) }
    }

    /// It ended, with no more to tell than these words.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Exited, Cause::ExitCode) }
    }

    /// The same for another cause.
    #[must_use]
    pub fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// The program never ran.
    #[must_use]
    pub fn not_started(reason: impl Into<String>, retryable: bool) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::NotStarted { retryable }, Cause::NotStarted) }
    }

    /// It was taken away.
    #[must_use]
    pub fn interrupted(reason: impl Into<String>, retryable: bool) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Interrupted { retryable }, Cause::Reclaimed) }
    }

    /// It answered with an error, in these words.
    #[must_use]
    pub fn error(words: impl Into<String>) -> Self {
        Self { reason: Some(words.into()), ..Self::of(How::Error, Cause::Error) }
    }

    /// It may run still or have done its work, which cannot be told.
    #[must_use]
    pub fn unseen(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Unseen, Cause::Lost) }
    }

    /// Gone without a trace.
    #[must_use]
    pub fn lost(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(How::Lost, Cause::Lost) }
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
        /// Whether the failure is not the task's own.
        by_runner: bool,
    },
    /// `task_snooze`
    Snoozed {
        /// How long to stay away.
        delay: Duration,
        /// For a person.
        reason: Option<String>,
    },
}

/// How hard a job is tried; frozen into each attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Attempts that may fail by the task's fault.
    pub max_attempts: i32,
    /// Seconds before the first retry.
    pub backoff: f64,
    /// Seconds before any retry, at most.
    pub backoff_max: f64,
    /// Which ends are worth a retry.
    pub retry_on: RetryOn,
}

impl Policy {
    /// For an attempt of which it is not known how hard to try.
    #[must_use]
    pub fn never_again() -> Self {
        Self { max_attempts: 1, backoff: 1.0, backoff_max: 1.0, retry_on: RetryOn(Vec::new()) }
    }
}
