//! graphile_worker: deletes a job when it is done, and keeps no history.

use std::sync::Arc;
use std::time::{Duration, Instant};

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, Worker, WorkerContext,
    WorkerOptions,
};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::peer::{Peer, Setting, handled};

/// The queue.
pub struct GraphileWorker {
    pool: PgPool,
    worker: Arc<Worker>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Nothing {
    number: usize,
}

impl TaskHandler for Nothing {
    const IDENTIFIER: &'static str = "nothing";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        handled();
        Ok::<(), String>(())
    }
}

impl Peer for GraphileWorker {
    const NAME: &'static str = "graphile_worker 0.14.1";
    const UNFINISHED: &'static str = "select exists (select from graphile_worker._private_jobs)";

    fn describe(setting: Setting) -> &'static str {
        match setting {
            Setting::Best => {
                "concurrency 100, 2 local queues of 2,500, completions batched for 5 ms (its own benchmark: 500, 1 of 5,000, 5 ms)"
            }
            // Without a local queue each slot takes one job for each wake-up: eleven jobs a second.
            Setting::C10 => "concurrency 10, local queue 100, completions one by one",
            Setting::Idle => "concurrency 10, no local queue (its default), notified",
        }
    }

    async fn set_up(url: &str, setting: Setting) -> anyhow::Result<Self> {
        let connections = if setting == Setting::Best { 90 } else { 12 };
        let pool = PgPoolOptions::new().max_connections(connections).connect(url).await?;
        let options = WorkerOptions::default()
            .pg_pool(pool.clone())
            .schema("graphile_worker")
            .listen_os_shutdown_signals(false)
            .define_job::<Nothing>();
        let options = match setting {
            Setting::Best => options
                .concurrency(100)
                .poll_interval(Duration::from_millis(5))
                .complete_job_batch_delay(Duration::from_millis(5))
                .local_queue(LocalQueueConfig::default().with_size(2500).with_queue_count(2)),
            Setting::C10 => options.concurrency(10).local_queue(LocalQueueConfig::default()),
            Setting::Idle => options.concurrency(10),
        };
        let worker = Box::pin(options.init()).await?;
        Ok(Self { pool, worker: Arc::new(worker) })
    }

    async fn preload(&self, jobs: usize) -> anyhow::Result<()> {
        let of = |number| RawJobSpec {
            identifier: Nothing::IDENTIFIER.to_owned(),
            payload: serde_json::json!({ "number": number }),
            spec: JobSpec::default(),
        };
        let jobs: Vec<_> = (0..jobs).map(of).collect();
        self.worker.create_utils().add_raw_jobs(&jobs).await?;
        Ok(())
    }

    async fn add(&self) -> anyhow::Result<Instant> {
        let mut transaction = self.pool.begin().await?;
        let utils = self.worker.create_utils();
        utils.with_executor(&mut transaction).add_job(Nothing { number: 0 }, JobSpec::default()).await?;
        let committing = Instant::now();
        transaction.commit().await?;
        Ok(committing)
    }

    fn work(&self) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
        let worker = Arc::clone(&self.worker);
        async move { Ok(worker.run().await?) }
    }
}
