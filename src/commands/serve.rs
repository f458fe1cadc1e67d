//! `rowcall serve`

use std::time::Duration;

use clap::Args;
use rowcall::database::{Database, check_schema, copied_from};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners;
use rowcall::settings::{Settings, Sources, load};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What `rowcall serve` is told.
#[derive(Args)]
pub struct Serve {
    /// Run the jobs that are due, wait for their end, and exit (for cron and for tests)
    #[arg(long)]
    drain: bool,
    /// The database was restored here from a backup, and its original is gone for good: go on where it was
    #[arg(long)]
    same_database: bool,
}

impl Serve {
    /// Runs until told to stop.
    pub async fn run(&self, mut settings: Settings, sources: &Sources) -> anyhow::Result<()> {
        // Before anything starts, so that an early signal is not lost.
        let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let mut hangups = signal(SignalKind::hangup())?;
        let mode = if self.drain { Mode::Drain } else { Mode::Serve };
        if self.same_database {
            let database = Database::new(&settings.database)?;
            let client = database.get().await?;
            check_schema(&client).await?;
            copied_from(&client, true).await?;
        }
        let Some(mut dispatcher) = start(&settings, mode, &mut signals).await? else { return Ok(()) };
        let mut replaced = Replaced::default();
        loop {
            let draining = dispatcher.draining();
            tokio::select! {
                () = draining.cancelled() => break,
                _ = hangups.recv(), if mode == Mode::Serve => {
                    let reloaded = tokio::select! {
                        reloaded = reload(&settings, sources, &dispatcher) => reloaded,
                        () = super::any(&mut signals) => {
                            dispatcher.drain();
                            break;
                        }
                    };
                    if let Some((new, next)) = reloaded {
                        replaced.add(std::mem::replace(&mut dispatcher, next), &dispatcher);
                        settings = new;
                    }
                }
                () = super::any(&mut signals) => {
                    tracing::info!("draining: no new jobs are claimed");
                    dispatcher.drain();
                    break;
                }
            }
        }
        let finishing = async {
            let (finished, ()) = tokio::join!(dispatcher.finish(), replaced.finish());
            finished
        };
        tokio::select! {
            finished = finishing => finished?,
            () = super::any(&mut signals) => tracing::warn!("ended at once; what runs is left to the next dispatcher"),
        }
        Ok(())
    }
}

/// Dispatchers of this process that others have replaced, and that still see something to its end.
#[derive(Default)]
struct Replaced {
    ending: JoinSet<()>,
    at_once: CancellationToken,
}

impl Replaced {
    fn add(&mut self, old: Dispatcher, next: &Dispatcher) {
        while self.ending.try_join_next().is_some() {}
        let unseen = old.unseen_by(next);
        let at_once = self.at_once.clone();
        self.ending.spawn(async move {
            let id = old.id().get();
            if let Err(error) = old.hand_over(unseen, at_once).await {
                tracing::warn!(dispatcher = id, %error, "a dispatcher that was replaced did not end in order");
            }
        });
    }

    async fn finish(mut self) {
        self.at_once.cancel();
        while self.ending.join_next().await.is_some() {}
    }
}

/// Reads the settings again and starts a dispatcher by them. If they are wrong, or it does not start, all stays as it is.
async fn reload(settings: &Settings, sources: &Sources, old: &Dispatcher) -> Option<(Settings, Dispatcher)> {
    let new = match load(sources) {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(%error, "SIGHUP: the settings stay as they are");
            return None;
        }
    };
    if (&new.log.level, new.log.format) != (&settings.log.level, settings.log.format) {
        tracing::warn!("SIGHUP: log.level and log.format are read at the start only");
    }
    match Dispatcher::start_after(new.clone(), Mode::Serve, runners::enabled, Some(old)).await {
        Ok(dispatcher) => {
            tracing::info!(
                dispatcher = dispatcher.id().get(),
                "SIGHUP: the settings were read again, and a dispatcher goes by them; it adopts the tasks that it can see"
            );
            Some((new, dispatcher))
        }
        Err(error) => {
            tracing::error!(%error, "SIGHUP: no dispatcher can start by these settings, so they stay as they are");
            None
        }
    }
}

/// How long a database that is not there yet is left alone, at the least and at the most.
const AWAY: std::ops::Range<f64> = 0.5..3.0;

/// Starts a dispatcher; one that serves waits for its database, as it does when that goes away later. None if a signal came
/// first.
async fn start(
    settings: &Settings,
    mode: Mode,
    signals: &mut [Signal; 2],
) -> anyhow::Result<Option<Dispatcher>> {
    let mut told = false;
    loop {
        let started = tokio::select! {
            () = super::any(signals) => return Ok(None),
            started = Dispatcher::start(settings.clone(), mode, runners::enabled) => started,
        };
        let error = match started {
            Ok(dispatcher) => return Ok(Some(dispatcher)),
            Err(error) if mode == Mode::Serve && error.is_away() => error,
            Err(error) => return Err(error.into()),
        };
        if told {
            tracing::debug!(%error, "still not there");
        } else {
            tracing::warn!(%error, "waiting for the database");
            told = true;
        }
        tokio::select! {
            () = super::any(signals) => return Ok(None),
            () = tokio::time::sleep(Duration::from_secs_f64(rand::random_range(AWAY))) => {}
        }
    }
}
