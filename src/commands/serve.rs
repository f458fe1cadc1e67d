//! `rowcall serve`

use clap::Args;
use rowcall::database::{Database, check_schema, copied_from};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners;
use rowcall::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};

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
        let mode = if self.drain { Mode::Drain } else { Mode::Serve };
        if self.same_database {
            let database = Database::new(&settings.database)?;
            let client = database.get().await?;
            check_schema(&client).await?;
            copied_from(&client, true).await?;
        }
        let dispatcher = Dispatcher::start(settings, mode, runners::enabled).await?;
        let draining = dispatcher.draining();
        tokio::select! {
            () = draining.cancelled() => {}
            () = super::any(&mut signals) => {
                tracing::info!("draining: no new jobs are claimed");
                dispatcher.drain();
            }
        }
        tokio::select! {
            finished = dispatcher.finish() => finished?,
            () = super::any(&mut signals) => tracing::warn!("ended at once; what runs is left to the next dispatcher"),
        }
        Ok(())
    }
}
