//! The words of the schema: what a domain allows in SQL (`sql/tables`), an enum is in Rust, with the same words in the
//! same order. A test compares them with each other and with the manual. A word that is none of them is an error with
//! its value, never a default.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A word that this program does not know: the schema is newer, or something else wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{word:?} is no {what} that this rowcall knows; there are {known}")]
pub struct UnknownWord {
    /// What the word should name.
    pub what: &'static str,
    /// The word.
    pub word: String,
    /// The words there are.
    pub known: String,
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident, $what:literal, { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in the order of the domain.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// What it means, as the manual prints it.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                let meaning = match self {
                    $(Self::$variant => concat!($($doc),+),)+
                };
                meaning.trim_start()
            }

            /// What the word means to this program; an error if it is none of these.
            pub fn parse(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { what: $what, word: word.to_owned(), known: [$($word),+].join(", ") }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// How an attempt or a job ended: the domain `rowcall.outcome`. What follows from each is in `rowcall_internal.outcomes()`.
    Outcome, "outcome", {
        /// The task did its work.
        Succeeded = "SUCCEEDED",
        /// The task said so, or its exit code did.
        TaskFailed = "TASK_FAILED",
        /// It passed a deadline, and Rowcall stopped it.
        TimedOut = "TIMED_OUT",
        /// It could not be launched or was taken away, by no fault of the task.
        RunnerFailed = "RUNNER_FAILED",
        /// It is not known how it ended.
        Lost = "LOST",
        /// Stopped because a person or a program asked for it.
        Cancelled = "CANCELLED",
        /// The task asked to come back later.
        Snoozed = "SNOOZED",
        /// When the job was claimed, its row was gone or had moved on. Of jobs only: no attempt ends so.
        Obsolete = "OBSOLETE",
    }
}

impl Outcome {
    /// Whether it tells of something that went wrong.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.is_retryable() || self == Self::Cancelled
    }

    /// Whether it counts against `max_attempts`.
    #[must_use]
    pub fn spends_attempt(self) -> bool {
        matches!(self, Self::TaskFailed | Self::TimedOut)
    }

    /// Whether `retry_on` may name it.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::TaskFailed | Self::RunnerFailed | Self::TimedOut | Self::Lost)
    }
}

words! {
    /// Where a job is that is not settled: the domain `rowcall.job_state`.
    JobState, "job state", {
        /// A dispatcher may claim it.
        Pending = "pending",
        /// It becomes pending at its time.
        Waiting = "waiting",
        /// It cannot run as things are; its reason names what to change.
        Blocked = "blocked",
        /// It has an attempt.
        Running = "running",
    }
}

words! {
    /// Where attempts run: the domain `rowcall.runner`.
    RunnerName, "runner", {
        /// A program on the dispatcher's machine.
        Process = "process",
        /// A container of a Docker engine.
        Docker = "docker",
        /// A task of ECS.
        Ecs = "ecs",
        /// An invocation of a Lambda function.
        Lambda = "lambda",
    }
}

words! {
    /// Why an attempt ended: the domain `rowcall.cause`. Decided together with the outcome.
    Cause, "cause", {
        /// The program ended, and its exit code decides.
        ExitCode = "exit_code",
        /// The program ended with exit code 0, and its task demands a report.
        NoReport = "no_report",
        /// The task reported its end.
        Reported = "reported",
        /// The program gave its row a status itself.
        RowMoved = "row_moved",
        /// The function answered with an error.
        Error = "error",
        /// The program, or a child process of it, was killed because memory ran out.
        OutOfMemory = "out_of_memory",
        /// The machine, the engine or Spot capacity under it was taken away.
        Reclaimed = "reclaimed",
        /// It was stopped outside of Rowcall, for example in the runner's own console.
        StoppedOutside = "stopped_outside",
        /// Its image could not be pulled.
        Image = "image",
        /// The runner had no room for it.
        NoCapacity = "no_capacity",
        /// The runner refused or could not start it, for another reason.
        NotStarted = "not_started",
        /// It did not run within its launch timeout.
        LaunchTimeout = "launch_timeout",
        /// It ran longer than its timeout.
        TimedOut = "timed_out",
        /// It sent no heartbeat within its heartbeat timeout.
        NoHeartbeat = "no_heartbeat",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// A user moved its row on, and its task is to be stopped then (`on_moved`).
        MovedOn = "moved_on",
        /// It is gone, or out of sight, and its end was not seen.
        Lost = "lost",
    }
}

impl Cause {
    /// The outcome of an attempt that was stopped for this cause; an error for a word that is no cause of a stop.
    pub fn outcome_of_stop(self) -> Result<Outcome, UnknownWord> {
        match self {
            Self::LaunchTimeout => Ok(Outcome::RunnerFailed),
            Self::TimedOut | Self::NoHeartbeat => Ok(Outcome::TimedOut),
            Self::Cancelled | Self::MovedOn => Ok(Outcome::Cancelled),
            _ => Err(UnknownWord {
                what: "cause of a stop",
                word: self.as_str().to_owned(),
                known: Self::STOPS.map(Self::as_str).join(", "),
            }),
        }
    }

    /// Causes for which an attempt is stopped; the constraint `stop_cause_is_one_of_a_stop` has the same.
    pub const STOPS: [Self; 5] =
        [Self::LaunchTimeout, Self::TimedOut, Self::NoHeartbeat, Self::Cancelled, Self::MovedOn];
}

words! {
    /// What a task has said of its end: the domain `rowcall.report`.
    ReportKind, "report", {
        /// `task_succeed`
        Succeeded = "succeeded",
        /// `task_fail`
        Failed = "failed",
        /// `task_snooze`
        Snoozed = "snoozed",
        /// `task_fail` of the kind `runner`
        RunnerFailed = "runner_failed",
    }
}

words! {
    /// Who decides that an attempt without a report was a success: the domain `rowcall.completion`.
    Completion, "completion", {
        /// Exit code 0 is success.
        Exit = "exit",
        /// Only a report is.
        Report = "report",
    }
}

words! {
    /// Who gives a row its running status: the domain `rowcall.status_running_by`.
    StatusRunningBy, "status_running_by", {
        /// The dispatcher, when it claims the job.
        Rowcall = "rowcall",
        /// The program, which finds its rows by their status.
        Task = "task",
    }
}

words! {
    /// What becomes of a task whose row a user moves on: the domain `rowcall.on_moved`.
    OnMoved, "on_moved", {
        /// It runs to its end, which the row does not hear of.
        Finish = "finish",
        /// It is stopped.
        Stop = "stop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_an_error_with_its_value() {
        let error = Outcome::parse("PAUSED").unwrap_err();
        assert!(error.to_string().starts_with("\"PAUSED\" is no outcome that this rowcall knows"), "{error}");
        assert!(JobState::parse("").is_err() && ReportKind::parse("Succeeded").is_err());
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Ok(*outcome));
        }
    }

    #[test]
    fn only_causes_of_a_stop_have_an_outcome_of_their_own() {
        for cause in Cause::ALL {
            assert_eq!(cause.outcome_of_stop().is_ok(), Cause::STOPS.contains(cause), "{cause}");
        }
        assert!(Cause::ExitCode.outcome_of_stop().unwrap_err().to_string().contains("exit_code"));
    }
}
