//! What others ask of this process, so that its program can be asked the same.

use futures_util::future::select_all;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Signals that ask a program to end.
const STOPS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Signals from now on.
pub struct Signals(Vec<(tokio::signal::unix::Signal, Signal)>);

impl Signals {
    /// Before anything starts, so that none falls between; as the first process of a container this one would
    /// not even end by a signal that it does not listen to.
    pub fn listen() -> Self {
        let all = STOPS.into_iter().chain([Signal::SIGUSR1, Signal::SIGUSR2]);
        Self(all.filter_map(|s| Some((signal(SignalKind::from_raw(s as i32)).ok()?, s))).collect())
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let each = self.0.iter_mut().map(|(stream, signal)| {
            Box::pin(async move {
                stream.recv().await;
                *signal
            })
        });
        select_all(each).await.0
    }

    /// The next one that asks to end.
    pub async fn next_stop(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if is_stop(signal) {
                return signal;
            }
        }
    }
}

/// Whether it asks a program to end.
pub fn is_stop(signal: Signal) -> bool {
    STOPS.contains(&signal)
}
