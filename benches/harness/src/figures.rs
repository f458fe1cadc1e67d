//! What all parts of the adapter count together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::CreationError;
use tokio::sync::watch;

use crate::latencies::Latencies;

/// Jobs in the database that are not over.
#[derive(Debug, Clone, Copy)]
pub struct Depths {
    /// No replica has claimed them, and their time has come.
    pub due: u64,
    pub running: u64,
    /// They failed, and their time comes again.
    pub waiting: u64,
    pub all: u64,
}

/// Since this process began.
pub struct Figures {
    enqueued: AtomicU64,
    completed: AtomicU64,
    /// One INSERT, with its tries.
    pub insert: Latencies,
    /// The same for each of its rows.
    pub insert_per_row: Latencies,
    /// From just before the INSERT to the start of the work.
    pub pickup: Latencies,
    /// From just before the INSERT until the row is PROCESSED in the database.
    pub end_to_end: Latencies,
    /// The latest look, where this process looks.
    pub depths: watch::Sender<Option<Depths>>,
}

impl Figures {
    /// Nothing yet.
    pub fn new() -> Result<Self, CreationError> {
        Ok(Self {
            enqueued: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            insert: Latencies::new()?,
            insert_per_row: Latencies::new()?,
            pickup: Latencies::new()?,
            end_to_end: Latencies::new()?,
            depths: watch::Sender::new(None),
        })
    }

    /// So many rows are committed, by one INSERT.
    pub fn inserted(&self, rows: u64, took: Duration) {
        self.enqueued.fetch_add(rows, Ordering::Relaxed);
        self.insert.note(took, 1);
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).max(1);
        self.insert_per_row.note(took / rows, rows);
    }

    /// The work of a job was done, and that is committed.
    pub fn completed(&self, end_to_end: Option<Duration>) {
        self.completed.fetch_add(1, Ordering::Relaxed);
        if let Some(took) = end_to_end {
            self.end_to_end.note(took, 1);
        }
    }

    /// Rows inserted, and jobs completed.
    pub fn counts(&self) -> (u64, u64) {
        (self.enqueued.load(Ordering::Relaxed), self.completed.load(Ordering::Relaxed))
    }
}
