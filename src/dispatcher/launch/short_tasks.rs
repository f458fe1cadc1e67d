//! Which tasks run so briefly that the time between an end and the next start counts: theirs may be claimed ahead ([`super::stock`]).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use crate::database::locked;
use crate::job::RunnerName;

/// So many of a task's latest runs are looked at: an odd number, so that one of them is the median.
const LATEST: usize = 15;

/// With fewer runs nothing is known of a task.
const FEWEST: usize = 5;

/// What this dispatcher has seen of the runs of its tasks.
#[derive(Debug, Default)]
pub struct ShortTasks {
    ran: Mutex<HashMap<String, VecDeque<Duration>>>,
    /// Of these runners the next job in turn is of another kind, and waits for a free slot: nothing must be claimed ahead of it.
    others_are_next: Mutex<BTreeSet<RunnerName>>,
}

impl ShortTasks {
    /// A run of this task took so long. Of tasks that are no longer known nothing is kept.
    pub fn note(&self, task: &str, ran: Duration, is_known: impl Fn(&str) -> bool) {
        let mut all = locked(&self.ran);
        if !all.contains_key(task) {
            all.retain(|name, _| is_known(name));
        }
        let latest = all.entry(task.to_owned()).or_default();
        latest.push_back(ran);
        if latest.len() > LATEST {
            latest.pop_front();
        }
    }

    /// Whether it is known that the median run of this task is shorter than that.
    pub fn contain(&self, task: &str, short: Duration) -> bool {
        let all = locked(&self.ran);
        let Some(latest) = all.get(task).filter(|latest| latest.len() >= FEWEST) else { return false };
        2 * latest.iter().filter(|ran| **ran < short).count() > latest.len()
    }

    /// The next job of this runner is of another kind. Until its next look with a free slot, nothing is claimed ahead.
    pub fn others_are_next(&self, runner: RunnerName) {
        locked(&self.others_are_next).insert(runner);
    }

    /// This runner has a free slot, for whatever is next.
    pub fn has_a_free_slot(&self, runner: RunnerName) {
        locked(&self.others_are_next).remove(&runner);
    }

    /// Whether jobs of this runner may be claimed ahead, as far as its latest look knows.
    pub fn are_next(&self, runner: RunnerName) -> bool {
        !locked(&self.others_are_next).contains(&runner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    #[test]
    fn a_task_is_short_by_its_median_run() {
        let tasks = ShortTasks::default();
        let note = |millis| tasks.note("task", Duration::from_millis(millis), |_| true);
        (0..4).for_each(|_| note(1));
        assert!(!tasks.contain("task", SHORT), "little is known of it");
        (0..3).for_each(|_| note(5000));
        assert!(tasks.contain("task", SHORT), "4 of 7 were short");
        note(5000);
        assert!(!tasks.contain("task", SHORT), "4 of 8 were");
        (0..LATEST).for_each(|_| note(999));
        assert!(tasks.contain("task", SHORT), "what was long ago does not count");
        assert!(!tasks.contain("other", SHORT));
        tasks.note("other", SHORT, |task| task != "task");
        assert!(!tasks.contain("task", SHORT), "it is known no more");
    }
}
