//! Where attempts run.
//!
//! A runner takes an attempt (`launch`), can be asked what became of it (`observe`), can stop it, and forgets
//! it once its end is in the database. The dispatcher decides everything else. A new runner implements
//! [`Runner`], is made in [`enabled`], and must pass the conformance suite in `tests/conformance.rs`.

mod attempt;
#[cfg(feature = "aws")]
pub mod aws;
pub mod boot_clock;
mod built;
#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "ecs")]
pub mod ecs;
#[cfg(any(feature = "docker", feature = "ecs"))]
mod exit_code;
#[cfg(any(feature = "process", feature = "docker"))]
mod in_time;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(any(feature = "process", feature = "docker"))]
mod lengths;
#[cfg(feature = "process")]
pub mod process;
#[cfg(any(feature = "process", feature = "docker", feature = "ecs", feature = "lambda"))]
mod rails;
#[cfg(any(feature = "docker", feature = "ecs", feature = "lambda"))]
mod read_settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::job::{AttemptId, Cause, End, RunnerName};
pub use crate::job::{Launched, LogPlace};
use crate::parameters::{LaunchSpec, Task};
use crate::settings::Settings;
pub use attempt::{Age, Attempt};
pub use built::{built_in, is_built_in, not_built_in};

/// Why a launch did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LaunchError {
    /// Nothing runs, for certain.
    #[error("{reason}")]
    Refused {
        /// For a person.
        reason: String,
        /// Whether a new attempt may fare better.
        retryable: bool,
        /// Why, as far as the runner can tell.
        cause: Cause,
    },
    /// Nothing runs, and the runner is only too busy: the launch is repeated with the same key.
    #[error("{0}")]
    Busy(String),
    /// Nothing runs, because the runner could not be reached. Of a task for which that is so again and again, jobs go back to the queue.
    #[error("{0}")]
    Away(String),
    /// Something may run: the launch is repeated with the same key until the launch deadline.
    #[error("{0}")]
    Ambiguous(String),
    /// Something may have run; nothing does now, and how it ended cannot be told any more.
    #[error("{0}")]
    Lost(String),
}

impl LaunchError {
    /// Nothing runs, for no cause that the runner can tell from others.
    #[must_use]
    pub fn refused(reason: impl Into<String>, retryable: bool) -> Self {
        Self::Refused { reason: reason.into(), retryable, cause: Cause::NotStarted }
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The runner has it, and its program does not run yet; in the runner's word for this stage.
    Starting(String),
    /// It has not ended.
    Running,
    /// It has.
    Ended(End),
    /// The runner could not be asked just now.
    Unknown(String),
}

/// What is found under a launch key whose launch was never confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing runs.
    Nothing,
    /// This does.
    Running(String),
}

/// Something that runs, or is kept, under a launch key of ours, and perhaps belongs to no open attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Its launch key.
    pub launch_key: String,
    /// What the runner needs to get rid of it.
    pub place: String,
}

/// Where runners that notice an end themselves say so, by attempt id. Saying it twice is harmless.
pub type Ends = mpsc::UnboundedSender<(AttemptId, End)>;

/// What the dispatcher must know about a runner to use it safely. There is no default: a new runner answers each of
/// these for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Attempts that the runner takes at the same time. The dispatcher claims no more jobs than fit, beside the `stock`.
    pub capacity: usize,
    /// Attempts of short tasks that may be claimed ahead and wait for one to end; 0 where a launch
    /// takes so long that the time from an end to the next start does not count.
    pub stock: usize,
    /// Of which tasks: those whose median run is shorter.
    pub short: Duration,
    /// How long one of these may wait, before it goes back to the queue: another dispatcher may have a free slot.
    pub stock_wait: Duration,
    /// Attempts that may wait for their launch; `usize::MAX` for any number. Jobs beyond stay in the table, where other
    /// dispatchers can claim them.
    pub backlog: usize,
    /// Only a dispatcher on the same machine sees the attempts. The attempts of a dead dispatcher then go to one on its
    /// machine, and go elsewhere, not to be launched again, once that machine has been silent for
    /// `dispatcher.lost_after`.
    pub bound_to_host: bool,
    /// A second launch with the same key finds the first one. If false, the dispatcher writes the call down before it
    /// makes it, and an adopted attempt with that note and no answer is observed instead of launched again.
    pub repeatable: bool,
    /// The runner sees an attempt end. If false, the task's report is the end of its attempt.
    pub sees_ends: bool,
    /// How long a stop may take to show its effect. After that the attempt counts as lost: no attempt may hang for ever.
    pub stop_limit: Duration,
}

