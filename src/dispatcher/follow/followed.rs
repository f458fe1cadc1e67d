//! What a dispatcher knows of one attempt that it follows.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::job::Cause;
use crate::runners::{Attempt, Launched};

/// One attempt being followed.
#[derive(Debug, Clone)]
// Each bool is a fact of its own.
#[allow(clippy::struct_excessive_bools)]
pub struct FollowedAttempt {
    /// What the runner knows it by.
    pub attempt: Arc<Attempt>,
    /// How far it has come.
    pub progress: Progress,
    /// That it must end.
    pub stopping: Option<Box<WantedStop>>,
    /// Since when another session has kept its stop from being written down.
    pub(super) held_since: Option<Instant>,
    /// When the runner was told to stop it, and heard.
    pub told_to_stop: Option<Instant>,
    /// A launch of it is under way; cancelled when it must end, or is not followed any more.
    pub(super) launching: Option<CancellationToken>,
    /// Since when it has a slot of its runner; none while it waits for one.
    pub(super) in_slot_since: Option<Instant>,
    /// It waits for no slot any more, and goes back to the queue.
    pub(super) goes_back: bool,
    /// Its runner was asked about it: an adopted one may have ended long ago.
    pub(super) observed: bool,
    /// A stopper is busy with it.
    pub(super) stop_under_way: bool,
    /// It has ended, and is not settled yet: it takes no room of its runner any more.
    pub(super) ended: bool,
    /// What its runner said when it took it, and when, until the recorder writes that down.
    pub(super) unnoted: Option<Box<(Launched, Instant)>>,
    /// The recorder has left its launch to the settler.
    pub(super) left_to_settler: bool,
    /// A program holds it in the database, so that it could not be adopted there: it is followed all the same.
    pub is_borrowed: bool,
    /// The launch key that the database has of it, where that is none.
    pub(super) known_as: Option<String>,
}

/// That an attempt must end.
#[derive(Debug, Clone)]
pub struct WantedStop {
    /// When this was first noted.
    pub since: Instant,
    /// For a person.
    pub reason: String,
    /// Of a stop that could not be written down: the settler must know it all the same.
    pub unwritten: Option<Cause>,
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// No runner has said that it took it; with what held up the latest try.
    Unlaunched(Option<String>),
    /// A runner has it; at the stage at which it was seen last, if it could be seen.
    Starting(Option<String>),
    /// The database knows that its program runs.
    Begun,
}

impl FollowedAttempt {
    /// Whether a runner has taken it.
    pub fn is_launched(&self) -> bool {
        !matches!(self.progress, Progress::Unlaunched(_))
    }

    pub(super) fn new(attempt: Attempt, progress: Progress) -> Self {
        Self {
            attempt: Arc::new(attempt),
            progress,
            stopping: None,
            held_since: None,
            told_to_stop: None,
            launching: None,
            in_slot_since: None,
            goes_back: false,
            observed: false,
            stop_under_way: false,
            ended: false,
            unnoted: None,
            left_to_settler: false,
            is_borrowed: false,
            known_as: None,
        }
    }
}
