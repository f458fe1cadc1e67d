//! `rowcall serve`

use clap::Args;
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
}

impl Serve {
    /// Runs until told to stop.
    pub async fn run(&self, settings: Settings) -> anyhow::Result<()> {
        // Before anything starts, so that an early signal is not lost.
        let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let mode = if self.drain { Mode::Drain } else { Mode::Serve };
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
