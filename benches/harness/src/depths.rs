//! Looks how many jobs are not over.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;

use crate::figures::{Depths, Figures};
use crate::given::{Given, Pacing};
use crate::statement::{Failure, Statement};

const COUNT: &str = "select
        count(*) filter (where is_due), count(*) filter (where state = 'running'),
        count(*) filter (where state = 'waiting' and not is_due), count(*)
    from (select state, state = 'pending' or state = 'waiting' and due_at <= now() as is_due from rowcall.jobs) j";

/// Looks again and again, where this process does: one of all replicas is enough, except where each must know when to insert.
pub async fn run(given: Arc<Given>, figures: Arc<Figures>) -> anyhow::Result<()> {
    if given.instance != 0 && given.pacing != Pacing::Depth {
        return std::future::pending().await;
    }
    // Counting costs what the queue is long.
    let pause = Duration::from_millis(if given.pacing == Pacing::Depth { 200 } else { 1000 });
    let mut count = Statement::new(&given.database_url, COUNT)?;
    loop {
        match count.run(&[]).await {
            Ok(rows) => {
                let depths = rows.first().map(read).transpose()?;
                figures.depths.send_replace(depths);
            }
            Err(Failure::Away(reason)) => {
                tracing::debug!(reason, "the depths are not known");
                // The one before is no word on now.
                figures.depths.send_replace(None);
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
    }
}

fn read(row: &Row) -> Result<Depths, tokio_postgres::Error> {
    let count = |column| Ok(row.try_get::<_, i64>(column)? as u64);
    Ok(Depths { due: count(0)?, running: count(1)?, waiting: count(2)?, all: count(3)? })
}
