//! Statements on jobs that share their row and its status: several tasks on one status.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use serde_json::Value;

use super::DatabaseError;

/// The other unsettled jobs that the same status of the same row asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Siblings {
    /// Their ids.
    pub jobs: Vec<i64>,
    /// Whether all of them are locked by us; if not, this is no moment to decide anything.
    pub held: bool,
}

/// Finds and locks the siblings of these jobs, without waiting; jobs that have none are not in the answer.
pub async fn lock_siblings(
    client: &impl GenericClient,
    jobs: &[i64],
) -> Result<HashMap<i64, Siblings>, DatabaseError> {
    if jobs.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = client.prepare_cached(include_str!("../../sql/queries/siblings_lock.sql")).await?;
    let rows = client.query(&statement, &[&jobs]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get("job_id"), Siblings { jobs: row.get("siblings"), held: row.get("held") }))
        .collect())
}

/// Tells jobs in which status a sibling has put their row.
pub async fn tell_left_in(
    client: &impl GenericClient,
    left_in: &[(i64, String)],
) -> Result<(), DatabaseError> {
    if left_in.is_empty() {
        return Ok(());
    }
    let (jobs, statuses): (Vec<i64>, Vec<&str>) = left_in.iter().map(|(id, s)| (*id, s.as_str())).unzip();
    let statement = client.prepare_cached(include_str!("../../sql/queries/siblings_left_in.sql")).await?;
    client.execute(&statement, &[&jobs, &statuses]).await?;
    Ok(())
}

/// Tells jobs how a sibling ended.
pub async fn tell_withheld(
    client: &impl GenericClient,
    withheld: &[(i64, Value)],
) -> Result<(), DatabaseError> {
    if withheld.is_empty() {
        return Ok(());
    }
    let (jobs, how): (Vec<i64>, Vec<&Value>) = withheld.iter().map(|(id, how)| (*id, how)).unzip();
    let statement = client.prepare_cached(include_str!("../../sql/queries/siblings_withheld.sql")).await?;
    client.execute(&statement, &[&jobs, &how]).await?;
    Ok(())
}

/// Jobs that start now need no more to be told where their row was.
pub async fn forget_left_in(client: &impl GenericClient, jobs: &[i64]) -> Result<(), DatabaseError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let statement = client.prepare_cached(include_str!("../../sql/queries/left_in_forget.sql")).await?;
    client.execute(&statement, &[&jobs]).await?;
    Ok(())
}
