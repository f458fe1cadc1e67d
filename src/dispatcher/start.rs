//! Starting, draining and ending a dispatcher.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::following::Following;
use super::shared::{Handle, Shared};
use super::{claimer, janitor, launcher, listener, rescuer, settler, stopper, watcher};
use crate::database::{
    Database, DatabaseError, SchemaError, check_schema, dispatcher_stopped, guard, instance,
    register_dispatcher,
};
use crate::job::End;
use crate::parameters::Cache;
use crate::runners::{Ends, Runners};
use crate::settings::Settings;

/// Until when a dispatcher runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is told to stop.
    Serve,
    /// Until nothing is due and nothing of its own runs.
    Drain,
}

/// Why a dispatcher did not begin or could not go on.
#[derive(Debug, Error)]
pub enum DispatcherError {
    /// The schema is not one it understands.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database could not be used at the beginning.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A runner could not be made ready.
    #[error("{0:#}")]
    Runner(anyhow::Error),
    /// Others took it for dead and have adopted what it ran.
    #[error("other dispatchers were told that this one is gone; it must start anew")]
    Superseded,
}

/// A running dispatcher.
pub struct Dispatcher {
    shared: Handle,
    loops: TaskTracker,
}

impl Dispatcher {
    /// Checks the schema, registers, and starts the loops. `runners` makes the runners, given where ends are
    /// announced.
    pub async fn start(
        settings: Settings,
        mode: Mode,
        runners: impl FnOnce(&Settings, &Ends) -> anyhow::Result<Runners>,
    ) -> Result<Self, DispatcherError> {
        let database = Database::new(&settings.database)?;
        let client = database.get().await?;
        check_schema(&client).await?;
        let (instance_id, secret) = instance(&client).await?;

        let (launched, to_record) = mpsc::unbounded_channel();
        let (ends, ended) = mpsc::unbounded_channel::<(i64, End)>();
        let runners = runners(&settings, &ends).map_err(DispatcherError::Runner)?;
        for runner in runners.iter() {
            let failed = |reason| anyhow::anyhow!("runners.{}: {reason}", runner.name());
            runner.ready().await.map_err(|reason| DispatcherError::Runner(failed(reason)))?;
        }
        let host = match settings.dispatcher.host.as_str() {
            "" => nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            name => name.to_owned(),
        };
        let offered: Vec<String> = runners.iter().map(|r| r.name().to_owned()).collect();
        let registration = register_dispatcher(&client, &host, &offered).await?;
        let parameters = Cache::default();
        parameters.refresh(&client, &guard(&client).await?.parameters_stamp).await?;
        drop(client);
        tracing::info!(dispatcher = registration.id, host, runners = ?offered, tasks = parameters.tasks().len(), "started");
        if offered.is_empty() {
            tracing::warn!(
                "no runner is enabled, so nothing can run; see [runners.*] in config/rowcall.toml"
            );
        }

        let shared = Arc::new(Shared {
            id: registration.id,
            host,
            settings,
            database,
            parameters,
            runners,
            following: Following::default(),
            ends,
            launched,
            wake: Notify::new(),
            listening: AtomicBool::new(false),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            seen: watch::Sender::new(Instant::now()),
            rescued: CancellationToken::new(),
            fatal: Mutex::new(None),
            secret,
            instance: instance_id.chars().filter(char::is_ascii_hexdigit).take(8).collect(),
        });
        let loops = TaskTracker::new();
        // A small buffer: claimed attempts should be launched, not queued.
        let (launch, to_launch) = mpsc::channel(4);
        loops.spawn(launcher::run(Arc::clone(&shared), to_launch));
        loops.spawn(launcher::record(Arc::clone(&shared), to_record));
        loops.spawn(settler::run(Arc::clone(&shared), ended));
        for runner in shared.runners.iter() {
            loops.spawn(watcher::run(Arc::clone(&shared), Arc::clone(runner)));
            let (runner, stopping) = (Arc::clone(runner), shared.stopping.clone());
            loops.spawn(async move { runner.background(stopping).await });
        }
        loops.spawn(stopper::run(Arc::clone(&shared)));
        loops.spawn(rescuer::run(Arc::clone(&shared), launch.clone()));
        loops.spawn(claimer::run(Arc::clone(&shared), mode, launch));
        loops.spawn(janitor::run(Arc::clone(&shared)));
        if mode == Mode::Serve && shared.settings.dispatcher.listen {
            loops.spawn(listener::run(Arc::clone(&shared)));
        }
        loops.close();
        Ok(Self { shared, loops })
    }

    /// Its number in `rowcall.dispatchers`.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.shared.id
    }

    /// Cancelled when it claims no more, whatever the reason.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.shared.draining.clone()
    }

    /// No new claims from now on.
    pub fn drain(&self) {
        self.shared.draining.cancel();
    }

    /// Ends at once without a word, as a killed daemon would: others will notice. For tests of that.
    pub fn abandon(self) {
        self.shared.draining.cancel();
        self.shared.stopping.cancel();
    }

    /// Waits until draining was asked for and what runs has ended or the grace is over, then ends. What still
    /// runs then is left to the next dispatcher.
    pub async fn finish(self) -> Result<(), DispatcherError> {
        let shared = &self.shared;
        shared.draining.cancelled().await;
        if !shared.stopping.is_cancelled() && !shared.following.is_empty() {
            let grace = shared.settings.dispatcher.shutdown_grace;
            tracing::info!(?grace, "waiting for running tasks to end");
            if tokio::time::timeout(grace, shared.following.emptied()).await.is_err() {
                tracing::info!("tasks still run; the next dispatcher adopts them");
            }
        }
        shared.stopping.cancel();
        self.loops.wait().await;
        let fatal = shared.fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Also after a failure: the sooner others adopt what runs, the better.
        let said = async { dispatcher_stopped(&shared.database.get().await?, shared.id).await }.await;
        if let Some(error) = fatal {
            return Err(error);
        }
        said?;
        tracing::info!(dispatcher = shared.id, "stopped");
        Ok(())
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("id", &self.shared.id).finish_non_exhaustive()
    }
}
