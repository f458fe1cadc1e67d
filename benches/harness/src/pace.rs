//! When rows are inserted, and how many at once.

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, error::SendError};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::figures::Figures;
use crate::given::{Given, Pacing};

/// Wishes that wait while the database is away; what comes beyond waits in the pipe of the harness.
const WAITING: usize = 1024;

/// Begins to wish for rows. What is returned besides ends when the harness does: it then closes its end of our standard input.
pub fn start(given: &Arc<Given>, figures: &Arc<Figures>) -> (mpsc::Receiver<u64>, oneshot::Receiver<()>) {
    let (wishes, waiting) = mpsc::channel(WAITING);
    let (mut lasting, ended) = oneshot::channel();
    let (given, figures) = (Arc::clone(given), Arc::clone(figures));
    match given.pacing {
        Pacing::Told => {
            std::thread::spawn(move || {
                as_told(&wishes);
                let _ = lasting.send(());
            });
        }
        pacing @ (Pacing::Rate | Pacing::Depth) => {
            tokio::spawn(async move {
                let _ = match pacing {
                    Pacing::Depth => to_depth(&given, &figures, &wishes).await,
                    _ => at_rate(&given, &wishes).await,
                };
                // The producer has ended, and the process will. It is not the harness that did.
                lasting.closed().await;
            });
        }
    }
    (waiting, ended)
}

/// As the harness says on standard input: `ENQUEUE n`, a line for each INSERT.
fn as_told(wishes: &mpsc::Sender<u64>) {
    for line in std::io::stdin().lock().lines() {
        // What is no text is no line of the harness.
        let Ok(line) = line else { return };
        let rows = line.trim().strip_prefix("ENQUEUE ").and_then(|rows| rows.trim().parse().ok());
        match rows {
            Some(0) => {}
            Some(rows) => {
                if wishes.blocking_send(rows).is_err() {
                    return;
                }
            }
            None => tracing::warn!(line, "a line on standard input must be ENQUEUE n"),
        }
    }
}

/// Rows are owed for the time that has really passed, however long a tick took.
async fn at_rate(given: &Given, wishes: &mpsc::Sender<u64>) -> Result<(), SendError<u64>> {
    let mut ticks = tokio::time::interval(given.batch_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut owed) = (Instant::now(), 0.0);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        owed += rate(given).await * (now - before).as_secs_f64();
        before = now;
        let whole = owed as u64;
        owed -= whole as f64;
        in_batches(given, whole, wishes).await?;
    }
}

/// The rate of this phase.
pub async fn rate(given: &Given) -> f64 {
    match &given.rate_file {
        Some(file) => read_rate(file).await.unwrap_or(given.rate),
        None => given.rate,
    }
}

/// None while the harness is writing it.
async fn read_rate(file: &Path) -> Option<f64> {
    let text = tokio::fs::read_to_string(file).await.ok()?;
    text.trim().parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0)
}

/// Fills up at each look: what was inserted since is not seen before the next one.
async fn to_depth(
    given: &Given,
    figures: &Figures,
    wishes: &mpsc::Sender<u64>,
) -> Result<(), SendError<u64>> {
    let mut looks = figures.depths.subscribe();
    while looks.changed().await.is_ok() {
        let Some(depths) = *looks.borrow_and_update() else { continue };
        in_batches(given, given.target_depth.saturating_sub(depths.due), wishes).await?;
        // The rest of them is inserted after it was seen that they are missing.
        while wishes.capacity() < WAITING {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        looks.mark_unchanged();
    }
    Ok(())
}

async fn in_batches(given: &Given, mut rows: u64, wishes: &mpsc::Sender<u64>) -> Result<(), SendError<u64>> {
    while rows > 0 {
        let batch = rows.min(given.batch_max);
        wishes.send(batch).await?;
        rows -= batch;
    }
    Ok(())
}
