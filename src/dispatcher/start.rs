//! Starting, draining and ending a dispatcher.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::claim::listener::{self, LEFT};
use super::claim::low_water::LowWater;
use super::claim::turns::Turns;
use super::follow::in_flight::InFlight;
use super::follow::{ends, stopper, watcher};
use super::keep::{janitor, missed_rows, rescuer};
use super::launch::reach::Reach;
use super::launch::short_tasks::ShortTasks;
use super::pace::LAST_WORD;
use super::shared::{Handle, Identity, Lifecycle, Shared, Signals};
use super::task_cache::TaskCache;
use super::terms::Terms;
use super::{claim, launch, settle};
use crate::database::{
    Database, DatabaseError, NewDispatcher, SchemaError, check_schema, copied_from, dispatcher_stopped,
    instance, notify, read_stamp, register_dispatcher,
};
use crate::job::{AttemptId, DispatcherId, End, RunnerName};
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
    /// What the database says of jobs and attempts is another's.
    #[error(
        "this database is a copy (of {0}), and its jobs may be at work there. If they are, SELECT rowcall.new_identity() makes \
         it a copy of its own, without them. If the original is gone for good, start once with: rowcall serve \
         --same-database"
    )]
    Copy(String),
    /// A runner could not be made ready.
    #[error("{0:#}")]
    Runner(anyhow::Error),
    /// Others took it for dead and have adopted what it ran.
    #[error("other dispatchers were told that this one is gone; it must start anew")]
    Superseded,
    /// It cannot say that it lives.
    #[error("the database was out of reach for {}: start it anew", humantime::format_duration(Duration::from_secs(.0.as_secs())))]
    CutOff(Duration),
}

