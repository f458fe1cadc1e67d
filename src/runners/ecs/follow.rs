//! What is known of the tasks that run, and which of them to look at next. One map and no timers: a task is due
//! when its time has come, and those that are due are looked at a hundred at a time.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::timing::Timing;
use crate::job::{AttemptId, End};
use crate::runners::{Attempt, Observation};

/// Tasks that one DescribeTasks call takes.
pub const BATCH: usize = 100;

/// An end that is on its way for so long has got lost, and is looked for again.
const ENDING: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub struct Follow {
    seen: Mutex<Seen>,
    /// The last look failed, and this was said in the log.
    troubled: AtomicBool,
}

#[derive(Debug, Default)]
struct Seen {
    tasks: HashMap<AttemptId, Known>,
    by_arn: HashMap<String, AttemptId>,
}

/// What is known of a task.
#[derive(Debug)]
struct Known {
    /// What was said of it last.
    last: Observation,
    /// When to look again.
    next: Instant,
    /// Since when ECS does not know it.
    missing: Option<Instant>,
    /// The version of the last event about it.
    version: i64,
    /// Since when its end is on its way to the settler.
    ending: Option<Instant>,
    /// When this runner first heard of it.
    first: Instant,
    /// Its containers have ended, and ECS clears up after them.
    leaving: bool,
}

impl Follow {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tasks cannot be looked at. Said once, until they can.
    pub fn troubled(&self, reason: &str) {
        if self.troubled.swap(true, Ordering::Relaxed) {
            tracing::debug!(reason, "tasks cannot be followed");
        } else {
            tracing::warn!(reason, "tasks cannot be followed; trying again until they can");
        }
    }

    /// They can.
    pub fn untroubled(&self) {
        if self.troubled.swap(false, Ordering::Relaxed) {
            tracing::info!("tasks are followed again");
        }
    }

    /// Which of these to look at now: those that are due, and others where their calls have room. Indices, in the
    /// order of their time.
    pub fn due(
        &self,
        attempts: &[Arc<Attempt>],
        timing: &Timing,
        group: impl Fn(usize) -> usize,
    ) -> Vec<Vec<usize>> {
        let now = Instant::now();
        let mut seen = self.lock();
        if seen.tasks.len() > attempts.len() {
            let followed: HashSet<AttemptId> = attempts.iter().map(|a| a.id).collect();
            seen.tasks.retain(|id, _| followed.contains(id));
            let Seen { tasks, by_arn } = &mut *seen;
            by_arn.retain(|_, id| tasks.contains_key(id));
        }
        let mut candidates: Vec<(Instant, usize)> = Vec::new();
        for (i, attempt) in attempts.iter().enumerate() {
            if let Some(arn) = &attempt.external_id
                && !seen.by_arn.contains_key(arn)
            {
                seen.by_arn.insert(arn.clone(), attempt.id);
            }
            let known = seen.tasks.entry(attempt.id).or_insert_with(|| Known {
                last: Observation::Unknown("not looked at yet".to_owned()),
                next: now,
                missing: None,
                version: 0,
                ending: None,
                first: now,
                leaving: false,
            });
            // Half its time before it is due, a task may join a call that is made anyway.
            let ending = known.ending.is_some_and(|since| since.elapsed() < ENDING);
            if !ending && known.next <= now + timing.interval(attempt.age.get()) / 2 {
                candidates.push((known.next, i));
            }
        }
        candidates.sort_unstable();
        let mut calls: HashMap<usize, Vec<Vec<usize>>> = HashMap::new();
        for (next, i) in candidates {
            let calls = calls.entry(group(i)).or_default();
            match calls.last_mut().filter(|call| call.len() < BATCH) {
                Some(call) => call.push(i),
                None if next <= now => calls.push(vec![i]),
                None => {}
            }
        }
        calls.into_values().flatten().collect()
    }

    /// ECS knows it, and it has not stopped.
    pub fn lives(&self, attempt: &Attempt, observation: Observation, timing: &Timing) {
        self.note(attempt, timing, |known| {
            known.missing = None;
            known.last = observation;
        });
    }

    /// ECS knows it, and is clearing up after it.
    pub fn leaves(&self, attempt: &Attempt, timing: &Timing) {
        self.note(attempt, timing, |known| {
            known.missing = None;
            known.leaving = true;
            known.last = Observation::Running;
        });
        self.hurry(attempt.id, timing.soonest * 2);
    }

    /// Whether its containers have ended.
    pub fn is_leaving(&self, id: AttemptId) -> bool {
        self.lock().tasks.get(&id).is_some_and(|known| known.leaving)
    }

    /// It has stopped, and `observation` is its end; or another call announces its end (`ending`).
    pub fn ended(&self, attempt: &Attempt, observation: Observation, ending: bool, timing: &Timing) {
        self.note(attempt, timing, |known| {
            known.ending = ending.then(Instant::now);
            known.last = observation;
        });
    }

    /// ECS does not know it. Just after RunTask it may not know it yet; an hour after its end it has forgotten it.
    pub fn missing(&self, attempt: &Attempt, timing: &Timing) {
        self.note(attempt, timing, |known| {
            let young = known.first.elapsed() < timing.appears_within;
            let since = *known.missing.get_or_insert_with(Instant::now);
            if !young && since.elapsed() >= timing.gone_after {
                known.last = Observation::Ended(End::lost(
                    "ECS no longer knows the task: it ended more than an hour ago, and how it ended was not seen",
                ));
            } else if matches!(known.last, Observation::Unknown(_)) {
                known.last = Observation::Starting("not visible yet".to_owned());
            }
        });
        // Looked at again soon, whatever its age.
        self.hurry(attempt.id, timing.gone_after.min(timing.soonest * 5));
    }

