//! apalis with its storage on Postgres: keeps the job's row, with its state and result.

use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_postgres::queries::push_tasks;
use apalis_postgres::{Config, PgPool, PostgresStorage};
use sqlx::postgres::PgPoolOptions;

use crate::peer::{Peer, Setting, handled};

const QUEUE: &str = "nothing";

/// The queue.
pub struct Apalis {
    pool: PgPool,
    setting: Setting,
}

async fn nothing(_: usize) -> Result<(), BoxDynError> {
    handled();
    Ok(())
}

impl Apalis {
    /// The wire format is made by hand, as in its own example of pushing in a transaction.
    async fn push(&self, jobs: usize) -> anyhow::Result<Instant> {
        let tasks: Result<Vec<_>, _> =
            (0..jobs).map(|number| Ok(TaskBuilder::new(serde_json::to_vec(&number)?).build())).collect();
        let mut transaction = self.pool.begin().await?;
        push_tasks(&mut *transaction, QUEUE, tasks.map_err(|e: serde_json::Error| e)?).await?;
        let committing = Instant::now();
        transaction.commit().await?;
        Ok(committing)
    }
}

impl Peer for Apalis {
    const NAME: &'static str = "apalis-postgres 1.0.0";
    const UNFINISHED: &'static str =
        "select exists (select from apalis.jobs where status in ('Pending', 'Queued', 'Running'))";

    fn describe(setting: Setting) -> &'static str {
        match setting {
            Setting::Best => "batch_size 2,000, concurrency 2,000, notified and polled every 100 ms",
            Setting::C10 => {
                "batch_size 10 (its default), concurrency 10; it acknowledges in batches of up to that"
            }
            Setting::Idle => "batch_size 10 (its default), concurrency 10, notified",
        }
    }

    async fn set_up(url: &str, setting: Setting) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(12).connect(url).await?;
        PostgresStorage::setup(&pool).await?;
        Ok(Self { pool, setting })
    }

    async fn preload(&self, jobs: usize) -> anyhow::Result<()> {
        self.push(jobs).await.map(drop)
    }

    async fn add(&self) -> anyhow::Result<Instant> {
        self.push(1).await
    }

    fn work(&self) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
        let config = Config::default().queue(QUEUE);
        let (config, concurrency, poll) = match self.setting {
            Setting::Best => (config.batch_size(2000), 2000, Duration::from_millis(100)),
            Setting::C10 => (config, 10, Duration::from_millis(100)),
            Setting::Idle => (config, 10, Duration::from_secs(10)),
        };
        let storage = PostgresStorage::<usize>::new(&self.pool).with_config(config);
        let backend = storage.with_pubsub().poll_with_interval(poll);
        async move {
            Ok(WorkerBuilder::new("bench")
                .backend(backend)
                .concurrency(concurrency)
                .build(nothing)
                .run()
                .await?)
        }
    }
}
