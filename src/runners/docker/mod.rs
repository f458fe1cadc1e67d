//! Attempts as containers of a Docker engine.
//!
//! The launch key is the container's name, which an engine gives only once: a repeated launch finds the first one,
//! whichever dispatcher repeats it. A container is kept after its end until that is in the database, so that a daemon's
//! successor finds it there, and then removed.

mod container;
mod credentials;
mod engine;
mod events;

mod fault;
mod follow;
mod image_name;
mod launch;
mod observe;
mod outcome;
mod output;
mod probe;
mod pull;
mod rails;
pub mod run_local;
mod settings;
mod stop_cause;
mod strays;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::ContainerStateStatusEnum as Status;
use bollard::query_parameters::StopContainerOptionsBuilder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::in_time::in_time;
use super::lengths::check_lengths;
use super::rails::check_environment;
use super::{Attempt, Capabilities, Ends, Found, LaunchError, Launched, Observation, Runner, Stray};
use crate::job::RunnerName;
use crate::parameters::{LaunchSpec, Task};
use crate::settings::DockerSettings;
use credentials::Logins;
use engine::{Endpoint, Engine};
use fault::Fault;
use follow::Follow;
pub use image_name::check_target;
use pull::Images;
pub use settings::{KEYS as SETTINGS, TaskSettings};
use settings::{LONGEST_STOP, Pull};

/// From the end of a stop's grace to the moment when its end is seen.
const AFTER_GRACE: Duration = Duration::from_mins(2);

/// How long an answer about a stop is waited for: that it was heard is told by what an engine which is away says at
/// once, and an engine that stops a container says nothing until it has.
const STOP_HEARD: Duration = Duration::from_secs(2);

/// How long a daemon on its way out waits for the removal of what it has settled.
const LAST_REMOVALS: Duration = Duration::from_secs(10);

/// Runs images that the operator allows.
#[derive(Debug)]
pub struct DockerRunner {
    core: Arc<Core>,
    /// Containers being removed.
    removals: TaskTracker,
}

/// What all its parts need.
#[derive(Debug)]
struct Core {
    settings: DockerSettings,
    engine: Engine,
    images: Images,
    follow: Follow,
    ends: Ends,
    logins: Logins,
}

impl Core {
    fn allowed(&self, request: &LaunchSpec, settings: &TaskSettings) -> Result<(), String> {
        check_lengths(request)?;
        check_environment(RunnerName::Docker, request.environment.keys(), &self.settings.environment)?;
        let local = self.engine.endpoint.is_local();
        let Some(first) = settings.mounts.iter().find(|mount| mount.is_path()).filter(|_| local) else {
            return rails::check(&request.target, settings, &self.settings, local);
        };
        let path = PathBuf::from(&first.source);
        let (target, settings, rules) = (request.target.clone(), settings.clone(), self.settings.clone());
        in_time(&path, move || rails::check(&target, &settings, &rules, local))
    }

    fn pull(&self, settings: &TaskSettings) -> Pull {
        settings.pull.unwrap_or_else(|| Pull::of_word(&self.settings.pull))
    }
}

impl DockerRunner {
    /// A runner with this process' environment, where docker's own variables may stand.
    pub fn new(settings: &DockerSettings, ends: Ends) -> Result<Self, String> {
        let variables =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::with_environment(settings, ends, &variables.collect())
    }

    /// The same with another environment.
    pub fn with_environment(
        settings: &DockerSettings,
        ends: Ends,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let endpoint = Endpoint::find(&settings.host, environment)?;
        let logins = Logins::of(environment);
        let core = Core {
            engine: Engine::new(endpoint, settings.call_timeout),
            images: Images::new(logins.clone(), settings.pull_idle_timeout),
            follow: Follow::default(),
            settings: settings.clone(),
            ends,
            logins,
        };
        Ok(Self { core: Arc::new(core), removals: TaskTracker::new() })
    }

    /// Seconds from SIGTERM to SIGKILL.
    fn grace(&self, settings: &TaskSettings) -> i32 {
        let own = || self.core.settings.stop_grace.as_secs_f64().ceil() as i64;
        settings.stop_timeout.unwrap_or_else(own).clamp(0, i64::from(i32::MAX)) as i32
    }
}

#[async_trait]
impl Runner for DockerRunner {
    fn name(&self) -> RunnerName {
        RunnerName::Docker
    }

    fn capabilities(&self) -> Capabilities {
        let longest_stop = Duration::from_secs(LONGEST_STOP.unsigned_abs());
        Capabilities {
            capacity: self.core.settings.max_running,
            stock: 0,
            short: Duration::ZERO,
            stock_wait: Duration::ZERO,
            backlog: usize::MAX,
            // Another machine's dispatcher may speak to another engine under the same name (every machine has its
            // `/var/run/docker.sock`), would find nothing there, and launch a second time.
            bound_to_host: true,
            repeatable: true,
            sees_ends: true,
            stop_limit: self.core.settings.stop_grace.max(longest_stop) + AFTER_GRACE,
        }
    }

    async fn ready(&self) -> Result<(), String> {
        // One that is away is said in the log; jobs wait for it.
        let _ = self.core.engine.call("asking the engine", |docker| async move { docker.ping().await }).await;
        Ok(())
    }