    /// It could not be looked at.
    pub fn unknown(&self, attempt: &Attempt, reason: &str, timing: &Timing) {
        self.note(attempt, timing, |known| {
            if !matches!(known.last, Observation::Ended(_)) {
                known.last = Observation::Unknown(reason.to_owned());
            }
        });
    }

    fn note(&self, attempt: &Attempt, timing: &Timing, change: impl FnOnce(&mut Known)) {
        let interval = timing.interval(attempt.age.get());
        let jitter = rand::random_range(0.9..1.1);
        if let Some(known) = self.lock().tasks.get_mut(&attempt.id) {
            known.next = Instant::now() + interval.mul_f64(jitter);
            change(known);
        }
    }

    /// Looks at it sooner than planned.
    pub fn hurry(&self, id: AttemptId, within: Duration) {
        if let Some(known) = self.lock().tasks.get_mut(&id) {
            known.next = known.next.min(Instant::now() + within);
        }
    }

    /// An event says that something happened to a task. Events come more than once and in any order.
    pub fn hint(&self, arn: &str, version: i64) -> bool {
        let mut seen = self.lock();
        let Some(id) = seen.by_arn.get(arn).copied() else { return false };
        let Some(known) = seen.tasks.get_mut(&id).filter(|known| known.version < version) else {
            return false;
        };
        known.version = version;
        known.next = Instant::now();
        true
    }

    /// What is known of these, in the order asked.
    pub fn last(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        let seen = self.lock();
        let last = |attempt: &Arc<Attempt>| match seen.tasks.get(&attempt.id) {
            Some(known) => known.last.clone(),
            None => Observation::Unknown("not looked at yet".to_owned()),
        };
        attempts.iter().map(last).collect()
    }

    /// Whether this dispatcher follows this task.
    pub fn follows(&self, arn: &str) -> bool {
        self.lock().by_arn.contains_key(arn)
    }

    /// It is over and recorded.
    pub fn forget(&self, attempt: &Attempt) {
        let mut seen = self.lock();
        seen.tasks.remove(&attempt.id);
        if let Some(arn) = &attempt.external_id {
            seen.by_arn.remove(arn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobId, RunnerName};
    use crate::parameters::LaunchSpec;
    use crate::runners::Age;

    fn attempts(n: i64) -> Vec<Arc<Attempt>> {
        let request = Arc::new(LaunchSpec::unread(RunnerName::Ecs));
        let attempt = |id| Attempt {
            id: AttemptId::new(id),
            job_id: JobId::new(id),
            number: 1,
            task: "task".into(),
            launch_key: format!("rowcall-x-{id}"),
            request: Arc::clone(&request),
            external_id: Some(format!("arn-{id}")),
            age: Age::of(Duration::from_mins(10)),
            in_doubt: false,
            launch_until: None,
        };
        (1..=n).map(attempt).map(Arc::new).collect()
    }

    #[test]
    fn a_look_at_10000_tasks_is_100_calls_and_the_next_look_waits() {
        let (follow, timing, attempts) = (Follow::default(), Timing::default(), attempts(10_000));
        let calls = follow.due(&attempts, &timing, |_| 0);
        assert_eq!((calls.len(), calls.iter().map(Vec::len).max()), (100, Some(BATCH)));
        for i in calls.into_iter().flatten() {
            follow.lives(&attempts[i], Observation::Running, &timing);
        }
        assert!(follow.due(&attempts, &timing, |_| 0).is_empty(), "all were looked at a moment ago");
        assert!(follow.last(&attempts).iter().all(|seen| *seen == Observation::Running));
    }

    #[test]
    fn tasks_of_two_clusters_are_asked_for_apart() {
        let (follow, attempts) = (Follow::default(), attempts(150));
        let mut calls = follow.due(&attempts, &Timing::default(), |i| i % 2);
        assert_eq!(calls.len(), 2);
        assert!(calls.iter_mut().all(|call| call.iter().all(|i| i % 2 == call[0] % 2)));
    }

    #[test]
    fn an_event_counts_once_and_an_older_one_not_at_all() {
        let (follow, timing, attempts) = (Follow::default(), Timing::default(), attempts(1));
        follow.due(&attempts, &timing, |_| 0);
        follow.lives(&attempts[0], Observation::Running, &timing);
        assert!(follow.hint("arn-1", 4));
        assert_eq!(follow.due(&attempts, &timing, |_| 0).len(), 1);
        assert!(!follow.hint("arn-1", 4) && !follow.hint("arn-1", 3) && !follow.hint("arn-2", 9));
    }

    #[test]
    fn a_missing_task_is_gone_only_after_a_while_and_never_if_young() {
        let attempts = attempts(1);
        let gone = |appears_within, gone_after| {
            let (follow, timing) =
                (Follow::default(), Timing { appears_within, gone_after, ..Timing::default() });
            follow.due(&attempts, &timing, |_| 0);
            follow.missing(&attempts[0], &timing);
            follow.missing(&attempts[0], &timing);
            matches!(follow.last(&attempts)[0], Observation::Ended(_))
        };
        assert!(!gone(Duration::from_mins(5), Duration::ZERO));
        assert!(!gone(Duration::ZERO, Duration::from_mins(1)));
        assert!(gone(Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind() {
        let (follow, attempts) = (Follow::default(), attempts(2));
        follow.due(&attempts, &Timing::default(), |_| 0);
        follow.forget(&attempts[0]);
        assert!(!follow.follows("arn-1") && follow.follows("arn-2"));
        follow.due(&attempts[..0], &Timing::default(), |_| 0);
        assert!(!follow.follows("arn-2"));
    }
}
