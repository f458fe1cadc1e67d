//! DBOS: durable workflows; a job is a workflow without steps. Its queues are polled, and each workflow's end is a statement of its own.

use std::time::{Duration, Instant};

use dbos::{Config, DBOS, Enqueue, Queue, QueueConflict, QueueOptions, StartOptions, WorkflowRef};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::peer::{Peer, Setting, handled};

const QUEUE: &str = "nothing";

/// The queue.
pub struct Dbos {
    executor: DBOS,
    nothing: WorkflowRef<usize, ()>,
    setting: Setting,
}

fn queued() -> StartOptions<'static> {
    StartOptions { queue: Some(Enqueue::new(QUEUE)), ..StartOptions::default() }
}

impl Dbos {
    /// Registered in a process that dequeues, it begins.
    async fn register(dbos: DBOS, setting: Setting) -> anyhow::Result<Queue> {
        let (worker_concurrency, polling_interval) = match setting {
            Setting::Best => (5000, Duration::from_millis(10)),
            Setting::C10 => (10, Duration::from_millis(1)),
            Setting::Idle => (10, Duration::from_millis(5)),
        };
        let options = QueueOptions {
            worker_concurrency: Some(worker_concurrency),
            polling_interval,
            ..QueueOptions::default()
        };
        Ok(dbos.register_queue(QUEUE, options, QueueConflict::AlwaysUpdate).await?)
    }
}

impl Peer for Dbos {
    const NAME: &'static str = "dbos 0.5.0";
    const UNFINISHED: &'static str =
        "select exists (select from dbos.workflow_status where status in ('ENQUEUED', 'PENDING'))";

    // Less than a thousand a second, after each has been added by itself.
    const MOST_JOBS: usize = 3000;

    fn describe(setting: Setting) -> &'static str {
        match setting {
            Setting::Best => "worker_concurrency 5,000, polled every 10 ms, 20 connections; ends one by one",
            Setting::C10 => "worker_concurrency 10, polled every ms; ends one by one",
            Setting::Idle => "polled every 5 ms (its default is 1 s; its queues are not notified)",
        }
    }

    async fn set_up(url: &str, setting: Setting) -> anyhow::Result<Self> {
        let dbos = DBOS::new(Config {
            app_version: Some("1".to_owned()),
            max_connections: 20,
            ..Config::new("bench", url)
        });
        let nothing = dbos.register_workflow("nothing", |_: usize| async {
            handled();
            Ok(())
        })?;
        dbos.launch().await?;
        Ok(Self { executor: dbos, nothing, setting })
    }

    /// It has no call for many at once.
    async fn preload(&self, jobs: usize) -> anyhow::Result<()> {
        stream::iter(0..jobs)
            .map(|number| async move { self.nothing.start_with(number, queued()).await.map(drop) })
            .buffer_unordered(16)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// The time is that before the insert, as it commits by itself.
    async fn add(&self) -> anyhow::Result<Instant> {
        let before = Instant::now();
        self.nothing.start_with(0, queued()).await?;
        Ok(before)
    }

    fn work(&self) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
        let (dbos, setting) = (self.executor.clone(), self.setting);
        async move {
            Self::register(dbos, setting).await?;
            std::future::pending().await
        }
    }
}
