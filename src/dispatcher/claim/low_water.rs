//! Where a look at the queue begins. While a snapshot is held for long, the entries of jobs that are over stay in the index by which
//! jobs are claimed, and a look that begins at its head walks over all of them. So a busy dispatcher remembers how far it has come
//! with each task, and begins there.
//!
//! What comes in behind that mark is found all the same: by the first look of each second, which begins at the head, or less
//! often where such a look takes long. Jobs come in behind it when their writer's transaction began long before it committed, or when
//! they were put back. [`MARGIN`] is for the transactions of usual length. Until [`BUSY`] jobs are claimed in a second, every look
//! begins at the head.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::database::{ClaimedJob, Since, locked};
use crate::job::RunnerName;

/// From one look at the head to the next.
const FULL_LOOK: Duration = Duration::from_secs(1);

/// Looks at the head take one part in so many of the time: with 300,000 dead entries each takes 130 ms.
const SHARE: u32 = 10;

/// From one look at the head to the next, however long it takes: so long may a job wait that came in behind the mark.
const LONGEST: Duration = Duration::from_secs(5);

/// With so many jobs claimed since such a look the head is worth avoiding.
const BUSY: usize = 200;

/// Seconds by which the mark stays behind the latest job where a look has found them all: a job is due since its transaction
/// began, and those of other writers may have begun earlier.
const MARGIN: f64 = 1.0;

/// Behind no job: since when one is due, in seconds of the Unix epoch, and its id.
pub const HEAD: (f64, i64) = (f64::NEG_INFINITY, 0);

/// How far this dispatcher has come with each task.
#[derive(Debug, Default)]
pub struct LowWater {
    /// The tasks of each runner are looked for by themselves.
    runners: Mutex<HashMap<RunnerName, Second>>,
}

/// Since the latest look at the head.
#[derive(Debug, Default)]
struct Second {
    /// When the next is due. None before the first.
    end: Option<Instant>,
    /// When the look at the head began, until it is over.
    looking_since: Option<Instant>,
    claimed: usize,
    /// So many were claimed in the one before that marks are used.
    was_busy: bool,
    marks: HashMap<String, (f64, i64)>,
}

impl Second {
    fn is_busy(&self) -> bool {
        self.was_busy || self.claimed >= BUSY
    }
}

impl LowWater {
    /// For each of these tasks of a runner, behind which job a look now begins.
    pub fn since<'a>(&self, runner: RunnerName, tasks: impl Iterator<Item = &'a str>, now: Instant) -> Since {
        let mut runners = locked(&self.runners);
        let second = runners.entry(runner).or_default();
        if second.end.is_none_or(|end| now >= end) {
            let was_busy = second.claimed >= BUSY;
            *second = Second {
                end: Some(now + FULL_LOOK),
                looking_since: Some(now),
                was_busy,
                ..Second::default()
            };
        }
        let mark = |task| {
            let mark = second.marks.get(task).filter(|_| second.is_busy());
            mark.copied().unwrap_or(HEAD)
        };
        tasks.map(mark).unzip()
    }

    /// The look is over.
    pub fn looked(&self, runner: RunnerName, now: Instant) {
        if let Some(second) = locked(&self.runners).get_mut(&runner)
            && let Some(since) = second.looking_since.take()
        {
            let pause = (now.saturating_duration_since(since) * SHARE).clamp(FULL_LOOK, LONGEST);
            second.end = Some(now + pause);
        }
    }

    /// These were claimed; whether they were all that there were behind the mark.
    pub fn note(&self, runner: RunnerName, taken: &[(String, f64, i64)], is_all: bool) {
        let mut runners = locked(&self.runners);
        let second = runners.entry(runner).or_default();
        second.claimed += taken.len();
        for (task, due, id) in taken {
            let reached = if is_all { (due - MARGIN, 0) } else { (*due, *id) };
            match second.marks.get_mut(task) {
                Some(mark) if *mark < reached => *mark = reached,
                Some(_) => {}
                None => {
                    second.marks.insert(task.clone(), reached);
                }
            }
        }
    }

    /// The next look of each runner begins at the head.
    pub fn forget(&self) {
        locked(&self.runners).clear();
    }

    /// How long a sleep may last after looks of which one may have begun behind a job. None if all began at the head.
    pub fn sleep_limit(&self, now: Instant) -> Option<Duration> {
        let runners = locked(&self.runners);
        let using_marks = runners.values().filter(|second| second.is_busy() && !second.marks.is_empty());
        using_marks.filter_map(|second| second.end).map(|end| end.saturating_duration_since(now)).min()
    }
}

