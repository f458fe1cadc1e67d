//! What is asked of a queue.

use std::sync::OnceLock;
use std::time::Instant;

use clap::ValueEnum;
use tokio::sync::mpsc;

/// How a queue is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Setting {
    /// As fast as it gets, with the settings that its authors recommend or measure with, or the best of those tried.
    Best,
    /// Ten jobs at a time, each acknowledged in a transaction of its own (where the queue can do that).
    C10,
    /// For single jobs on an idle system: told by the database where the queue can listen, ten at a time.
    Idle,
}

/// A queue in a database.
pub trait Peer: Sized {
    /// Its name and version.
    const NAME: &'static str;
    /// Tells, as one boolean, whether a job is unfinished.
    const UNFINISHED: &'static str;
    /// A queue that would take minutes for all jobs gets so many.
    const MOST_JOBS: usize = usize::MAX;

    /// For a reader of the report.
    fn describe(setting: Setting) -> &'static str;

    /// Makes its tables in an empty database, and all of a worker that exists before it runs.
    async fn set_up(url: &str, setting: Setting) -> anyhow::Result<Self>;

    /// Adds jobs, by the fastest way it offers.
    async fn preload(&self, jobs: usize) -> anyhow::Result<()>;

    /// Adds one job; returns the time just before its commit.
    async fn add(&self) -> anyhow::Result<Instant>;

    /// The worker. Its handler calls [`handled`], and does nothing else.
    fn work(&self) -> impl Future<Output = anyhow::Result<()>> + Send + 'static;
}

static STARTS: OnceLock<mpsc::UnboundedSender<Instant>> = OnceLock::new();

/// Notes that a handler has started.
pub fn handled() {
    if let Some(starts) = STARTS.get() {
        // The receiver is gone where the measurement is over.
        let _ = starts.send(Instant::now());
    }
}

/// The starts of all handlers from now on. To be called once.
pub fn starts() -> anyhow::Result<mpsc::UnboundedReceiver<Instant>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    STARTS.set(sender).map_err(|_| anyhow::anyhow!("one measurement for each process"))?;
    Ok(receiver)
}
