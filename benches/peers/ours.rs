//! Rowcall, measured as its peers are.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rowcall::dispatcher::{Dispatcher, Mode};
use tokio::sync::mpsc;

use super::program::{Drained, Latencies};
use crate::null_runner::NullRunner;
use crate::{Bench, percentile};

/// The first ones warm caches up and are not counted.
const WARM_UP: usize = 30;
const SETTING: &str = "its defaults, a runner that runs nothing, attempts and history kept";

/// Whether a job also writes to the row it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// The task has no status words: an observer, which leaves the row as it is.
    WithoutWriteBack,
    /// The row becomes PROCESSING and PROCESSED.
    WithWriteBack,
}

impl Ours {
    pub const BOTH: [Self; 2] = [Self::WithoutWriteBack, Self::WithWriteBack];

    pub fn name(self) -> &'static str {
        match self {
            Self::WithoutWriteBack => "rowcall, no write to the row",
            Self::WithWriteBack => "rowcall, row to PROCESSED row",
        }
    }

    /// A database with the task.
    async fn set_up(self, url: &str) -> anyhow::Result<Bench> {
        let bench = Bench::in_database(url.to_owned()).await?;
        bench.route_files().await?;
        if self == Self::WithoutWriteBack {
            let no_words = "update rowcall.parameters set status_running = null, status_succeeded = null, status_failed = null";
            bench.client.batch_execute(no_words).await?;
        }
        Ok(bench)
    }

    /// From the dispatcher's start until its end, which comes after that of every job.
    pub async fn drain(self, url: &str, jobs: usize) -> anyhow::Result<Drained> {
        let bench = self.set_up(url).await?;
        let client = &bench.client;
        let insert =
            "insert into rowcall.files (status) select 'REGISTERED' from generate_series(1, $1::bigint)";
        client.execute(insert, &[&(jobs as i64)]).await?;
        client.batch_execute("vacuum analyze").await?;
        client.batch_execute("checkpoint").await?;
        let mut settings = bench.settings()?;
        settings.dispatcher.shutdown_grace = Duration::from_mins(1);
        let wal = wal_bytes(&bench).await?;
        let before = Instant::now();
        let dispatcher =
            Dispatcher::start(settings, Mode::Drain, |_, ends| NullRunner::new(ends).alone()).await?;
        dispatcher.finish().await?;
        let took = before.elapsed();
        let wal = wal_bytes(&bench).await? - wal;
        let done = "select count(*) from rowcall.history where outcome = 'SUCCEEDED'";
        let done: i64 = client.query_one(done, &[]).await?.get(0);
        anyhow::ensure!(done == jobs as i64, "{done} of {jobs} jobs have succeeded");
        let written: i64 = client
            .query_one("select count(*) from rowcall.files where status = 'PROCESSED'", &[])
            .await?
            .get(0);
        let expected = if self == Self::WithWriteBack { done } else { 0 };
        anyhow::ensure!(written == expected, "{written} rows were written");
        Ok(Drained {
            peer: self.name().to_owned(),
            setting: SETTING.to_owned(),
            jobs,
            jobs_per_second: jobs as f64 / took.as_secs_f64(),
            wal_bytes_per_job: wal / jobs as f64,
        })
    }

    /// From just before the commit of a row's insert until the launch, one row at a time.
    pub async fn latencies(self, url: &str, jobs: usize, pause_ms: u64) -> anyhow::Result<Latencies> {
        let bench = self.set_up(url).await?;
        let insert = bench.client.prepare("insert into rowcall.files default values").await?;
        let (sender, mut launches) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher::start(bench.settings()?, Mode::Serve, |_, ends| {
            NullRunner::new(ends).tells_launches(sender, |_, _| Instant::now()).alone()
        })
        .await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut took = Vec::new();
        for i in 0..jobs + WARM_UP {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            bench.client.batch_execute("begin").await?;
            bench.client.execute(&insert, &[]).await?;
            let committing = Instant::now();
            bench.client.batch_execute("commit").await?;
            let launch = launches.recv().await.context("the dispatcher is gone")?;
            if i >= WARM_UP {
                took.push((launch - committing).as_secs_f64() * 1e3);
            }
        }
        dispatcher.drain();
        dispatcher.finish().await?;
        took.sort_by(f64::total_cmp);
        Ok(Latencies {
            setting: SETTING.to_owned(),
            p50_ms: percentile(&took, 0.5),
            p99_ms: percentile(&took, 0.99),
        })
    }
}

/// How much the server has written.
async fn wal_bytes(bench: &Bench) -> anyhow::Result<f64> {
    let sql = "select (pg_current_wal_insert_lsn() - '0/0')::float8";
    Ok(bench.client.query_one(sql, &[]).await?.get(0))
}
