//! The attempts this dispatcher follows, in memory. The database has them too; this is the daemon's view of
//! what it must ask runners about, and what counts against their capacity.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::followed::{FollowedAttempt, Progress, WantedStop};
use crate::job::{AttemptId, Cause, RunnerName};
use crate::runners::{Attempt, Launched};

/// Characters of what held up a launch that are kept: it ends in a row.
const HELD_UP_LIMIT: usize = 500;

/// A launch under way, or a way back to the queue, for as long as this lives.
pub struct Launching {
    in_flight: Arc<InFlight>,
    id: AttemptId,
    /// Cancelled when the launch is not wanted any more.
    pub unwanted: CancellationToken,
}

impl Drop for Launching {
    fn drop(&mut self) {
        self.in_flight.change(self.id, |followed| {
            followed.launching = None;
            followed.goes_back = false;
        });
    }
}

/// A stopper is busy with an attempt, for as long as this lives.
pub struct Stopping {
    in_flight: Arc<InFlight>,
    pub followed: FollowedAttempt,
    /// When its stop was first asked for.
    pub since: Instant,
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.in_flight.change(self.followed.attempt.id, |followed| followed.stop_under_way = false);
    }
}

/// All of them, by id.
#[derive(Debug, Default)]
pub struct InFlight {
    /// Each in a box: a table has room for up to twice as many as there are.
    attempts: Mutex<HashMap<AttemptId, Box<FollowedAttempt>>>,
    /// Numbers of attempts that the database does not know any more, and may give again: what such an attempt leaves behind
    /// must not be taken for another's.
    retired: Mutex<HashSet<AttemptId>>,
    /// Attempts that are over and whose launch was written down with their end, until the recorder comes to it.
    noted_with_end: Mutex<HashSet<AttemptId>>,
    /// Told whenever one leaves or is about to be launched, for those who wait for room or for the last one.
    left: Notify,
    /// Told whenever a slot of a runner may be free, for the launcher.
    slot_freed: Notify,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashMap<AttemptId, Box<FollowedAttempt>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows these from now on; no runner has heard of them.
    pub fn add(&self, attempts: impl IntoIterator<Item = Attempt>) {
        let mut map = self.lock();
        for attempt in attempts {
            // Unless the rescuer was faster, because the answer to the claim took its time.
            map.entry(attempt.id)
                .or_insert_with(|| Box::new(FollowedAttempt::new(attempt, Progress::Unlaunched(None))));
        }
    }

    /// Follows one that another dispatcher followed.
    pub fn adopt(&self, attempt: Attempt, known_as: String, launched: bool, begun: bool) {
        let progress = match (launched, begun) {
            (false, _) => Progress::Unlaunched(None),
            (true, false) => Progress::Starting(None),
            (true, true) => Progress::Begun,
        };
        let mut map = self.lock();
        // What was borrowed is its own now; that it is being stopped, and why, is known here only.
        if let Some(borrowed) = map.get_mut(&attempt.id)
            && borrowed.is_borrowed
            && borrowed.attempt.launch_key == attempt.launch_key
        {
            borrowed.is_borrowed = false;
            return;
        }
        let known_as = Some(known_as).filter(|known_as| *known_as != attempt.launch_key);
        // Otherwise it waits for its launch, and so for a slot.
        let in_slot_since = launched.then(Instant::now);
        let followed = FollowedAttempt { in_slot_since, known_as, ..FollowedAttempt::new(attempt, progress) };
        map.insert(followed.attempt.id, Box::new(followed));
    }

    /// The runner has taken it. False if it is not followed any more.
    pub fn confirm_launch(&self, id: AttemptId, launched: &Launched) -> bool {
        self.change(id, |followed| {
            // Written down together with the launch.
            followed.progress = if launched.begun { Progress::Begun } else { Progress::Starting(None) };
            Arc::make_mut(&mut followed.attempt).external_id = Some(launched.external_id.clone());
            followed.unnoted = Some(Box::new((launched.clone(), Instant::now())));
        })
    }

