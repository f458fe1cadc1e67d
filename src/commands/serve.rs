//! `rowcall serve`

use std::time::Duration;

use clap::Args;
use rowcall::database::{Database, check_schema, copied_from};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners;
use rowcall::settings::Settings;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    pub async fn run(&self, settings: Settings) -> anyhow::Result<()> {
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
        let Some(dispatcher) = start(&settings, mode, &mut signals).await? else { return Ok(()) };
        let draining = dispatcher.draining();
        loop {
            tokio::select! {
                () = draining.cancelled() => break,
                _ = hangups.recv() => tracing::warn!(
                    "SIGHUP: settings are read at the start only. Start the dispatcher anew to apply an edit; tasks run on, and \
                     are followed again"
                ),
                () = super::any(&mut signals) => {
                    tracing::info!("draining: no new jobs are claimed");
                    dispatcher.drain();
                    break;
                }
            }
        }
        tokio::select! {
            finished = dispatcher.finish() => finished?,
            () = super::any(&mut signals) => tracing::warn!("ended at once; what runs is left to the next dispatcher"),
        }
        Ok(())
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
