//! What happened, as those saw it who did it: clients, programs, AWS, and the hand that breaks things.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Line {
    pub at: Duration,
    /// The row that it is about, by the name that its client gave it; none: a fault.
    pub row: Option<String>,
    pub event: Event,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client writes the row so, and will be told what came of it.
    Written {
        what: Write,
        fate: Fate,
    },
    /// An operator acts on a job of the row.
    Operated(String),
    /// A program has begun or ended, or a task was admitted: by whom.
    Begun(Run),
    Ended(Run, i32),
    /// Something is broken.
    Fault(String),
}

/// What a client wants of its row. A write after the first raises the row's revision, by which it shows whether it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Insert { task: String },
    Again { revision: i64 },
    Move { revision: i64 },
}

/// What became of a transaction, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Committed,
    RolledBack,
    Unknown,
}

/// A program that ran for an attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    pub job: i64,
    pub attempt: i32,
    /// The name under which its runner launched it.
    pub launch: String,
}

/// All of it, in order.
pub struct Ledger {
    begun: Instant,
    lines: Mutex<Vec<Line>>,
}

impl Ledger {
    pub fn new() -> Self {
        Self { begun: Instant::now(), lines: Mutex::default() }
    }

    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn note(&self, row: &str, event: Event) {
        let line = Line { at: self.now(), row: Some(row.to_owned()), event };
        self.lines().push(line);
    }

    pub fn fault(&self, what: String) {
        let line = Line { at: self.now(), row: None, event: Event::Fault(what) };
        self.lines().push(line);
    }

    pub fn all(&self) -> Vec<Line> {
        self.lines().clone()
    }

    /// The lines of each row.
    pub fn by_row(&self) -> BTreeMap<String, Vec<Line>> {
        let mut rows: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        for line in self.lines().iter() {
            if let Some(row) = &line.row {
                rows.entry(row.clone()).or_default().push(line.clone());
            }
        }
        rows
    }

    /// The faults from one time to another.
    pub fn faults(&self, from: Duration, to: Duration) -> Vec<Line> {
        let lines = self.lines();
        lines.iter().filter(|line| line.row.is_none() && line.at >= from && line.at <= to).cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.3} s  ", self.at.as_secs_f64())?;
        match &self.event {
            Event::Written { what, fate } => write!(f, "client: {what:?}: {fate:?}"),
            Event::Operated(what) => write!(f, "operator: {what}"),
            Event::Begun(run) => {
                write!(f, "begins: job {} attempt {} ({})", run.job, run.attempt, run.launch)
            }
            Event::Ended(run, code) => {
                write!(f, "ends with {code}: job {} attempt {} ({})", run.job, run.attempt, run.launch)
            }
            Event::Fault(what) => write!(f, "fault: {what}"),
        }
    }
}