    /// The recorder is about to write down its launch. False if it has ended meanwhile: that is written down with its end.
    pub fn notes_launch(&self, id: AttemptId) -> bool {
        let mut map = self.lock();
        if self.noted_with_end.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            return false;
        }
        let Some(followed) = map.get_mut(&id) else { return true };
        if followed.ended && followed.unnoted.is_some() {
            followed.left_to_settler = true;
            return false;
        }
        followed.unnoted = None;
        true
    }

    /// The settler has written down these launches. The recorder may not have come to them yet.
    pub fn launches_noted(&self, ids: &[AttemptId]) {
        let map = self.lock();
        let comes_yet = |id: &&AttemptId| {
            map.get(id).is_some_and(|followed| followed.unnoted.is_some() && !followed.left_to_settler)
        };
        let mut noted = self.noted_with_end.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(ids.iter().filter(comes_yet));
    }

    /// A launch that no recorder writes down, and how long ago it was: the end came before.
    pub fn unnoted_launch(&self, id: AttemptId) -> Option<(Launched, Duration)> {
        let (launched, at) = *self.lock().get(&id)?.unnoted.clone()?;
        Some((launched, at.elapsed()))
    }

    /// A launch was not taken, or perhaps not; and will be tried again.
    pub fn held_up(&self, id: AttemptId, by: &str) {
        self.change(id, |followed| {
            if let Progress::Unlaunched(held_up) = &mut followed.progress {
                *held_up = Some(by.chars().filter(|c| *c != '\0').take(HELD_UP_LIMIT).collect());
            }
        });
    }

    /// The runner has it, and does not run it yet; or cannot say.
    pub fn at_stage(&self, id: AttemptId, stage: Option<String>) {
        self.change(id, |followed| {
            if followed.progress != Progress::Begun {
                followed.progress = Progress::Starting(stage);
            }
        });
    }

    /// The database knows that its program runs.
    pub fn begun(&self, id: AttemptId) {
        self.change(id, |followed| followed.progress = Progress::Begun);
    }

    /// Its launcher begins, and it has a slot: none if it is not followed, is launched, must end, or has a launcher. Until
    /// [`Launching`] is dropped, the stopper of the attempt waits.
    pub fn begin_launch(self: &Arc<Self>, id: AttemptId) -> Option<Launching> {
        self.begin(id, |followed| {
            followed.in_slot_since.get_or_insert_with(Instant::now);
        })
    }

    /// The same for its way back to the queue, without a slot.
    pub fn begin_give_back(self: &Arc<Self>, id: AttemptId) -> Option<Launching> {
        let begun = self.begin(id, |followed| {
            followed.goes_back = true;
            followed.in_slot_since = None;
        });
        self.slot_freed.notify_one();
        begun
    }

    fn begin(
        self: &Arc<Self>,
        id: AttemptId,
        change: impl FnOnce(&mut FollowedAttempt),
    ) -> Option<Launching> {
        let mut map = self.lock();
        let followed =
            map.get_mut(&id).filter(|f| !f.is_launched() && f.stopping.is_none() && f.launching.is_none())?;
        change(followed);
        let unwanted = followed.launching.insert(CancellationToken::new()).clone();
        self.left.notify_waiters();
        Some(Launching { in_flight: Arc::clone(self), id, unwanted })
    }

    /// Whether the database need not know it any more: it is not followed, or goes back to the queue.
    pub fn may_be_unknown(&self, id: AttemptId) -> bool {
        self.lock().get(&id).is_none_or(|followed| followed.goes_back)
    }

    /// It must end: returns it, with the time this was first noted, unless a stopper is busy with it or a launch of it
    /// has yet to leave. Until [`Stopping`] is dropped, no other stopper gets it.
    pub fn begin_stop(
        self: &Arc<Self>,
        id: AttemptId,
        reason: &str,
        unwritten: Option<Cause>,
    ) -> Option<Stopping> {
        let mut map = self.lock();
        let followed = map.get_mut(&id).filter(|f| !f.stop_under_way)?;
        let wanted = || Box::new(WantedStop { since: Instant::now(), reason: reason.to_owned(), unwritten });
        let since = followed.stopping.get_or_insert_with(wanted).since;
        if let Some(launching) = &followed.launching {
            launching.cancel();
            return None;
        }
        followed.stop_under_way = true;
        Some(Stopping { in_flight: Arc::clone(self), followed: (**followed).clone(), since })
    }

    /// It shall end before a runner has taken it; the stopper finds out what runs of it.
    pub fn shall_end(&self, id: AttemptId, reason: &str) {
        let stop =
            || Box::new(WantedStop { since: Instant::now(), reason: reason.to_owned(), unwritten: None });
        self.change(id, |followed| {
            followed.stopping.get_or_insert_with(stop);
        });
    }

    /// Of these, whose stop cannot be written down because another session holds them, those of which that has been so
    /// for longer than `limit`. The others are held no more.
    pub fn held_for(&self, limit: Duration, held: &HashSet<AttemptId>) -> HashSet<AttemptId> {
        let mut too_long = HashSet::new();
        for (id, followed) in self.lock().iter_mut() {
            if !held.contains(id) {
                followed.held_since = None;
            } else if followed.held_since.get_or_insert_with(Instant::now).elapsed() > limit {
                too_long.insert(*id);
            }
        }
        too_long
    }

    /// The stop of an attempt that could not be written down.
    pub fn unwritten_stop(&self, id: AttemptId) -> Option<(Cause, String)> {
        let map = self.lock();
        let stop = map.get(&id)?.stopping.as_ref()?;
        Some((stop.unwritten?, stop.reason.clone()))
    }

    /// Those that shall end and that no runner has confirmed, with the reason. Their launcher is gone for good.
    pub fn to_give_up(&self) -> Vec<(AttemptId, String)> {
        let reason = |id: &AttemptId, followed: &FollowedAttempt| match &followed.stopping {
            Some(stop) if !followed.is_launched() => Some((*id, stop.reason.clone())),
            _ => None,
        };
        self.lock().iter().filter_map(|(id, followed)| reason(id, followed)).collect()
    }

    /// The runner has been told to stop it, and heard.
    pub fn told_to_stop(&self, id: AttemptId) {
        self.change(id, |followed| {
            followed.told_to_stop.get_or_insert_with(Instant::now);
        });
    }

    fn change<T>(&self, id: AttemptId, change: impl FnOnce(&mut FollowedAttempt) -> T) -> bool {
        self.lock().get_mut(&id).map(|followed| change(followed)).is_some()
    }

    /// Those that do not run yet, with the stage at which their runner has them, or with what holds up their launch.
    pub fn starting(&self) -> Vec<(AttemptId, String)> {
        let stage = |followed: &FollowedAttempt| match &followed.progress {
            Progress::Starting(Some(stage)) | Progress::Unlaunched(Some(stage)) => {
                Some((followed.attempt.id, stage.clone()))
            }
            _ => None,
        };
        self.lock().values().filter_map(|followed| stage(followed)).collect()
    }

    /// The runner's own name for it, once its launch is confirmed.
    pub fn external_id(&self, id: AttemptId) -> Option<String> {
        self.lock().get(&id)?.attempt.external_id.clone()
    }

    /// Whether it is followed.
    pub fn contains(&self, id: AttemptId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Stops following it.
    pub fn remove(&self, id: AttemptId) -> Option<Box<FollowedAttempt>> {
        let removed = self.lock().remove(&id);
        if let Some(launching) = removed.as_ref().and_then(|followed| followed.launching.as_ref()) {
            launching.cancel();
        }
        self.left.notify_waiters();
        self.slot_freed.notify_one();
        removed
    }

    /// It has ended, and will be settled. Says the first time which task it was of, and for how long it had its slot; not of an adopted
    /// one, of which that is not known.
    pub fn ended(&self, id: AttemptId) -> Option<(RunnerName, String, Duration)> {
        let mut map = self.lock();
        let followed = map.get_mut(&id).filter(|followed| !followed.ended)?;
        followed.ended = true;
        self.slot_freed.notify_one();
        let had_slot = followed.in_slot_since.filter(|_| !followed.attempt.in_doubt)?.elapsed();
        Some((followed.attempt.request.runner, followed.attempt.task.clone(), had_slot))
    }

    /// Follows one of another dispatcher that is gone, which a program holds in the database: it runs.
    pub fn borrow(&self, attempt: Attempt) {
        let borrowed = FollowedAttempt {
            is_borrowed: true,
            in_slot_since: Some(Instant::now()),
            ..FollowedAttempt::new(attempt, Progress::Begun)
        };
        self.lock().entry(borrowed.attempt.id).or_insert_with(|| Box::new(borrowed));
    }

    /// All of them, with the launch keys that the database has.
    pub fn launch_keys(&self) -> Vec<(AttemptId, String)> {
        let key = |f: &FollowedAttempt| f.known_as.as_ref().unwrap_or(&f.attempt.launch_key).clone();
        self.lock().iter().map(|(id, followed)| (*id, key(followed))).collect()
    }

    /// No other attempt may have this number here.
    pub fn retire(&self, id: AttemptId) {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Whether a new attempt must not have this number: one that is followed has it, or had it.
    pub fn is_taken(&self, id: AttemptId) -> bool {
        self.contains(id) || self.retired.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Those that are borrowed.
    pub fn borrowed(&self) -> Vec<AttemptId> {
        self.lock().values().filter(|f| f.is_borrowed).map(|f| f.attempt.id).collect()
    }

    /// How many there are with this runner, and how many of them it has not taken yet.
    pub fn counts(&self, runner: RunnerName) -> (usize, usize) {
        let map = self.lock();
        let of_runner =
            || map.values().filter(|f| !f.ended && !f.goes_back && f.attempt.request.runner == runner);
        (of_runner().count(), of_runner().filter(|f| !f.is_launched()).count())
    }

    /// How many slots of this runner are taken.
    pub fn slots_taken(&self, runner: RunnerName) -> usize {
        let map = self.lock();
        let is_in_slot = |f: &FollowedAttempt| f.in_slot_since.is_some() && !f.ended;
        map.values().filter(|f| f.attempt.request.runner == runner).filter(|f| is_in_slot(f)).count()
    }

    /// Whether all attempts of this runner are such, by their task and by the time for which each has had its slot.
    pub fn are_all(&self, runner: RunnerName, is_such: impl Fn(&str, Duration) -> bool) -> bool {
        let map = self.lock();
        let mut of_runner = map.values().filter(|f| !f.ended && f.attempt.request.runner == runner);
        of_runner.all(|f| {
            is_such(&f.attempt.task, f.in_slot_since.map_or(Duration::ZERO, |since| since.elapsed()))
        })
    }

    /// Waits until one leaves or is about to be launched.
    pub async fn changed(&self) {
        self.left.notified().await;
    }

    /// Waits until a slot of a runner may be free.
    pub async fn slot_freed(&self) {
        self.slot_freed.notified().await;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// All ids.
    pub fn ids(&self) -> Vec<AttemptId> {
        self.lock().keys().copied().collect()
    }

    /// Those that a runner has taken, and whether each has begun.
    pub fn launched_on(&self, runner: RunnerName) -> (Vec<Arc<Attempt>>, Vec<bool>) {
        self.lock()
            .values()
            .filter(|f| f.is_launched() && f.attempt.request.runner == runner)
            .map(|f| (Arc::clone(&f.attempt), f.progress == Progress::Begun))
            .unzip()
    }

    /// Waits until there are none.
    pub async fn emptied(&self) {
        self.until(Self::is_empty).await;
    }

    /// Their runner was asked about these.
    pub fn observed(&self, ids: impl IntoIterator<Item = AttemptId>) {
        let mut attempts = self.lock();
        for id in ids {
            if let Some(followed) = attempts.get_mut(&id) {
                followed.observed = true;
            }
        }
    }

    /// Whether the runner of this one was ever asked about it.
    pub fn is_observed(&self, id: AttemptId) -> bool {
        self.lock().get(&id).is_some_and(|followed| followed.observed)
    }

    /// Waits until no attempt of these runners is left.
    pub async fn emptied_of(&self, runners: &[RunnerName]) {
        self.until(|here| here.lock().values().all(|f| !runners.contains(&f.attempt.request.runner))).await;
    }

    /// Waits until none was claimed ahead and waits for a slot.
    pub async fn none_ahead(&self) {
        let is_ahead = |f: &FollowedAttempt| {
            f.in_slot_since.is_none() && !f.attempt.in_doubt && f.stopping.is_none() && !f.ended
        };
        self.until(|here| !here.lock().values().any(|f| is_ahead(f))).await;
    }

    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if is_so(self) {
                return;
            }
            left.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;
    use crate::parameters::LaunchSpec;
    use crate::runners::Age;

    const ID: AttemptId = AttemptId::new(1);

    fn launched() -> InFlight {
        let here = InFlight::default();
        here.add([Attempt {
            id: ID,
            job_id: JobId::new(1),
            number: 1,
            task: "task".to_owned(),
            launch_key: "key".to_owned(),
            request: Arc::new(LaunchSpec::unread(RunnerName::Docker)),
            external_id: None,
            age: Age::zero(),
            in_doubt: false,
            launch_until: None,
        }]);
        assert!(here.confirm_launch(ID, &Launched::running("name")));
        here
    }

    #[test]
    fn a_launch_is_written_down_once_by_recorder_or_settler() {
        let here = launched();
        assert!(here.notes_launch(ID), "it runs");
        here.ended(ID);
        assert!(here.unnoted_launch(ID).is_none());

        for recorder_first in [true, false] {
            let here = launched();
            here.ended(ID);
            assert!(!recorder_first || !here.notes_launch(ID));
            assert!(here.unnoted_launch(ID).is_some());
            here.launches_noted(&[ID]);
            here.remove(ID);
            assert!(recorder_first || !here.notes_launch(ID));
            assert!(here.noted_with_end.lock().unwrap().is_empty());
        }
    }
}
