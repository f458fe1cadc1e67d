//! Of which tasks the launches get no answer: an engine, a region or the way to it is away. Jobs of such a task stay in the queue, where
//! another dispatcher may have them, and spend no `launch_timeout`; one at a time is tried. It is known by task and not by runner, because
//! two tasks of one runner may be meant for two regions, and only one of these may be away.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::database::locked;
use crate::dispatcher::pace::jittered;

/// A task is out of reach after so many calls in a row without an answer: single ones get lost everywhere.
const AWAY_AFTER: u32 = 3;

/// The time between two tries doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of each task.
#[derive(Debug, Default)]
pub struct Reach {
    silent: Mutex<HashMap<String, Silence>>,
    /// In drain mode the dispatcher sees to all jobs itself, and ends with the last.
    keeps_all: bool,
}

#[derive(Debug)]
struct Silence {
    /// Calls in a row without an answer, until they were enough.
    calls: u32,
    /// Jobs that were tried since.
    tries: u32,
    /// One was claimed, and has still to be called.
    is_tried: bool,
    /// When the next job may be tried.
    next_try: Instant,
}

impl Silence {
    fn is_away(&self) -> bool {
        self.calls >= AWAY_AFTER
    }

    fn rest(&mut self, now: Instant) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(10)).min(LONGEST_PAUSE);
        self.tries += 1;
        self.next_try = now + jittered(pause);
    }
}

impl Reach {
    /// Of a dispatcher that leaves to others what it cannot launch, or keeps all.
    pub fn new(keeps_all: bool) -> Self {
        Self { keeps_all, ..Self::default() }
    }

    /// Whether all tasks are in reach, as nearly always.
    pub fn is_whole(&self) -> bool {
        locked(&self.silent).is_empty()
    }

    /// One job of those that may be tried was claimed: no other is for a while.
    pub fn tried(&self, now: Instant) {
        for silence in
            locked(&self.silent).values_mut().filter(|silence| silence.is_away() && now >= silence.next_try)
        {
            silence.rest(now);
            silence.is_tried = true;
        }
    }

    /// Whether the next attempt of this task is the one that was claimed to try: it is, once.
    pub fn is_for_trial(&self, task: &str) -> bool {
        locked(&self.silent).get_mut(task).is_some_and(|silence| std::mem::take(&mut silence.is_tried))
    }

    /// How long until the next may be tried; none where all are in reach. What may be tried already waits for room, and not for time.
    pub fn next_try(&self, now: Instant) -> Option<Duration> {
        let all = locked(&self.silent);
        let rest = |silence: &Silence| silence.next_try.saturating_duration_since(now);
        all.values().filter(|silence| silence.is_away()).map(rest).filter(|rest| !rest.is_zero()).min()
    }

    /// The parameters were edited: a task may be meant for another place now.
    pub fn forget(&self) {
        locked(&self.silent).clear();
    }

    /// A call for this task had no answer. Says whether the task is out of reach from now on.
    pub fn silent(&self, task: &str, now: Instant) -> bool {
        if self.keeps_all {
            return false;
        }
        let mut all = locked(&self.silent);
        let silence = all.entry(task.to_owned()).or_insert(Silence {
            calls: 0,
            tries: 0,
            is_tried: false,
            next_try: now,
        });
        // What was called at the same time says nothing new.
        if silence.is_away() {
            return false;
        }
        silence.calls += 1;
        let is_away = silence.is_away();
        if is_away {
            silence.rest(now);
        }
        is_away
    }

    /// A call for this task had an answer, whichever. Says whether the task was out of reach before.
    pub fn answered(&self, task: &str) -> bool {
        locked(&self.silent).remove(task).is_some_and(|silence| silence.is_away())
    }

    /// Whether this task is out of reach.
    pub fn is_away(&self, task: &str) -> bool {
        locked(&self.silent).get(task).is_some_and(Silence::is_away)
    }

    /// Whether this task is out of reach, and it is not yet time to try again.
    pub fn rests(&self, task: &str, now: Instant) -> bool {
        locked(&self.silent).get(task).is_some_and(|silence| silence.is_away() && now < silence.next_try)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_away_after_three_silent_calls_in_a_row() {
        let (reach, now) = (Reach::default(), Instant::now());
        for _ in 0..2 {
            assert!(!reach.silent("load", now));
            assert!(!reach.silent("load", now));
            assert!(!reach.answered("load"), "two are chance");
        }
        assert!(!reach.silent("load", now));
        assert!(!reach.silent("load", now));
        assert!(reach.silent("load", now));
        assert!(!reach.silent("load", now));
        assert!(reach.is_away("load") && !reach.is_away("scan"), "others are not meant");
        assert!(reach.answered("load"));
        assert!(!reach.is_away("load"));
    }

    #[test]
    fn tries_come_less_often_and_never_end() {
        let (reach, now) = (Reach::default(), Instant::now());
        for _ in 0..AWAY_AFTER {
            reach.silent("load", now);
        }
        assert!(reach.rests("load", now));
        assert!(!reach.rests("load", now + FIRST_PAUSE * 2));
        assert!(reach.next_try(now).is_some_and(|pause| pause < FIRST_PAUSE * 2));
        let mut at = now;
        for _ in 0..100 {
            at += LONGEST_PAUSE * 2;
            assert!(!reach.rests("load", at));
            assert_eq!(reach.next_try(at), None, "it waits for room: there is no time to wake at");
            reach.tried(at);
            assert!(reach.rests("load", at));
            assert!(reach.is_for_trial("load") && !reach.is_for_trial("load"), "one is called");
        }
        assert!(reach.rests("load", at + LONGEST_PAUSE / 2));
        reach.forget();
        assert!(reach.is_whole() && reach.next_try(at).is_none());
    }

    #[test]
    fn a_dispatcher_that_drains_tries_all_again() {
        let (reach, now) = (Reach::new(true), Instant::now());
        for _ in 0..10 {
            assert!(!reach.silent("load", now));
        }
    }
}
