//! The attempts this dispatcher follows, in memory. The database has them too; this is the daemon's view of
//! what it must ask runners about, and what counts against their capacity.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::runners::{Attempt, Launched};

/// One attempt being followed.
#[derive(Debug, Clone)]
pub struct Followed {
    /// What the runner knows it by.
    pub attempt: Attempt,
    /// How far it has come.
    pub progress: Progress,
    /// When somebody first wanted it to end.
    pub stopping_since: Option<Instant>,
    /// When the runner was told to stop it, and heard.
    pub told_to_stop: Option<Instant>,
    /// A launch of it is under way; cancelled when it shall end.
    launching: Option<CancellationToken>,
    /// Somebody is busy stopping it.
    stop_under_way: bool,
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// No runner has said that it took it.
    Unlaunched,
    /// A runner has it; at the stage at which it was seen last, if it could be seen.
    Starting(Option<String>),
    /// The database knows that its program runs.
    Begun,
}

impl Followed {
    /// Whether a runner has taken it.
    pub fn launched(&self) -> bool {
        self.progress != Progress::Unlaunched
    }

    fn new(attempt: Attempt, progress: Progress) -> Self {
        Self {
            attempt,
            progress,
            stopping_since: None,
            told_to_stop: None,
            launching: None,
            stop_under_way: false,
        }
    }
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

    /// Follows these from now on; no runner has heard of them.
    pub fn add(&self, attempts: impl IntoIterator<Item = Attempt>) {
        self.lock().extend(attempts.into_iter().map(|a| (a.id, Followed::new(a, Progress::Unlaunched))));
    }

    /// Follows one that another dispatcher followed.
    pub fn adopt(&self, attempt: Attempt, launched: bool, begun: bool) {
        let progress = match (launched, begun) {
            (false, _) => Progress::Unlaunched,
            (true, false) => Progress::Starting(None),
            (true, true) => Progress::Begun,
        };
        self.lock().insert(attempt.id, Followed::new(attempt, progress));
    }

    /// The runner has taken it. False if it is not followed any more.
    pub fn launched(&self, id: i64, launched: &Launched) -> bool {
        self.change(id, |followed| {
            // Written down together with the launch.
            followed.progress = if launched.begun { Progress::Begun } else { Progress::Starting(None) };
            followed.attempt.external_id = Some(launched.external_id.clone());
        })
    }

    /// The runner has it, and does not run it yet; or cannot say.
    pub fn at_stage(&self, id: i64, stage: Option<String>) {
        self.change(id, |followed| {
            if followed.progress != Progress::Begun {
                followed.progress = Progress::Starting(stage);
            }
        });
    }

    /// The database knows that its program runs.
    pub fn begun(&self, id: i64) {
        self.change(id, |followed| followed.progress = Progress::Begun);
    }

    /// Its launcher begins: none if it is not followed or shall end. The token is cancelled when it shall end, and
    /// whoever ends it waits until the launcher has left.
    pub fn launching(&self, id: i64) -> Option<CancellationToken> {
        let mut map = self.lock();
        let followed = map.get_mut(&id).filter(|f| f.stopping_since.is_none())?;
        Some(followed.launching.insert(CancellationToken::new()).clone())
    }

    /// Its launcher has left.
    pub fn launcher_left(&self, id: i64) {
        self.change(id, |followed| followed.launching = None);
    }

    /// It shall end: returns it with the time this was first noted, unless somebody is busy with it. Then
    /// [`Following::stop_tried`] must be called.
    pub fn stopping(&self, id: i64) -> Option<(Followed, Instant)> {
        let mut map = self.lock();
        let followed = map.get_mut(&id).filter(|f| !f.stop_under_way)?;
        let since = *followed.stopping_since.get_or_insert_with(Instant::now);
        if let Some(launching) = &followed.launching {
            launching.cancel();
            return None;
        }
        followed.stop_under_way = true;
        Some((followed.clone(), since))
    }

    /// Whoever was busy stopping it is done; whether the runner has been told.
    pub fn stop_tried(&self, id: i64, told: bool) {
        self.change(id, |followed| {
            followed.stop_under_way = false;
            if told {
                followed.told_to_stop.get_or_insert_with(Instant::now);
            }
        });
    }

    fn change<T>(&self, id: i64, change: impl FnOnce(&mut Followed) -> T) -> bool {
        self.lock().get_mut(&id).map(change).is_some()
    }

    /// Those that their runner has and does not run yet, with the stage.
    pub fn starting(&self) -> Vec<(i64, String)> {
        let stage = |followed: &Followed| match &followed.progress {
            Progress::Starting(Some(stage)) => Some((followed.attempt.id, stage.clone())),
            _ => None,
        };
        self.lock().values().filter_map(stage).collect()
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

    /// How many there are with this runner, and how many of them it has not taken yet.
    pub fn counts(&self, runner: &str) -> (usize, usize) {
        let map = self.lock();
        let of_runner = || map.values().filter(|f| f.attempt.request.runner == runner);
        (of_runner().count(), of_runner().filter(|f| !f.launched()).count())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Those that no runner has taken yet.
    pub fn unlaunched(&self) -> Vec<i64> {
        self.lock().values().filter(|f| !f.launched()).map(|f| f.attempt.id).collect()
    }

    /// All ids.
    pub fn ids(&self) -> Vec<i64> {
        self.lock().keys().copied().collect()
    }

    /// Those that a runner has taken, and whether each has begun.
    pub fn launched_on(&self, runner: &str) -> (Vec<Attempt>, Vec<bool>) {
        self.lock()
            .values()
            .filter(|f| f.launched() && f.attempt.request.runner == runner)
            .map(|f| (f.attempt.clone(), f.progress == Progress::Begun))
            .unzip()
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
