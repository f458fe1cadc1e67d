//! What RunTask's answer means.

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskOutput};

use super::reasons;
use crate::runners::aws::{Fault, Kind};

/// The answer, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This task was started, by this call or by an earlier one with the same token.
    Launched(String),
    /// The token was used by a call that looked different.
    Conflict,
    /// Nothing was started: too much to do.
    Busy(String),
    /// Nothing was started: AWS could not be reached.
    Away(String),
    /// It may have been started.
    Unclear(String),
    /// Nothing was started.
    Refused {
        /// For a person.
        reason: String,
        /// Whether a new attempt may fare better.
        retryable: bool,
        /// AWS says the same of `failures[]`, but a task may appear all the same.
        certain: bool,
    },
}

/// The tasks that an earlier call with the same token has started, if this call was refused for that.
pub fn conflicting_tasks(
    answer: &Result<RunTaskOutput, SdkError<RunTaskError, HttpResponse>>,
) -> Option<Vec<String>> {
    match answer.as_ref().err()?.as_service_error()? {
        RunTaskError::ConflictException(conflict) => Some(conflict.resource_ids().to_vec()),
        _ => None,
    }
}

/// Understands it.
pub fn understand(answer: Result<RunTaskOutput, Fault>, conflict: Option<Vec<String>>) -> Answer {
    match answer {
        Ok(output) => {
            if let Some(arn) = output.tasks().first().and_then(|task| task.task_arn()) {
                return Answer::Launched(arn.to_owned());
            }
            let Some(failure) = output.failures().first() else {
                return Answer::Unclear("RunTask answered with neither a task nor a failure".to_owned());
            };
            let reason = failure.reason().unwrap_or("a failure without a reason");
            let detail = failure.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            Answer::Refused {
                reason: format!("RunTask: {reason}{detail}"),
                retryable: reasons::may_be_placed_later(reason),
                certain: false,
            }
        }
        Err(fault) => match (fault.kind, conflict) {
            (_, Some(tasks)) => tasks.into_iter().next().map_or(Answer::Conflict, Answer::Launched),
            (Kind::Throttled, _) => Answer::Busy(format!("RunTask: {fault}")),
            (Kind::NotSent, _) => Answer::Away(format!("RunTask: {fault}")),
            (Kind::Unclear, _) => Answer::Unclear(format!("RunTask: {fault}")),
            (Kind::Refused, _) => Answer::Refused {
                reason: format!("RunTask: {fault}"),
                retryable: reasons::passes(&fault.code, &fault.message),
                certain: true,
            },
        },
    }
}