/// A place where attempts run. A method with a default does nothing and claims nothing; every method whose answer the
/// dispatcher builds on is required.
#[async_trait]
pub trait Runner: Send + Sync {
    /// The word in `parameters.runner`.
    fn name(&self) -> RunnerName;

    /// What it can do, by its settings. The answer is the same for as long as the dispatcher runs.
    fn capabilities(&self) -> Capabilities;

    /// Where its attempts can be seen, if it is bound to a machine or an engine: by an id that is kept there and that no other
    /// has. A name from the settings may be given twice. Empty otherwise. It is asked once, after [`Runner::ready`].
    async fn place(&self) -> String;

    /// Shows others at the same place that the dispatcher with this label lives, for as long as this process does. Where that
    /// cannot be shown, they wait until it has been silent for long.
    fn show_life(&self, _label: &str) {}

    /// The dispatcher with this label ends in order.
    fn hide_life(&self, _label: &str) {}

    /// Whether the dispatcher with this label has shown that it lives, and is gone for certain.
    fn is_gone(&self, _label: &str) -> bool {
        false
    }

    /// Finds out what it must know before anything runs. An error keeps the dispatcher from starting.
    async fn ready(&self) -> Result<(), String>;

    /// Writes into a request what would otherwise depend on this dispatcher's settings, before it is frozen: another
    /// dispatcher may have to repeat the launch.
    fn freeze(&self, request: &mut LaunchSpec);

    /// Refuses a request that its guard rails or its form forbid, naming the rule; the job becomes blocked.
    fn check(&self, request: &LaunchSpec) -> Result<(), String>;

    /// Asks the guard rails of a frozen request, without waiting. The dispatcher asks before every launch, because another
    /// dispatcher may have claimed the job by its own rails, and any program with rights on the table may have written the
    /// request.
    fn may_launch(&self, request: &LaunchSpec) -> Result<(), String>;

    /// Asks, without starting anything, whether a request could run: what was found, or what is wrong.
    async fn probe(&self, request: &LaunchSpec) -> Result<String, String>;

    /// Waits until this attempt's launch may be called, where there is a pace to keep. It does not hold up other launches.
    async fn keep_pace(&self, _attempt: &Attempt) {}

    /// Starts an attempt with the contract's variables (they hold the token, and are not logged). Called again
    /// with the same launch key, it finds what the first call started.
    async fn launch(&self, attempt: &Attempt, contract: &[(String, String)])
    -> Result<Launched, LaunchError>;

    /// What became of these attempts, in the order asked. These are all it runs for this dispatcher.
    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation>;

    /// What runs under the key of a launch that was never confirmed and will not be repeated. The dispatcher may launch
    /// another attempt after [`Found::Nothing`], so that answer must be certain; a runner that cannot tell returns an
    /// error, and is asked again.
    async fn find(&self, attempt: &Attempt) -> Result<Found, String>;

    /// Asks an attempt to end, and makes it after the runner's grace. Its end is seen later.
    async fn stop(&self, attempt: &Attempt, reason: &str) -> Result<(), String>;

    /// The end is in the database; the runner may remove what it kept for it.
    async fn forget(&self, attempt: &Attempt);

    /// What runs or is kept under launch keys that begin with `prefix` and is old enough to have been settled
    /// and forgotten; `tasks` are this runner's. Those whose attempt is indeed over are discarded.
    async fn strays(&self, prefix: &str, tasks: &[&Task]) -> Vec<Stray>;

