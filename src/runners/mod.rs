//! Where attempts run.
//!
//! A runner takes an attempt (`launch`), can be asked what became of it (`observe`), can stop it, and forgets
//! it once its end is in the database. The dispatcher decides everything else. A new runner implements
//! [`Runner`], is made in [`enabled`], and must pass the conformance suite in `tests/conformance.rs`.

pub mod process;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::job::{End, Policy};
use crate::settings::Settings;

/// What to run, rendered and frozen: the same bytes at every repetition of a launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Name of the runner.
    pub runner: String,
    /// Program, image, task definition, function.
    pub target: String,
    /// The runner's own settings.
    pub settings: Value,
    /// Arguments.
    pub command: Vec<String>,
    /// Variables, without the contract's own.
    pub environment: BTreeMap<String, String>,
    /// Handed out by `task_start`.
    pub values: Value,
    /// How hard to try.
    pub policy: Policy,
    /// Where status and result go.
    pub write_back: WriteBack,
}

/// The part of a request that the write-back needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteBack {
    /// A jsonb column, if results are written.
    pub result_column: Option<String>,
    /// Statuses in which the row is still this attempt's to write.
    pub expected: Vec<String>,
    /// Status after success; none leaves it.
    pub status_succeeded: Option<String>,
    /// Status after final failure; none leaves it.
    pub status_failed: Option<String>,
}

/// An attempt as runners see it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id; what [`Ends`] and [`Runner::observe`] speak of.
    pub id: i64,
    /// Its job.
    pub job_id: i64,
    /// Its number within the job, from 1.
    pub number: i32,
    /// Its task.
    pub task: String,
    /// The launch key: the same for every repetition of this launch, never used for another.
    pub launch_key: String,
    /// What to run.
    pub request: Arc<Request>,
    /// The runner's own name for it, once launched.
    pub external_id: Option<String>,
}

/// Why a launch did not succeed.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// Nothing runs, for certain.
    #[error("{reason}")]
    Refused {
        /// For a person.
        reason: String,
        /// Whether a new attempt may fare better.
        retryable: bool,
    },
    /// Something may run: the launch is repeated with the same key until the launch deadline.
    #[error("{0}")]
    Ambiguous(String),
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// It has not ended.
    Running,
    /// It has.
    Ended(End),
    /// The runner could not be asked just now.
    Unknown(String),
}

/// Where runners that notice an end themselves say so, by attempt id. Saying it twice is harmless.
pub type Ends = mpsc::UnboundedSender<(i64, End)>;

/// A place where attempts run.
#[async_trait]
pub trait Runner: Send + Sync {
    /// The word in `parameters.runner`.
    fn name(&self) -> &'static str;

    /// Attempts it takes at the same time.
    fn capacity(&self) -> usize;

    /// Whether only a dispatcher on the same machine can see its attempts.
    fn bound_to_host(&self) -> bool;

    /// Refuses a request that its guard rails or its form forbid, naming the rule; the job becomes blocked.
    fn check(&self, request: &Request) -> Result<(), String>;

    /// Starts an attempt with the contract's variables (they hold the token, and are not logged), and returns
    /// its external id. Called again with the same launch key, it finds what the first call started.
    async fn launch(&self, attempt: &Attempt, contract: &[(String, String)]) -> Result<String, LaunchError>;

    /// What became of these attempts, in the order asked.
    async fn observe(&self, attempts: &[Attempt]) -> Vec<Observation>;

    /// Asks an attempt to end, and makes it after the runner's grace. Its end is seen later.
    async fn stop(&self, attempt: &Attempt, reason: &str) -> Result<(), String>;

    /// The end is in the database; whatever was kept for it can go.
    async fn forget(&self, attempt: &Attempt);

    /// Forgets what nobody else did, because a dispatcher died at the wrong moment: whatever is old and has none
    /// of these launch keys, those of all open attempts.
    async fn sweep(&self, _open: &HashSet<String>) {}
}

/// The runners of a dispatcher, by name.
#[derive(Clone, Default)]
pub struct Runners {
    by_name: BTreeMap<&'static str, Arc<dyn Runner>>,
}

impl Runners {
    /// With one more.
    #[must_use]
    pub fn with(mut self, runner: Arc<dyn Runner>) -> Self {
        self.by_name.insert(runner.name(), runner);
        self
    }

    /// The runner with this name, if it is enabled here.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Runner>> {
        self.by_name.get(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Runner>> {
        self.by_name.values()
    }

    /// Their names: those whose attempts any dispatcher can see, and those bound to a machine.
    #[must_use]
    pub fn names(&self) -> (Vec<String>, Vec<String>) {
        let (bound, free): (Vec<_>, Vec<_>) = self.by_name.values().partition(|r| r.bound_to_host());
        let names = |list: Vec<&Arc<dyn Runner>>| list.iter().map(|r| r.name().to_owned()).collect();
        (names(free), names(bound))
    }
}

impl std::fmt::Debug for Runners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.by_name.keys()).finish()
    }
}

/// The runners that the settings enable.
pub fn enabled(settings: &Settings, ends: &Ends) -> anyhow::Result<Runners> {
    let mut runners = Runners::default();
    if settings.runners.process.enabled {
        runners =
            runners.with(Arc::new(process::ProcessRunner::new(&settings.runners.process, ends.clone())?));
    }
    Ok(runners)
}