impl DispatcherError {
    /// Whether the database is only not there, or not ready yet.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(error) | Self::Schema(SchemaError::Database(error)) => error.is_away(),
            _ => false,
        }
    }
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
        Self::start_after(settings, mode, runners, None).await
    }

    /// The same in the place of another one of this process. What that one still follows takes room until it is adopted.
    pub async fn start_after(
        settings: Settings,
        mode: Mode,
        runners: impl FnOnce(&Settings, &Ends) -> anyhow::Result<Runners>,
        replaced: Option<&Self>,
    ) -> Result<Self, DispatcherError> {
        let database = Database::new(&settings.database)?;
        database.look_for_pooler().await?;
        let client = database.get().await?;
        check_schema(&client).await?;
        if let Some(original) = copied_from(&client, false).await? {
            return Err(DispatcherError::Copy(original));
        }
        let (instance_id, secret) = instance(&client).await?;

        let (launches, to_record) = mpsc::unbounded_channel();
        let (ends, ended) = mpsc::unbounded_channel::<(AttemptId, End)>();
        let runners = runners(&settings, &ends).map_err(DispatcherError::Runner)?;
        for runner in runners.iter() {
            let failed = |reason| anyhow::anyhow!("runners.{}: {reason}", runner.name());
            runner.ready().await.map_err(|reason| DispatcherError::Runner(failed(reason)))?;
        }
        let host = match settings.dispatcher.host.as_str() {
            "" => nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            name => name.to_owned(),
        };
        let offered: Vec<_> = runners.iter().map(|r| r.name()).collect();
        let mut places = BTreeMap::new();
        for runner in runners.iter().filter(|r| r.capabilities().bound_to_host) {
            places.insert(runner.name(), runner.place().await);
        }
        let new = NewDispatcher {
            host: &host,
            runners: &offered,
            places: &offered.iter().map(|r| places.get(r).cloned().unwrap_or_default()).collect::<Vec<_>>(),
            dead_after: settings.dispatcher.dead_after,
            lost_after: settings.dispatcher.lost_after,
        };
        let registration = register_dispatcher(&client, &new).await?;
        let parameters = TaskCache::default();
        parameters.refresh(&client, &read_stamp(&client).await?.parameters).await?;
        drop(client);
        tracing::info!(dispatcher = registration.id.get(), host, runners = ?offered.iter().map(|name| name.as_str()).collect::<Vec<_>>(), tasks = parameters.tasks().len(), "started");
        if offered.is_empty() {
            tracing::warn!(
                "no runner is enabled, so nothing can run; see [runners.*] in config/rowcall.toml"
            );
        }

        let shared = Arc::new(Shared {
            identity: Identity {
                id: registration.id,
                places,
                secret,
                instance: instance_id.chars().filter(char::is_ascii_hexdigit).take(8).collect(),
            },
            lifecycle: Lifecycle::begin(settings.dispatcher.dead_after),
            signals: Signals::new(ends, launches),
            settings,
            database,
            parameters,
            runners,
            in_flight: Arc::new(InFlight::default()),
            before: replaced.map(|old| old.shared.all_in_flight()).unwrap_or_default(),
            turns: Turns::default(),
            terms: Terms::default(),
            low_water: LowWater::default(),
            short_tasks: ShortTasks::default(),
            reach: Reach::new(mode == Mode::Drain),
        });
        let label = shared.identity.label(shared.identity.id);
        shared.runners.iter().for_each(|runner| runner.show_life(&label));
        let loops = TaskTracker::new();
        // A small buffer: claimed attempts should be launched, not queued.
        let (to_launcher, to_launch) = mpsc::channel(4);
        loops.spawn(launch::run(Arc::clone(&shared), to_launch));
        loops.spawn(launch::record::run(Arc::clone(&shared), to_record));
        let (to_settler, to_settle) = mpsc::unbounded_channel();
        loops.spawn(ends::run(Arc::clone(&shared), ended, to_settler));
        loops.spawn(settle::run(Arc::clone(&shared), to_settle));
        for runner in shared.runners.iter() {
            loops.spawn(watcher::run(Arc::clone(&shared), Arc::clone(runner)));
            let (runner, stopping) = (Arc::clone(runner), shared.lifecycle.stopping.clone());
            loops.spawn(async move { runner.background(stopping).await });
        }
        loops.spawn(stopper::run(Arc::clone(&shared)));
        loops.spawn(rescuer::run(Arc::clone(&shared), to_launcher.clone()));
        loops.spawn(claim::run(Arc::clone(&shared), mode, to_launcher));
        loops.spawn(claim::follow_replaced(Arc::clone(&shared)));
        loops.spawn(janitor::run(Arc::clone(&shared)));
        loops.spawn(missed_rows::run(Arc::clone(&shared)));
        if mode == Mode::Serve && shared.settings.dispatcher.listen {
            loops.spawn(listener::run(Arc::clone(&shared)));
        }
        loops.close();
        Ok(Self { shared, loops })
    }

    /// Its number in `rowcall.dispatchers`.
    #[must_use]
    pub fn id(&self) -> DispatcherId {
        self.shared.identity.id
    }

    /// Cancelled when it claims no more, whatever the reason.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.shared.lifecycle.draining.clone()
    }

    /// No new claims from now on.
    pub fn drain(&self) {
        self.shared.lifecycle.draining.cancel();
    }

    /// Ends at once without a word, as a killed daemon would: others will notice. For tests of that.
    pub fn abandon(self) {
        self.shared.lifecycle.draining.cancel();
        self.shared.lifecycle.stopping.cancel();
    }

    /// The runners of this dispatcher whose attempts the next one cannot follow: it does not offer them, or not at the same place,
    /// or only the call that started them tells their end.
    #[must_use]
    pub fn unseen_by(&self, next: &Self) -> Vec<RunnerName> {
        let (shared, next) = (&self.shared, &next.shared);
        let is_seen = |name| {
            next.runners.get(name).is_some()
                && shared.identity.places.get(&name) == next.identity.places.get(&name)
        };
        let runners = shared.runners.iter().map(|runner| (runner.name(), runner.capabilities().repeatable));
        runners.filter(|(name, repeatable)| !repeatable || !is_seen(*name)).map(|(name, _)| name).collect()
    }

    /// Ends, because another dispatcher of this process goes on. That one adopts what runs, but for the attempts of these runners:
    /// they run to their end, and after `at_once` for the time of the grace.
    pub async fn hand_over(
        self,
        unseen: Vec<RunnerName>,
        at_once: CancellationToken,
    ) -> Result<(), DispatcherError> {
        self.drain();
        let shared = &self.shared;
        // What waits for a slot goes back to the queue, from which the next one claims it.
        let giving_back = async {
            shared.lifecycle.claimed.cancelled().await;
            shared.in_flight.none_ahead().await;
        };
        tokio::select! {
            () = giving_back => {}
            () = shared.lifecycle.stopping.cancelled() => {}
            () = tokio::time::sleep(LAST_WORD) => {}
        }
        let late = async {
            at_once.cancelled().await;
            tokio::time::sleep(shared.settings.dispatcher.shutdown_grace).await;
        };
        tokio::select! {
            () = shared.in_flight.emptied_of(&unseen) => {}
            () = shared.lifecycle.stopping.cancelled() => {}
            () = late => {}
        }
        shared.lifecycle.stopping.cancel();
        self.finish().await
    }

    /// Waits until draining was asked for and what runs has ended or the grace is over, then ends. What still
    /// runs then is left to the next dispatcher.
    pub async fn finish(self) -> Result<(), DispatcherError> {
        let shared = &self.shared;
        shared.lifecycle.draining.cancelled().await;
        tokio::select! {
            () = shared.lifecycle.claimed.cancelled() => {}
            () = shared.lifecycle.stopping.cancelled() => {}
        }
        if !shared.lifecycle.stopping.is_cancelled() && !shared.in_flight.is_empty() {
            let grace = shared.settings.dispatcher.shutdown_grace;
            tracing::info!(?grace, "waiting for running tasks to end");
            if tokio::time::timeout(grace, shared.in_flight.emptied()).await.is_err() {
                tracing::info!("tasks still run; the next dispatcher adopts them");
            }
        }
        shared.lifecycle.stopping.cancel();
        self.loops.wait().await;
        let fatal = shared.lifecycle.fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Also after a failure: the sooner others adopt what runs, the better.
        let label = shared.identity.label(shared.identity.id);
        shared.runners.iter().for_each(|runner| runner.hide_life(&label));
        let saying = async {
            let client = shared.database.get().await?;
            dispatcher_stopped(&client, shared.identity.id).await?;
            if shared.in_flight.is_empty() { Ok(()) } else { notify(&client, LEFT).await }
        };
        let said = shared.database.within(LAST_WORD, saying).await;
        if let Some(error) = fatal {
            return Err(error);
        }
        said?;
        tracing::info!(dispatcher = shared.identity.id.get(), "stopped");
        Ok(())
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("id", &self.shared.identity.id).finish_non_exhaustive()
    }
}
