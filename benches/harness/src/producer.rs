//! Inserts rows, as a user would: by a plain INSERT into `rowcall.files`, whose trigger makes the jobs.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rowcall::job::DispatcherId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::figures::Figures;
use crate::given::Given;
use crate::made_at;
use crate::statement::{Failure, PAUSE, Statement};

/// The rows are numbered here and not by the table: a second try then finds what became of the first.
const INSERT: &str = "insert into rowcall.files (id, attributes)
    select $1 + n, jsonb_build_object('made_at', $3::bigint, 'payload', $4::text) from generate_series(0, $2::bigint - 1) n";

/// Room for the numbers of one process: no dispatcher has the number of another, and none makes so many rows.
const ROWS_OF_A_PROCESS: i64 = 1 << 40;

/// What of a row is no payload.
const REST_OF_A_ROW: usize = 48;

/// Inserts so many rows at once as are wished for, each time in one statement, until told to stop: an INSERT that has begun is
/// finished, and counted.
pub async fn run(
    given: Arc<Given>,
    figures: Arc<Figures>,
    of: DispatcherId,
    mut wishes: mpsc::Receiver<u64>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut insert = Statement::new(&given.database_url, INSERT)?;
    let payload = "x".repeat(given.payload_bytes.saturating_sub(REST_OF_A_ROW));
    let mut next = of.get() * ROWS_OF_A_PROCESS;
    while let Some(rows) = stop.run_until_cancelled(wishes.recv()).await.flatten() {
        let began = Instant::now();
        // Also for a second try: the wait for an answer belongs to the latencies.
        let now = made_at::written(SystemTime::now());
        let mut is_in_doubt = false;
        loop {
            match insert.run(&[&next, &(rows as i64), &now, &payload]).await {
                Ok(_) => break,
                // The try before was committed. Only its answer was lost.
                Err(Failure::Duplicate(_)) if is_in_doubt => break,
                Err(Failure::Away(reason)) => {
                    if !is_in_doubt {
                        tracing::warn!(reason, "inserting again");
                    }
                    is_in_doubt = true;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        figures.inserted(rows, began.elapsed());
        next += rows as i64;
    }
    Ok(())
}
