//! awa: tables that are only appended to and truncated in turn, with a history of what has ended.

use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

use awa::{
    Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, insert_many_copy_from_pool,
    insert_with, migrations,
};
use serde::{Deserialize, Serialize};
use sqlx_0_8::PgPool;
use sqlx_0_8::postgres::PgPoolOptions;

use crate::peer::{Peer, Setting, handled};

const QUEUE: &str = "nothing";
/// How many completions it writes at once can be set by the environment only.
const COMPLETIONS: &str = "AWA_COMPLETION_BATCH_SIZE";

/// The queue.
pub struct Awa {
    pool: PgPool,
    setting: Setting,
}

#[derive(Debug, Serialize, Deserialize, JobArgs)]
struct Nothing {
    number: usize,
}

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.to_owned(), ..InsertOpts::default() }
}

impl Peer for Awa {
    const NAME: &'static str = "awa 0.6.9";
    const UNFINISHED: &'static str = "select exists (select from awa.jobs where state in ('available', 'running', 'retryable', 'scheduled'))";

    fn describe(setting: Setting) -> &'static str {
        match setting {
            Setting::Best => {
                "max_workers 500, claim_batch_size 512 and completions by 512 (its defaults), no deadlines, polled every 50 ms"
            }
            Setting::C10 => "max_workers 10, completions one by one",
            Setting::Idle => "max_workers 10, else its defaults, notified",
        }
    }

    async fn set_up(url: &str, setting: Setting) -> anyhow::Result<Self> {
        if setting == Setting::C10 && std::env::var_os(COMPLETIONS).is_none() {
            let again = std::process::Command::new(std::env::current_exe()?)
                .args(std::env::args_os().skip(1))
                .env(COMPLETIONS, "1")
                .exec();
            return Err(again.into());
        }
        let pool = PgPoolOptions::new().max_connections(20).connect(url).await?;
        migrations::run(&pool).await?;
        Ok(Self { pool, setting })
    }

    async fn preload(&self, jobs: usize) -> anyhow::Result<()> {
        let of = |number| {
            let args = serde_json::json!({ "number": number });
            InsertParams { kind: Nothing::kind().to_owned(), args, opts: options() }
        };
        let jobs: Vec<_> = (0..jobs).map(of).collect();
        insert_many_copy_from_pool(&self.pool, &jobs).await?;
        Ok(())
    }

    async fn add(&self) -> anyhow::Result<Instant> {
        let mut transaction = self.pool.begin().await?;
        insert_with(&mut *transaction, &Nothing { number: 0 }, options()).await?;
        let committing = Instant::now();
        transaction.commit().await?;
        Ok(committing)
    }

    fn work(&self) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
        let queue = match self.setting {
            Setting::Best => QueueConfig {
                max_workers: 500,
                poll_interval: Duration::from_millis(50),
                deadline_duration: Duration::ZERO,
                ..QueueConfig::default()
            },
            Setting::C10 | Setting::Idle => QueueConfig { max_workers: 10, ..QueueConfig::default() },
        };
        let client = Client::builder(self.pool.clone())
            .queue(QUEUE, queue)
            .register::<Nothing, _, _>(|_, _| async {
                handled();
                Ok(JobResult::Completed)
            })
            .build();
        async move {
            // Dropped, it stops.
            let client = client?;
            client.start().await?;
            std::future::pending::<()>().await;
            drop(client);
            Ok(())
        }
    }
}
