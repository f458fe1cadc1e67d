//! What is measured, the same way for each queue.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use crate::peer::{Peer, Setting, starts};

/// A queue that is silent for so long has lost a job, or waits for something that does not come.
const SILENCE: Duration = Duration::from_secs(30);
/// The first jobs of a latency run warm caches up and are not counted.
const WARM_UP: usize = 30;

/// From the start of the worker until no job is unfinished.
pub async fn drain<P: Peer>(url: &str, setting: Setting, jobs: usize) -> anyhow::Result<Value> {
    let jobs = jobs.min(P::MOST_JOBS);
    let client = connect(url).await?;
    let peer = P::set_up(url, setting).await?;
    peer.preload(jobs).await?;
    client.batch_execute("vacuum analyze").await?;
    client.batch_execute("checkpoint").await?;
    let mut started = starts()?;
    let wal = wal_bytes(&client).await?;
    let before = Instant::now();
    let mut worker = tokio::spawn(peer.work());
    let first = next(&mut started, &mut worker).await?;
    for _ in 1..jobs {
        next(&mut started, &mut worker).await?;
    }
    while client.query_one(P::UNFINISHED, &[]).await?.try_get(0)? {
        anyhow::ensure!(before.elapsed() < 20 * SILENCE, "jobs stay unfinished");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let end = Instant::now();
    let wal = wal_bytes(&client).await? - wal;
    anyhow::ensure!(started.is_empty(), "a job was handled twice");
    let jobs_per_second = |since: Instant| jobs as f64 / (end - since).as_secs_f64();
    Ok(json!({
        "peer": P::NAME,
        "setting": P::describe(setting),
        "jobs": jobs,
        "jobs_per_second": jobs_per_second(before),
        "jobs_per_second_from_first_start": jobs_per_second(first),
        "wal_bytes_per_job": wal / jobs as f64,
    }))
}

/// From just before a job's commit until its handler starts, one job at a time.
pub async fn latency<P: Peer>(url: &str, jobs: usize, pause_ms: u64) -> anyhow::Result<Value> {
    let peer = P::set_up(url, Setting::Idle).await?;
    let mut started = starts()?;
    let mut worker = tokio::spawn(peer.work());
    // It subscribes, and looks for what is there, before it is idle.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut took = Vec::new();
    for i in 0..jobs + WARM_UP {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let committing = peer.add().await?;
        let start = next(&mut started, &mut worker).await?;
        if i >= WARM_UP {
            took.push((start - committing).as_secs_f64() * 1e3);
        }
    }
    took.sort_by(f64::total_cmp);
    let share = |share: f64| took.get(((took.len().max(1) - 1) as f64 * share).round() as usize);
    Ok(json!({
        "peer": P::NAME,
        "setting": P::describe(Setting::Idle),
        "jobs": jobs,
        "p50_ms": share(0.5),
        "p99_ms": share(0.99),
    }))
}

/// The next start of a handler; an error where the worker has ended.
async fn next(
    started: &mut UnboundedReceiver<Instant>,
    worker: &mut JoinHandle<anyhow::Result<()>>,
) -> anyhow::Result<Instant> {
    tokio::select! {
        biased;
        start = started.recv() => start.context("no handler is left"),
        end = worker => {
            end??;
            anyhow::bail!("the worker has ended before its jobs")
        }
        () = tokio::time::sleep(SILENCE) => anyhow::bail!("no handler has started for {} s", SILENCE.as_secs()),
    }
}

/// A connection that is none of the queue's.
async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// How much the server has written.
async fn wal_bytes(client: &Client) -> anyhow::Result<f64> {
    let sql = "select (pg_current_wal_insert_lsn() - '0/0')::float8";
    Ok(client.query_one(sql, &[]).await?.try_get(0)?)
}
