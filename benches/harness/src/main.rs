//! Rowcall as a system of the public harness postgresql-job-queue-benchmarking; README.md says how it gets there.
//!
//! One process is one replica: it inserts rows when the harness says so, a whole dispatcher makes them run, and a runner of its own
//! does the work. Standard input and output belong to the harness, standard error to the log.

#![forbid(unsafe_code)]

mod daemon;
mod depths;
mod figures;
mod given;
mod latencies;
mod made_at;
mod pace;
mod producer;
mod samples;
mod statement;
mod worker;

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use self::daemon::Daemon;
use self::figures::Figures;
use self::given::Given;

/// The harness allows five seconds from SIGTERM to the end, whatever the database does.
const LAST: Duration = Duration::from_millis(4500);

/// From the end of standard input to SIGTERM, where the harness ends in order.
const BETWEEN_BOTH: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let started_at = SystemTime::now();
    // Each job is two lines at the level info.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    log.with_ansi(stderr().is_terminal()).with_writer(stderr).init();
    let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let (given, figures) = (Arc::new(Given::read()?), Arc::new(Figures::new()?));
    let daemon = tokio::select! {
        started = Daemon::start(&given, &figures) => started?,
        () = any(&mut signals) => return Ok(()),
    };
    samples::describe(&given, &daemon.version().await?, started_at)?;

    let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
    let (wished, harness) = pace::start(&given, &figures);
    let (of, until) = (daemon.dispatcher().id(), drain.clone());
    let mut producing =
        tokio::spawn(producer::run(Arc::clone(&given), Arc::clone(&figures), of, wished, until));
    let mut looking = tokio::spawn(depths::run(Arc::clone(&given), Arc::clone(&figures)));
    let mut sampling = tokio::spawn(samples::run(given, figures, stop.clone()));
    let mut serving = tokio::spawn(daemon.serve(drain.clone()));
    tokio::select! {
        () = any(&mut signals) => {}
        () = is_gone(harness) => std::process::exit(1),
        error = failed(&mut producing) => return Err(error),
        error = failed(&mut looking) => return Err(error),
        ended = &mut sampling => return ended?,
        ended = &mut serving => {
            ended??;
            bail!("the dispatcher has ended");
        }
    }
    drain.cancel();
    let ending = async {
        if !producing.is_finished() {
            producing.await??;
        }
        serving.await?
    };
    match tokio::time::timeout(LAST, ending).await {
        Ok(ended) => ended?,
        Err(_) => tracing::warn!("ended without an answer from the database"),
    }
    // With what was inserted and completed last.
    stop.cancel();
    sampling.await?
}

/// Waits for a signal to stop.
async fn any(signals: &mut [Signal; 2]) {
    let [terminate, interrupt] = signals;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Waits until standard input has ended, and no signal came. Where this runs in a container, SIGKILL ends only the client that the
/// harness has started, and the container would run on. So an adapter whose harness is gone ends as if killed, without a word.
async fn is_gone(harness: oneshot::Receiver<()>) {
    if harness.await.is_ok() {
        tokio::time::sleep(BETWEEN_BOTH).await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Waits for the error of a part. One that has nothing more to do is no error.
async fn failed(part: &mut JoinHandle<anyhow::Result<()>>) -> anyhow::Error {
    match part.await {
        Ok(Ok(())) => std::future::pending().await,
        Ok(Err(error)) => error,
        Err(panicked) => panicked.into(),
    }
}
