//! Statements on `rowcall.jobs` before an attempt exists, and the janitor's.

use std::time::Duration;

use super::DatabaseError;
use super::columns::Columns as _;
use super::session::Transaction;
use super::statements::Statements;
use crate::job::{DispatcherId, JobId};

/// What a look that found nothing to claim came to.
#[derive(Debug, Clone, Copy)]
pub struct Promoted {
    /// Jobs that were waiting, and are claimable now.
    pub jobs: i64,
    /// How long until the next one is due.
    pub next_due: Option<Duration>,
    /// Whether triggers have noted rows whose jobs they could not make.
    pub has_missed_rows: bool,
}

/// Makes due jobs claimable.
pub async fn promote_waiting(client: &Transaction<'_>) -> Result<Promoted, DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/jobs/promote_waiting.sql"), &[]).await?;
    let next: Option<f64> = row.column("next_in")?;
    Ok(Promoted {
        jobs: row.column("promoted")?,
        next_due: next.and_then(|s| Duration::try_from_secs_f64(s.max(0.0)).ok()),
        has_missed_rows: row.column("has_missed_rows")?,
    })
}

/// Locked jobs that cannot be started as things stand, each with the reason.
pub async fn block(client: &impl Statements, jobs: &[(JobId, String)]) -> Result<(), DatabaseError> {
    with_reasons(client, include_str!("../../sql/queries/jobs/jobs_block.sql"), jobs).await
}

/// Locked jobs whose row withdrew its request, each with the reason.
pub async fn mark_obsolete(client: &impl Statements, jobs: &[(JobId, String)]) -> Result<(), DatabaseError> {
    with_reasons(client, include_str!("../../sql/queries/jobs/jobs_obsolete.sql"), jobs).await
}

async fn with_reasons(
    client: &impl Statements,
    sql: &str,
    jobs: &[(JobId, String)],
) -> Result<(), DatabaseError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (ids, reasons): (Vec<JobId>, Vec<&str>) =
        jobs.iter().map(|(id, reason)| (*id, reason.as_str())).unzip();
    client.run(sql, &[&ids, &reasons]).await?;
    Ok(())
}

/// Locked jobs that the settings of this dispatcher forbid, each with the reason. Returns how many of them no other may start
/// either, so that they are blocked.
pub async fn refuse(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    jobs: &[(JobId, String)],
) -> Result<usize, DatabaseError> {
    if jobs.is_empty() {
        return Ok(0);
    }
    let (ids, reasons): (Vec<JobId>, Vec<&str>) =
        jobs.iter().map(|(id, reason)| (*id, reason.as_str())).unzip();
    let rows = client
        .rows(include_str!("../../sql/queries/jobs/jobs_refuse.sql"), &[&ids, &reasons, &dispatcher_id])
        .await?;
    let blocked: Vec<bool> = rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?;
    Ok(blocked.into_iter().filter(|blocked| *blocked).count())
}

/// Locked jobs that cannot have their row now, and why: back after `delay`, or later if that has
/// been so for long.
pub async fn defer(
    client: &impl Statements,
    jobs: &[JobId],
    delay: Duration,
    reason: &str,
) -> Result<(), DatabaseError> {
    if jobs.is_empty() {
        return Ok(());
    }
    client
        .run(include_str!("../../sql/queries/jobs/jobs_defer.sql"), &[&jobs, &delay.as_secs_f64(), &reason])
        .await?;
    Ok(())
}

/// Makes the jobs for rows that a trigger noted as missed: how many notes were dealt with, or none if there are none.
pub async fn enqueue_missed(client: &impl Statements) -> Result<Option<i64>, DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/jobs/enqueue_missed.sql"), &[]).await?;
    Ok(row.column(0)?)
}

/// Blocks jobs that no dispatcher would ever claim; returns how many.
pub async fn block_unowned(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
) -> Result<u64, DatabaseError> {
    Ok(client.run(include_str!("../../sql/queries/jobs/block_unowned.sql"), &[&dispatcher_id]).await?)
}

/// Releases every blocked job: this dispatcher was taken for dead, and is back. Returns how many.
pub async fn release_all(client: &impl Statements) -> Result<i64, DatabaseError> {
    Ok(client.one(include_str!("../../sql/queries/jobs/release_all.sql"), &[]).await?.column(0)?)
}

/// Releases what an edit of parameters has missed; returns how many jobs.
pub async fn release_owned(client: &impl Statements) -> Result<i64, DatabaseError> {
    let released: i64 =
        client.one(include_str!("../../sql/queries/jobs/release_owned.sql"), &[]).await?.column(0)?;
    let unkeyed: i64 = client
        .one(include_str!("../../sql/queries/jobs/forget_concurrency_keys.sql"), &[])
        .await?
        .column(0)?;
    Ok(released + unkeyed)
}

/// Makes and drops partitions of the history, and forgets old attempts.
pub async fn keep_history(client: &impl Statements, keep: Duration) -> Result<(), DatabaseError> {
    client.run(include_str!("../../sql/queries/jobs/keep_history.sql"), &[&keep.as_secs_f64()]).await?;
    Ok(())
}

/// Forgets dispatchers that are long gone.
pub async fn forget_dispatchers(client: &impl Statements) -> Result<(), DatabaseError> {
    client.run(include_str!("../../sql/queries/jobs/dispatchers_forget.sql"), &[]).await?;
    Ok(())
}