/// What [`LowWater::note`] must know of these jobs.
pub fn reached(taken: &[ClaimedJob]) -> Vec<(String, f64, i64)> {
    taken.iter().map(|job| (job.task.clone(), job.due, job.job_id.get())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNER: RunnerName = RunnerName::Docker;

    fn since(here: &LowWater, now: Instant) -> (f64, i64) {
        let (due, ids) = here.since(RUNNER, ["task"].into_iter(), now);
        here.looked(RUNNER, now);
        (due[0], ids[0])
    }

    fn claimed(here: &LowWater, jobs: usize, is_all: bool) {
        let taken: Vec<_> = (1..=jobs).map(|i| ("task".to_owned(), 100.0 + i as f64, i as i64)).collect();
        here.note(RUNNER, &taken, is_all);
    }

    #[test]
    fn a_busy_dispatcher_goes_on_where_it_was_and_looks_at_the_head_again() {
        let (here, begin) = (LowWater::default(), Instant::now());
        assert_eq!(since(&here, begin), HEAD);
        claimed(&here, BUSY - 1, false);
        assert_eq!(since(&here, begin + FULL_LOOK / 2), HEAD, "it was not known to be busy");
        claimed(&here, BUSY, false);
        assert_eq!(since(&here, begin + FULL_LOOK / 2), (100.0 + BUSY as f64, BUSY as i64));

        let second = begin + FULL_LOOK;
        assert_eq!(since(&here, second), HEAD, "each second begins at the head");
        claimed(&here, BUSY, false);
        assert_eq!(since(&here, second + FULL_LOOK / 2), (100.0 + BUSY as f64, BUSY as i64));
        assert_eq!(here.sleep_limit(second + FULL_LOOK / 2), Some(FULL_LOOK / 2));
        assert_eq!(since(&here, second + FULL_LOOK), HEAD);
        assert_eq!(here.sleep_limit(second + FULL_LOOK), None);

        claimed(&here, 1, false);
        assert!(here.sleep_limit(second + FULL_LOOK).is_some());
        here.forget();
        assert_eq!(here.sleep_limit(second + FULL_LOOK), None);
        assert_eq!(since(&here, second + FULL_LOOK), HEAD);
    }

    #[test]
    fn long_looks_at_the_head_are_made_less_often() {
        let (here, begin) = (LowWater::default(), Instant::now());
        let names = || ["task"].into_iter();
        let mut head = begin;
        for (look, pause) in [(1, 1_000), (150, 1_500), (7_000, 5_000), (1, 1_000)] {
            assert_eq!(here.since(RUNNER, names(), head).1, [HEAD.1], "{look} ms");
            let over = head + Duration::from_millis(look);
            here.looked(RUNNER, over);
            claimed(&here, BUSY, false);
            head = over + Duration::from_millis(pause);
            let before = head.checked_sub(Duration::from_millis(1)).unwrap();
            assert_eq!(here.since(RUNNER, names(), before).1, [BUSY as i64], "{look} ms");
            // One that began behind the mark says nothing of the head.
            here.looked(RUNNER, before + LONGEST);
            assert_eq!(here.sleep_limit(before), Some(Duration::from_millis(1)), "{look} ms");
        }
    }

    #[test]
    fn the_look_of_one_runner_is_none_at_the_head_of_another() {
        let (here, begin) = (LowWater::default(), Instant::now());
        since(&here, begin);
        claimed(&here, BUSY, true);
        let (_, other) = here.since(RunnerName::Process, ["other"].into_iter(), begin + FULL_LOOK);
        assert_eq!(other, [HEAD.1]);
        assert_eq!(here.sleep_limit(begin + FULL_LOOK), Some(Duration::ZERO));
    }

    #[test]
    fn a_mark_leaves_room_for_jobs_that_commit_late() {
        let (here, begin) = (LowWater::default(), Instant::now());
        since(&here, begin);
        claimed(&here, BUSY, true);
        since(&here, begin + FULL_LOOK);
        claimed(&here, BUSY, true);
        claimed(&here, 1, true);
        assert_eq!(since(&here, begin + FULL_LOOK), (100.0 + BUSY as f64 - MARGIN, 0));
    }

    #[test]
    fn a_quiet_dispatcher_always_looks_at_the_head() {
        let (here, begin) = (LowWater::default(), Instant::now());
        for second in 0..3 {
            assert_eq!(since(&here, begin + second * FULL_LOOK), HEAD);
            claimed(&here, BUSY - 1, true);
            assert_eq!(since(&here, begin + second * FULL_LOOK + FULL_LOOK / 2), HEAD);
            assert_eq!(here.sleep_limit(begin + second * FULL_LOOK), None);
        }
    }
}
