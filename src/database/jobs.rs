//! Statements on `rowcall.jobs` before an attempt exists, and the janitor's.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::GenericClient;
use serde_json::Value;
use tokio_postgres::Client;

use super::DatabaseError;

/// A job that is ours to launch.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The job.
    pub job_id: i64,
    /// Its task.
    pub task: String,
    /// The table of its row, as an OID.
    pub source_table: u32,
    /// The row's primary key.
    pub row_key: Value,
    /// The status that asked for it.
    pub on_status: String,
    /// The number of the attempt to be made.
    pub number: i32,
    /// The id of the attempt to be made.
    pub attempt_id: i64,
    /// Statuses in which the attempt before left the row.
    pub left_in: Option<Value>,
}

/// Keeps this transaction's statements from waiting long for anybody's lock, and from reading whole tables by a
/// plan made when they were empty.
pub async fn be_careful(client: &impl GenericClient) -> Result<(), DatabaseError> {
    let statement = client.prepare_cached(include_str!("../../sql/queries/careful.sql")).await?;
    client.execute(&statement, &[]).await?;
    Ok(())
}

/// How many jobs of each task run now, counted under the lock that makes caps exact.
pub async fn running_counts(
    client: &impl GenericClient,
    tasks: &[&str],
) -> Result<HashMap<String, i64>, DatabaseError> {
    client.execute(include_str!("../../sql/queries/claim_lock.sql"), &[]).await?;
    let statement = client.prepare_cached(include_str!("../../sql/queries/running_counts.sql")).await?;
    Ok(client.query(&statement, &[&tasks]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Takes up to `limit` jobs, task by task in the order given, at most `room` of each.
pub async fn claim(
    client: &impl GenericClient,
    tasks: &[&str],
    room: &[i64],
    limit: i64,
) -> Result<Vec<Claimed>, DatabaseError> {
    let statement = client.prepare_cached(include_str!("../../sql/queries/claim.sql")).await?;
    Ok(client
        .query(&statement, &[&tasks, &room, &limit])
        .await?
        .iter()
        .map(|row| Claimed {
            job_id: row.get("id"),
            task: row.get("task"),
            source_table: row.get("source_table"),
            row_key: row.get("row_key"),
            on_status: row.get("on_status"),
            number: row.get("attempts"),
            attempt_id: row.get("attempt_id"),
            left_in: row.get("left_in"),
        })
        .collect())
}

/// Makes due jobs claimable: how many, and how long until the next one is due. Planned each time: see
/// [`be_careful`], which a statement without a transaction of its own cannot use.
pub async fn promote_waiting(client: &Client) -> Result<(i64, Option<Duration>), DatabaseError> {
    let row = client.query_typed_one(include_str!("../../sql/queries/promote_waiting.sql"), &[]).await?;
    let next: Option<f64> = row.get("next_in");
    Ok((row.get("promoted"), next.and_then(|s| Duration::try_from_secs_f64(s.max(0.0)).ok())))
}

/// Claimed jobs that cannot be launched as things stand, each with the reason.
pub async fn block(client: &impl GenericClient, jobs: &[(i64, String)]) -> Result<(), DatabaseError> {
    with_reasons(client, include_str!("../../sql/queries/jobs_block.sql"), jobs).await
}

/// Claimed jobs whose wish no longer stands, each with the reason.
pub async fn mark_obsolete(client: &impl GenericClient, jobs: &[(i64, String)]) -> Result<(), DatabaseError> {
    with_reasons(client, include_str!("../../sql/queries/jobs_obsolete.sql"), jobs).await
}

async fn with_reasons(
    client: &impl GenericClient,
    sql: &str,
    jobs: &[(i64, String)],
) -> Result<(), DatabaseError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (ids, reasons): (Vec<i64>, Vec<&str>) =
        jobs.iter().map(|(id, reason)| (*id, reason.as_str())).unzip();
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[&ids, &reasons]).await?;
    Ok(())
}

/// Claimed jobs whose row is held by somebody: back after `delay`.
pub async fn defer(client: &impl GenericClient, jobs: &[i64], delay: Duration) -> Result<(), DatabaseError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let statement = client.prepare_cached(include_str!("../../sql/queries/jobs_defer.sql")).await?;
    client
        .execute(&statement, &[&jobs, &delay.as_secs_f64(), &"somebody's transaction holds the row"])
        .await?;
    Ok(())
}

/// One round of tidying. Returns (rows the trigger missed, jobs blocked for want of an owner, jobs released).
pub async fn janitor(
    client: &impl GenericClient,
    dead_after: Duration,
    keep: Duration,
) -> Result<(i64, u64, i64), DatabaseError> {
    let missed: i64 =
        client.query_one(include_str!("../../sql/queries/enqueue_missed.sql"), &[]).await?.get(0);
    let blocked = client
        .execute(include_str!("../../sql/queries/block_unowned.sql"), &[&dead_after.as_secs_f64()])
        .await?;
    let released: i64 =
        client.query_one(include_str!("../../sql/queries/release_owned.sql"), &[]).await?.get(0);
    client.execute(include_str!("../../sql/queries/keep_history.sql"), &[&keep.as_secs_f64()]).await?;
    client.execute(include_str!("../../sql/queries/dispatchers_forget.sql"), &[]).await?;
    Ok((missed, blocked, released))
}
