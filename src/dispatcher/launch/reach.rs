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

/// What a silence means for the attempt that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// It is called again, as any that failed.
    Again,
    /// Its task is out of reach from now on.
    AwayNow,
    /// Its task still is.
    StillAway,
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

    /// How long until one may be tried; none where all are in reach.
    pub fn next_try(&self, now: Instant) -> Option<Duration> {
        let all = locked(&self.silent);
        all.values()
            .filter(|silence| silence.is_away())
            .map(|silence| silence.next_try.saturating_duration_since(now))
            .min()
    }

    /// The parameters were edited: a task may be meant for another place now.
    pub fn forget(&self) {
        locked(&self.silent).clear();
    }

    /// A call for this task had no answer.
    pub fn silent(&self, task: &str, now: Instant) -> Means {
        if self.keeps_all {
            return Means::Again;
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
            return Means::StillAway;
        }
        silence.calls += 1;
        if !silence.is_away() {
            return Means::Again;
        }
        silence.rest(now);
        Means::AwayNow
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
            assert_eq!(reach.silent("load", now), Means::Again);
            assert_eq!(reach.silent("load", now), Means::Again);
            assert!(!reach.answered("load"), "two are chance");
        }
        assert_eq!(reach.silent("load", now), Means::Again);
        assert_eq!(reach.silent("load", now), Means::Again);
        assert_eq!(reach.silent("load", now), Means::AwayNow);
        assert_eq!(reach.silent("load", now), Means::StillAway);
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
            assert_eq!(reach.silent("load", now), Means::Again);
        }
    }
}
