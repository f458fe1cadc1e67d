//! Reading `rowcall.parameters` and the installation's secret.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::DatabaseError;
use crate::job::{Completion, Policy, RetryOn, RunnerName, StatusRunningBy, UnknownWord};
use crate::parameters::{Deadlines, Task, WriteBackColumns};

/// The installation's id, and the secret that tokens are derived from; the latter is never shown.
pub async fn instance(client: &impl GenericClient) -> Result<(String, Vec<u8>), DatabaseError> {
    let row = client.query_one(include_str!("../../sql/queries/tasks/instance.sql"), &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Every task, highest priority first.
pub async fn load_parameters(client: &impl GenericClient) -> Result<Vec<Task>, DatabaseError> {
    let statement = client.prepare_cached(include_str!("../../sql/queries/tasks/parameters.sql")).await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter().map(|row| Ok(task(row)?)).collect()
}

fn task(row: &Row) -> Result<Task, UnknownWord> {
    Ok(Task {
        name: row.get("name"),
        enabled: row.get("enabled"),
        source_table: row.get("source_table"),
        on_status: row.get("on_status"),
        channel: row.get("channel"),
        runner: RunnerName::parse(row.get("runner"))?,
        target: row.get("target"),
        settings: row.get("settings"),
        command: row.get("command"),
        environment: row.get("environment"),
        values: row.get("values"),
        policy: Policy {
            max_attempts: row.get("max_attempts"),
            backoff: row.get("backoff"),
            backoff_max: row.get("backoff_max"),
            retry_on: RetryOn(row.get("retry_on")),
        },
        completion: Completion::parse(row.get("completion"))?,
        deadlines: Deadlines {
            timeout: row.get("timeout"),
            launch: row.get("launch_timeout"),
            heartbeat: row.get("heartbeat_timeout"),
        },
        max_running: row.get("max_running"),
        priority: row.get("priority"),
        concurrency_key: row.get("concurrency_key"),
        max_running_per_key: row.get("max_running_per_key"),
        status_loop: row.get("status_loop"),
        write_back: WriteBackColumns {
            running: row.get("status_running"),
            running_by_task: StatusRunningBy::parse(row.get("status_running_by"))? == StatusRunningBy::Task,
            succeeded: row.get("status_succeeded"),
            failed: row.get("status_failed"),
            result_column: row.get("result_column"),
            notify_channel: row.get("notify_channel"),
        },
    })
}
