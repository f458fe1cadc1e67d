//! Heartbeats, and progress with them.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::progress::{Progress, Update};
use crate::task::signals::Signals;
use crate::task::{ReportError, Reporter};
use nix::sys::signal::Signal;

/// Progress is sent no more often; each is a write into the database.
const OFTEN: Duration = Duration::from_secs(1);

/// Keeps an attempt alive.
pub struct Beats {
    /// Speaks for it; none for a developer who tries the program alone.
    pub reporter: Option<Reporter>,
    progress: Progress,
    interval: Duration,
    next_look: Instant,
    next_beat: Instant,
    unsent: Option<Update>,
    away: bool,
}

/// Why something was not brought to its end.
pub enum Interruption {
    /// A signal asked this process to stop.
    Signal(Signal),
    /// The database said that the attempt is over.
    Over(String),
}

impl Beats {
    /// `task_start` was the first.
    pub fn new(reporter: Option<Reporter>, progress: Progress, interval: Duration) -> Self {
        let next_beat = Instant::now() + interval;
        let next_look = Instant::now() + interval.min(OFTEN);
        Self { reporter, progress, interval, next_look, next_beat, unsent: None, away: false }
    }

    /// Goes on until the database says that the attempt is over. Nothing else disturbs the program. May be dropped
    /// and called again.
    pub async fn until_over(&mut self) -> String {
        loop {
            sleep_until(self.next_look.min(self.next_beat)).await;
            self.next_look = Instant::now() + self.interval.min(OFTEN);
            if let Some(update) = self.progress.look() {
                self.unsent = Some(update);
            }
            if self.unsent.is_none() && Instant::now() < self.next_beat {
                continue;
            }
            self.next_beat = Instant::now() + self.interval;
            let (fraction, message) = match &self.unsent {
                Some(update) => (update.fraction, update.message.as_deref()),
                None => (None, None),
            };
            let Some(reporter) = &mut self.reporter else {
                show(self.unsent.take());
                continue;
            };
            match reporter.progress(fraction, message, self.interval).await {
                Ok(()) => {
                    self.away = false;
                    self.unsent = None;
                }
                Err(ReportError::Leave(reason)) => return reason,
                Err(error) => {
                    if !std::mem::replace(&mut self.away, true) {
                        eprintln!("rowcall-task: a heartbeat did not arrive, the program goes on: {error}");
                    }
                }
            }
        }
    }

    /// Tells people something that is neither progress nor a failure. Where it does not arrive, the output has it.
    pub async fn remark(&mut self, words: &str) {
        if let Some(reporter) = &mut self.reporter {
            let _ = reporter.progress(None, Some(words), self.interval).await;
        }
    }

    /// Does something else meanwhile, until a signal or the database ends it.
    pub async fn during<T>(
        &mut self,
        signals: &mut Signals,
        work: impl Future<Output = T>,
    ) -> Result<T, Interruption> {
        tokio::select! {
            biased;
            signal = signals.next_stop() => Err(Interruption::Signal(signal)),
            done = work => Ok(done),
            over = self.until_over() => Err(Interruption::Over(over)),
        }
    }
}

/// On standard error, where the developer sees it.
fn show(update: Option<Update>) {
    let Some(Update { fraction, message }) = update else { return };
    let percent = fraction.map(|fraction| format!("{:.0} %", fraction * 100.0));
    let words: Vec<String> = percent.into_iter().chain(message).collect();
    eprintln!("rowcall-task: {}", words.join(" "));
}
