//! One call of a function, made apart from the launch that asked for it: a function may take longer.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::operation::invoke::builders::InvokeFluentBuilder;
use tokio::sync::oneshot;

use super::answer::{self, Answer};
use super::follow::{Follow, Stage};
use super::settings::Plan;
use crate::job::{AttemptId, End};
use crate::runners::Ends;

/// A call about to be made.
pub struct Call {
    pub request: InvokeFluentBuilder,
    pub plan: Plan,
    /// Masked in whatever comes back.
    pub token: String,
    /// Bytes of a result that is kept whole.
    pub result_limit: usize,
    /// How long it may take to queue an event.
    pub queue_limit: Duration,
}

impl Call {
    /// Makes it, and tells the launch; once the launch has stopped waiting, it tells [`Follow`] or sends the end.
    pub async fn make(self, id: AttemptId, launch: oneshot::Sender<Answer>, follow: Arc<Follow>, ends: Ends) {
        if let Err(answer) = launch.send(self.answer(id).await) {
            late(id, answer, &follow, &ends);
        }
    }

    async fn answer(self, id: AttemptId) -> Answer {
        let sent = self.request.send();
        let answered = if self.plan.waits() {
            Ok(sent.await)
        } else {
            tokio::time::timeout(self.queue_limit, sent).await
        };
        match answered {
            Ok(Ok(output)) => answer::of_output(&output, &self.plan, &self.token, self.result_limit),
            Ok(Err(error)) => {
                tracing::debug!(attempt = id.get(), error = %DisplayErrorContext(&error), "the call failed");
                answer::of_error(&error)
            }
            Err(_) => Answer::Doubt(format!("no answer within {:?}", self.queue_limit)),
        }
    }
}

/// What an answer means for an attempt whose launch was confirmed before it came.
fn late(id: AttemptId, answer: Answer, follow: &Follow, ends: &Ends) {
    let end = match answer {
        Answer::Ended { request_id, end } => End { external_id: Some(request_id), ..end },
        Answer::Busy { reason, .. } | Answer::Away(reason) => End::not_started(reason, true),
        Answer::Refused { reason, retryable } => End::not_started(reason, retryable),
        Answer::Queued { .. } => return follow.reached(id, Stage::Queued),
        Answer::Doubt(reason) => return follow.doubt(id, reason),
    };
    // The receiver is gone when the daemon is on its way out.
    let _ = ends.send((id, end));
}
