//! What goes wrong with one call, in the order in which the calls come.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::wire::Refusal;

/// One call's fate. Whatever is not said here happens as on AWS.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing goes wrong with this one; the next may be meant.
    None,
    /// Nothing is done, and this is the answer.
    Error(Refusal),
    /// Done, but this is the answer.
    DoneThenError(Refusal),
    /// Nothing is done; the connection is reset.
    Reset,
    /// Done; the connection is reset before the answer.
    DoneThenReset,
    /// Waits for a permit before anything is done; a client that gives up leaves nothing behind.
    Hold(Arc<Semaphore>),
    /// Done, then waits for a permit before it answers.
    DoneThenHold(Arc<Semaphore>),
    /// Done, then 200 with a body that is no JSON.
    Garbage,
    /// Done, then this body.
    Body(Vec<u8>),
    /// Done, and the answer has this value at this JSON pointer, or lacks what was there.
    Spoiled { at: String, value: Option<Value> },
    /// `RunTask`: nothing is launched, and the answer is 200 with these words in `failures`.
    Failures { reason: String, detail: Option<String>, ghost: Ghost },
    /// `RunTask`: launched, but so many `DescribeTasks` answer MISSING.
    Missing(u32),
    /// `RunTask`: launched, but so many `DescribeTasks` have it in neither list.
    Absent(u32),
    /// `RunTask`: launched, but so many `ListTasks` leave it out.
    Unlisted(u32),
}

/// The task that a launch with `failures` leaves behind all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ghost {
    /// There is none.
    Never,
    /// It exists before the answer is sent.
    AtOnce,
    /// So many later calls, of whatever action, do not find it yet.
    AfterCalls(u32),
    /// Only `let_ghosts_appear` makes it one.
    WhenTold,
}

impl Fault {
    /// A plain error.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Error(Refusal::new(status, code, message))
    }

    /// The throttle that every SDK knows.
    pub fn throttled() -> Self {
        Self::error(400, "ThrottlingException", "Rate exceeded")
    }

    /// EC2 throttled ECS, and ECS calls it an invalid parameter.
    pub fn throttled_in_disguise() -> Self {
        Self::Error(Refusal::invalid(
            "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
        ))
    }

    /// The same in EC2's other words.
    pub fn request_limit_in_disguise() -> Self {
        Self::Error(Refusal::invalid(
            "Error retrieving security group information for [sg-1]: Request limit exceeded. \
             (ErrorCode: RequestLimitExceeded)",
        ))
    }

    /// Of AWS's own making, before anything was done.
    pub fn server_error() -> Self {
        Self::error(500, "ServerException", "Service Unavailable. Please try again later.")
    }

    /// The same, but it was done.
    pub fn done_then_server_error() -> Self {
        Self::DoneThenError(Refusal::new(
            500,
            "ServerException",
            "Service Unavailable. Please try again later.",
        ))
    }

    /// `failures` with this reason, and no task.
    pub fn failures(reason: &str) -> Self {
        Self::failures_but(reason, Ghost::Never)
    }

    /// `failures` with this reason, but a task.
    pub fn failures_but(reason: &str, ghost: Ghost) -> Self {
        Self::Failures { reason: reason.to_owned(), detail: None, ghost }
    }

    /// Lambda's 429 with one of its reasons.
    pub fn too_many_requests(reason: &str, retry_after: u32) -> Self {
        let mut refusal = Refusal::new(429, "TooManyRequestsException", "Rate Exceeded.")
            .with("Reason", json!(reason))
            .with("retryAfterSeconds", json!(retry_after.to_string()));
        refusal.retry_after = Some(retry_after);
        Self::Error(refusal)
    }
}
