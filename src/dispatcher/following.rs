//! The attempts this dispatcher follows, in memory. The database has them too; this is the daemon's view of
//! what it must ask runners about, and what counts against their capacity.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::runners::Attempt;

/// One attempt being followed.
#[derive(Debug, Clone)]
pub struct Followed {
    /// What the runner knows it by.
    pub attempt: Attempt,
    /// Whether the runner has taken it.
    pub launched: bool,
    /// When the runner was first asked to stop it.
    pub stopping_since: Option<Instant>,
}

/// All of them, by id.
#[derive(Debug, Default)]
pub struct Following {
    attempts: Mutex<HashMap<i64, Followed>>,
    /// Told whenever one leaves, for those who wait for room or for the last one.
    left: Notify,
}

impl Following {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Followed>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows these from now on.
    pub fn add(&self, attempts: impl IntoIterator<Item = (Attempt, bool)>) {
        let mut map = self.lock();
        for (attempt, launched) in attempts {
            map.insert(attempt.id, Followed { attempt, launched, stopping_since: None });
        }
    }

    /// The runner has taken it, under this name. False if it is not followed any more.
    pub fn launched(&self, id: i64, external_id: &str) -> bool {
        let mut map = self.lock();
        let Some(followed) = map.get_mut(&id) else { return false };
        followed.launched = true;
        followed.attempt.external_id = Some(external_id.to_owned());
        true
    }

    /// Notes that it is being stopped; returns it with the time it was first noted.
    pub fn stopping(&self, id: i64) -> Option<(Followed, Instant)> {
        let mut map = self.lock();
        let followed = map.get_mut(&id)?;
        let before = followed.clone();
        let since = *followed.stopping_since.get_or_insert_with(Instant::now);
        Some((before, since))
    }

    /// Whether it is followed.
    pub fn contains(&self, id: i64) -> bool {
        self.lock().contains_key(&id)
    }

    /// Stops following it.
    pub fn remove(&self, id: i64) -> Option<Followed> {
        let removed = self.lock().remove(&id);
        self.left.notify_waiters();
        removed
    }

    /// How many there are with this runner.
    pub fn count(&self, runner: &str) -> usize {
        self.lock().values().filter(|f| f.attempt.request.runner == runner).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Those that no runner has taken yet.
    pub fn unlaunched(&self) -> Vec<i64> {
        self.lock().values().filter(|f| !f.launched).map(|f| f.attempt.id).collect()
    }

    /// All ids.
    pub fn ids(&self) -> Vec<i64> {
        self.lock().keys().copied().collect()
    }

    /// Those that a runner has taken.
    pub fn launched_on(&self, runner: &str) -> Vec<Attempt> {
        self.lock()
            .values()
            .filter(|f| f.launched && f.attempt.request.runner == runner)
            .map(|f| f.attempt.clone())
            .collect()
    }

    /// Waits until there are none.
    pub async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.is_empty() {
                return;
            }
            left.await;
        }
    }
}