    /// The engine's own id; or, while it does not answer, its address on this machine.
    async fn place(&self) -> String {
        let asked =
            self.core.engine.call("asking the engine", |docker| async move { docker.info().await }).await;
        match asked.ok().and_then(|info| info.id).filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => {
                let host = nix::unistd::gethostname().unwrap_or_default();
                format!("{} {}", host.to_string_lossy(), self.core.engine.endpoint.url)
            }
        }
    }

    fn freeze(&self, request: &mut LaunchSpec) {
        // A daemon that is told to use another engine must not launch there again what runs on this one.
        settings::freeze(&mut request.settings, &self.core.engine.endpoint.url);
    }

    fn check(&self, request: &LaunchSpec) -> Result<(), String> {
        self.core.allowed(request, &TaskSettings::read(&request.settings)?)
    }

    fn may_launch(&self, request: &LaunchSpec) -> Result<(), String> {
        self.core.allowed(request, &TaskSettings::frozen(&request.settings)?)
    }

    async fn probe(&self, request: &LaunchSpec) -> Result<String, String> {
        let settings = TaskSettings::read(&request.settings)?;
        probe::probe(&self.core, &request.target, &settings).await
    }

    async fn keep_pace(&self, attempt: &Attempt) {
        // The launch reports what is wrong.
        if let Ok(settings) = TaskSettings::frozen(&attempt.request.settings) {
            launch::prepare(&self.core, attempt, &settings).await;
        }
    }

    async fn launch(
        &self,
        attempt: &Attempt,
        contract: &[(String, String)],
    ) -> Result<Launched, LaunchError> {
        let settings = TaskSettings::frozen(&attempt.request.settings)
            .map_err(|reason| LaunchError::refused(reason, false))?;
        let launched = launch::launch(&self.core, attempt, &settings, contract).await?;
        self.core.follow.add(attempt);
        Ok(launched)
    }

    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        observe::observe(&self.core, attempts).await
    }

    async fn find(&self, attempt: &Attempt) -> Result<Found, String> {
        launch::find(&self.core, attempt).await.map_err(|fault| fault.message)
    }

    async fn stop(&self, attempt: &Attempt, _reason: &str) -> Result<(), String> {
        let engine = &self.core.engine;
        let Some(container) = engine.inspect(&attempt.launch_key).await.map_err(|fault| fault.message)?
        else {
            // It may run there; it cannot be stopped from here.
            return launch::elsewhere(&self.core, attempt).map_or(Ok(()), Err);
        };
        let (Some(id), true) = (container.id.clone(), container::is_of(&container, attempt)) else {
            return Ok(());
        };
        if container.state.and_then(|state| state.status) == Some(Status::CREATED) {
            return engine.remove(&id).await.map_err(|fault| fault.message);
        }
        self.core.follow.stopping(attempt);
        let settings = TaskSettings::frozen(&attempt.request.settings)?;
        let seconds = self.grace(&settings);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let docker = engine.client().map_err(|fault| fault.message)?;
        let docker = docker.with_timeout(Duration::from_secs(seconds.unsigned_abs().into()) + AFTER_GRACE);
        // Goes on when it is not waited for any more.
        let stopping = tokio::spawn(async move { docker.stop_container(&id, Some(options)).await });
        match tokio::time::timeout(STOP_HEARD, stopping).await {
            Ok(Ok(Err(error))) => match Fault::from(error) {
                fault if fault.is_missing() => Ok(()),
                fault => Err(format!("stopping a container: {fault}")),
            },
            _ => Ok(()),
        }
    }

    async fn forget(&self, attempt: &Attempt) {
        let (core, attempt) = (Arc::clone(&self.core), attempt.clone());
        core.images.forget(attempt.id);
        if attempt.in_doubt {
            // A dispatcher that stood still may be about to launch it once more: it finds this one by its name. strays() has it later.
            core.follow.forget(&attempt.launch_key);
            return;
        }
        // Not waited for: the settler has others to settle.
        self.removals.spawn(async move {
            let removed = match core.engine.inspect(&attempt.launch_key).await {
                Ok(Some(container)) if container::is_of(&container, &attempt) => {
                    core.engine.remove(container.id.as_deref().unwrap_or(&attempt.launch_key)).await
                }
                Ok(_) => Ok(()),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = removed {
                tracing::warn!(attempt = attempt.id.get(), container = attempt.launch_key, %fault,
                    "a container that is done with cannot be removed; it is tried again with the next tidying");
            }
            core.follow.forget(&attempt.launch_key);
        });
    }

    async fn strays(&self, prefix: &str, _tasks: &[&Task]) -> Vec<Stray> {
        strays::strays(&self.core, prefix).await
    }

    async fn discard(&self, stray: &Stray) {
        strays::discard(&self.core, stray).await;
    }

    async fn background(&self, stopping: CancellationToken) {
        events::listen(&self.core, &stopping).await;
        self.removals.close();
        // What is left over is removed by the next daemon.
        let _ = tokio::time::timeout(LAST_REMOVALS, self.removals.wait()).await;
    }
}
