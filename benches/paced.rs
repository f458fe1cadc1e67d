//! Rows that are inserted at a pace, and how long each takes from its INSERT to its launch.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::{Attempt, Ends};
use rowcall::settings::Settings;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::null_runner::NullRunner;
use super::{Bench, connect};

/// How rows come.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// So many insert one row at a time each.
    pub clients: usize,
    /// Rows a second of all of them together.
    pub rate: f64,
    /// For so long.
    pub time: Duration,
}

/// A dispatcher that is listened to.
pub struct Listened {
    dispatcher: Dispatcher,
    /// By the number of the job.
    launches: mpsc::UnboundedReceiver<(i64, Instant)>,
}

/// What came of a pace.
pub struct Paced {
    /// Milliseconds from each INSERT to its launch, in the order in which they were sent.
    pub took: Vec<f64>,
    /// Rows a second that were really inserted.
    pub rate: f64,
}

impl Listened {
    /// With the null runner.
    pub async fn start(bench: &Bench) -> anyhow::Result<Self> {
        let (to, launches) = mpsc::unbounded_channel();
        let runners = |_: &Settings, ends: &Ends| {
            let what = |attempt: &Attempt, _: &[(String, String)]| (attempt.job_id.get(), Instant::now());
            NullRunner::new(ends).tells_launches(to, what).alone()
        };
        Ok(Self { dispatcher: Dispatcher::start(bench.settings()?, Mode::Serve, runners).await?, launches })
    }

    /// Inserts, and waits for all launches.
    pub async fn at(&mut self, bench: &Bench, pace: Pace) -> anyhow::Result<Paced> {
        let begun = Instant::now();
        let clients = (0..pace.clients).map(|_| tokio::spawn(insert(bench.url.clone(), pace)));
        let mut sent = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            sent.extend(client.await??);
        }
        let rate = sent.len() as f64 / begun.elapsed().as_secs_f64();
        let mut launched = HashMap::new();
        while launched.len() < sent.len() {
            launched.extend(self.launches.recv().await);
        }
        let jobs = jobs_of(bench, &sent).await?;
        sent.sort_by_key(|(_, at)| *at);
        let took = |(row, at): &(i64, Instant)| {
            let launch = launched.get(jobs.get(row)?)?;
            Some(launch.saturating_duration_since(*at).as_secs_f64() * 1e3)
        };
        let took: Vec<f64> = sent.iter().filter_map(took).collect();
        anyhow::ensure!(took.len() == sent.len(), "{} of {} rows were launched", took.len(), sent.len());
        Ok(Paced { took, rate })
    }

    /// Ends it.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.dispatcher.drain();
        Ok(self.dispatcher.finish().await?)
    }
}

/// One client: the row that each INSERT made, and when it was sent. A client that falls behind catches up.
async fn insert(url: String, pace: Pace) -> anyhow::Result<Vec<(i64, Instant)>> {
    let client = connect(&url).await?;
    let insert = client.prepare("insert into rowcall.files default values returning id").await?;
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(pace.clients as f64 / pace.rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = Instant::now();
    let mut sent = Vec::new();
    while begun.elapsed() < pace.time {
        ticks.tick().await;
        let at = Instant::now();
        sent.push((client.query_one(&insert, &[]).await?.get(0), at));
    }
    Ok(sent)
}

/// The jobs of these rows, when all of them are over.
async fn jobs_of(bench: &Bench, sent: &[(i64, Instant)]) -> anyhow::Result<HashMap<i64, i64>> {
    let rows: Vec<i64> = sent.iter().map(|(row, _)| *row).collect();
    let first = rows.iter().min().copied().unwrap_or_default();
    let over = "select (row_key->>'id')::bigint, job_id from rowcall_internal.history where (row_key->>'id')::bigint >= $1";
    loop {
        let found = bench.client.query(over, &[&first]).await?;
        if found.len() >= rows.len() {
            return Ok(found.iter().map(|row| (row.get(0), row.get(1))).collect());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
