//! underway: a row for each attempt of a task, one task claimed at a time.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use sqlx_0_8::PgPool;
use sqlx_0_8::postgres::PgPoolOptions;
use underway::{Job, To};

use crate::peer::{Peer, Setting, handled};

/// The queue.
pub struct Underway {
    pool: PgPool,
    job: Job<Nothing, ()>,
    setting: Setting,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Nothing {
    number: usize,
}

impl Peer for Underway {
    const NAME: &'static str = "underway 0.2.0";
    const UNFINISHED: &'static str =
        "select exists (select from underway.task where state in ('pending', 'in_progress'))";
    // Some hundred a second, and fewer the more there are.
    const MOST_JOBS: usize = 1000;

    fn describe(setting: Setting) -> &'static str {
        match setting {
            Setting::Best => "concurrency limit 30; it claims and acknowledges one by one",
            Setting::C10 | Setting::Idle => "concurrency limit 10; it claims and acknowledges one by one",
        }
    }

    async fn set_up(url: &str, setting: Setting) -> anyhow::Result<Self> {
        let connections = if setting == Setting::Best { 34 } else { 14 };
        let pool = PgPoolOptions::new().max_connections(connections).connect(url).await?;
        underway::run_migrations(&pool).await?;
        let nothing = |_, Nothing { .. }| async {
            handled();
            To::done()
        };
        let job = Job::builder().step(nothing).name("nothing").pool(pool.clone()).build().await?;
        Ok(Self { pool, job, setting })
    }

    async fn preload(&self, jobs: usize) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for number in 0..jobs {
            self.job.enqueue_using(&mut *transaction, &Nothing { number }).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn add(&self) -> anyhow::Result<Instant> {
        let mut transaction = self.pool.begin().await?;
        self.job.enqueue_using(&mut *transaction, &Nothing { number: 0 }).await?;
        let committing = Instant::now();
        transaction.commit().await?;
        Ok(committing)
    }

    fn work(&self) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
        let mut worker = self.job.worker();
        worker.set_concurrency_limit(if self.setting == Setting::Best { 30 } else { 10 });
        async move { Ok(worker.run().await?) }
    }
}