    /// Ends and forgets a stray whose attempt is over, because a dispatcher died at the wrong moment.
    async fn discard(&self, stray: &Stray);

    /// Whatever it does beside being called, until it is told to stop.
    async fn background(&self, _stopping: CancellationToken) {}
}

/// The runners of a dispatcher, by name.
#[derive(Clone, Default)]
pub struct Runners {
    by_name: BTreeMap<RunnerName, Arc<dyn Runner>>,
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
    pub fn get(&self, name: RunnerName) -> Option<&Arc<dyn Runner>> {
        self.by_name.get(&name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Runner>> {
        self.by_name.values()
    }

    /// Their names: those whose attempts any dispatcher can see, and those bound to a machine.
    #[must_use]
    pub fn names(&self) -> (Vec<RunnerName>, Vec<RunnerName>) {
        let (bound, free): (Vec<_>, Vec<_>) =
            self.by_name.values().partition(|r| r.capabilities().bound_to_host);
        let names = |list: Vec<&Arc<dyn Runner>>| list.iter().map(|r| r.name()).collect();
        (names(free), names(bound))
    }
}

impl std::fmt::Debug for Runners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.by_name.keys()).finish()
    }
}

/// The runners that the settings enable. One that this build does not have is an error: its jobs would wait for a
/// dispatcher that looks as if it took them.
pub fn enabled(settings: &Settings, ends: &Ends) -> anyhow::Result<Runners> {
    let wanted = [
        (RunnerName::Process, settings.runners.process.enabled),
        (RunnerName::Docker, settings.runners.docker.enabled),
        (RunnerName::Ecs, settings.runners.ecs.enabled),
        (RunnerName::Lambda, settings.runners.lambda.enabled),
    ];
    #[cfg(any(feature = "ecs", feature = "lambda"))]
    let aws = Arc::new(aws::Aws::new(&settings.aws));
    let mut runners = Runners::default();
    for (name, _) in wanted.into_iter().filter(|(_, enabled)| *enabled) {
        let made = make(
            name,
            settings,
            ends,
            #[cfg(any(feature = "ecs", feature = "lambda"))]
            &aws,
        )?;
        let Some(runner) = made else { anyhow::bail!("runners.{name}.enabled: {}", not_built_in(name)) };
        runners = runners.with(runner);
    }
    Ok(runners)
}

/// The runner with this name; none if this build does not have it.
// A build with few of them uses few of these, and fails at none.
#[allow(unused_variables, clippy::unnecessary_wraps)]
fn make(
    name: RunnerName,
    settings: &Settings,
    ends: &Ends,
    #[cfg(any(feature = "ecs", feature = "lambda"))] aws: &Arc<aws::Aws>,
) -> anyhow::Result<Option<Arc<dyn Runner>>> {
    match name {
        #[cfg(feature = "process")]
        RunnerName::Process => {
            let process = process::ProcessRunner::new(&settings.runners.process, ends.clone())?;
            Ok(Some(Arc::new(process)))
        }
        #[cfg(feature = "docker")]
        RunnerName::Docker => {
            let docker = docker::DockerRunner::new(&settings.runners.docker, ends.clone());
            Ok(Some(Arc::new(docker.map_err(anyhow::Error::msg)?)))
        }
        #[cfg(feature = "ecs")]
        RunnerName::Ecs => {
            let (ecs, url) = (&settings.runners.ecs, &settings.tasks.database_url);
            Ok(Some(Arc::new(ecs::EcsRunner::new(ecs, Arc::clone(aws), ends.clone(), url))))
        }
        #[cfg(feature = "lambda")]
        RunnerName::Lambda => {
            let (lambda, aws) = (&settings.runners.lambda, Arc::clone(aws));
            Ok(Some(Arc::new(lambda::LambdaRunner::new(lambda, &settings.aws, aws, ends.clone()))))
        }
        #[allow(unreachable_patterns)]
        _ => Ok(None),
    }
}
