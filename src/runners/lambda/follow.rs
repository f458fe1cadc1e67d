//! Invocations that this process made and that are not settled yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::job::AttemptId;

/// How far an invocation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Lambda was called and has not answered.
    Called,
    /// Lambda has the event; the function's report will tell.
    Queued,
    /// A dispatcher that is gone had made the call.
    Adopted,
    /// The call failed in a way that does not say whether the function runs.
    Doubt(String),
}

#[derive(Debug)]
struct Flight {
    stage: Stage,
    since: Instant,
    call: Option<AbortHandle>,
}

/// All of them, by attempt.
#[derive(Debug, Default)]
pub struct Follow(Mutex<HashMap<AttemptId, Flight>>);

impl Follow {
    fn lock(&self) -> MutexGuard<'_, HashMap<AttemptId, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is about to be made.
    pub fn begin(&self, id: AttemptId) {
        self.lock().insert(id, Flight { stage: Stage::Called, since: Instant::now(), call: None });
    }

    /// Made by a dispatcher that is gone; since when we know of it.
    pub fn adopted(&self, id: AttemptId) -> Instant {
        let adopted = || Flight { stage: Stage::Adopted, since: Instant::now(), call: None };
        self.lock().entry(id).or_insert_with(adopted).since
    }

    /// Who waits for its answer.
    pub fn waiting(&self, id: AttemptId, call: AbortHandle) {
        if let Some(flight) = self.lock().get_mut(&id) {
            flight.call = Some(call);
        }
    }

    /// It has come so far.
    pub fn reached(&self, id: AttemptId, stage: Stage) {
        if let Some(flight) = self.lock().get_mut(&id) {
            flight.stage = stage;
        }
    }

    /// Whether it was executed is not known. Said in the log: its row will be silent for a while.
    pub fn doubt(&self, id: AttemptId, reason: String) {
        tracing::warn!(
            attempt = id.get(),
            reason,
            "whether the function was executed is not known; waiting for its report"
        );
        self.reached(id, Stage::Doubt(reason));
    }

    /// How far it is, and since when it was under way.
    pub fn get(&self, id: AttemptId) -> Option<(Stage, Instant)> {
        self.lock().get(&id).map(|flight| (flight.stage.clone(), flight.since))
    }

    /// Its end is not waited for any more. The function, if it runs, does not notice.
    pub fn forget(&self, id: AttemptId) {
        if let Some(Flight { call: Some(call), .. }) = self.lock().remove(&id) {
            call.abort();
        }
    }

    /// Nothing runs.
    pub fn never(&self, id: AttemptId) {
        self.lock().remove(&id);
    }
}
