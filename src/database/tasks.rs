//! Reading `rowcall.parameters` and the installation's secret.

use tokio_postgres::Row;

use super::DatabaseError;
use super::columns::{Columns as _, Noted, Unreadable};
use super::statements::Statements;
use crate::job::{Completion, OnMoved, Policy, RetryOn, RunnerName, StatusRunningBy};
use crate::parameters::{Deadlines, Task, WriteBackColumns};

/// The installation's id, and the secret that tokens are derived from; the latter is never shown.
pub async fn instance(client: &impl Statements) -> Result<(String, Vec<u8>), DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/tasks/instance.sql"), &[]).await?;
    Ok((row.column(0)?, row.column(1)?))
}

/// Where the original of this database is, if it is a copy of one in which dispatchers have worked. `has_moved`: it is not,
/// whatever it looks like; from now on this is its place.
pub async fn copied_from(client: &impl Statements, has_moved: bool) -> Result<Option<String>, DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/tasks/copied_from.sql"), &[&has_moved]).await?;
    Ok(row.column(0)?)
}

/// Every task, highest priority first; without those whose runner this program does not know, which it cannot offer either.
pub async fn load_parameters(client: &impl Statements) -> Result<Vec<Task>, DatabaseError> {
    let rows = client.rows(include_str!("../../sql/queries/tasks/parameters.sql"), &[]).await?;
    let tasks = rows.iter().filter_map(|row| task(row).transpose());
    Ok(tasks.collect::<Result<_, _>>()?)
}

/// A task. What cannot be read of it is noted with it, and stops its own jobs only.
fn task(row: &Row) -> Result<Option<Task>, Unreadable> {
    let Ok(runner) = RunnerName::parse(row.column("runner")?) else { return Ok(None) };
    let mut unreadable = Noted::default();
    let task = Task {
        name: row.column("name")?,
        version: row.column("version")?,
        enabled: row.column("enabled")?,
        source_table: row.column("source_table")?,
        on_status: unreadable.note(row.column("on_status")),
        channel: unreadable.note(row.column("channel")),
        runner,
        target: unreadable.note(row.column("target")),
        settings: unreadable.note(row.column("settings")),
        command: unreadable.note(row.column("command")),
        environment: unreadable.note(row.column("environment")),
        values: unreadable.note(row.column("values")),
        policy: Policy {
            max_attempts: row.column("max_attempts")?,
            backoff: row.column("backoff")?,
            backoff_max: row.column("backoff_max")?,
            retry_on: RetryOn(unreadable.note(row.column("retry_on"))),
        },
        completion: unreadable
            .note(row.column("completion").and_then(|word| Ok(Some(Completion::parse(word)?))))
            .unwrap_or(Completion::Report),
        deadlines: Deadlines {
            timeout: row.column("timeout")?,
            launch: row.column("launch_timeout")?,
            heartbeat: row.column("heartbeat_timeout")?,
        },
        max_running: row.column("max_running")?,
        priority: row.column("priority")?,
        concurrency_key: unreadable.note(row.column("concurrency_key")),
        max_running_per_key: row.column("max_running_per_key")?,
        status_loop: unreadable.note(row.column("status_loop")),
        write_back: WriteBackColumns {
            running: unreadable.note(row.column("status_running")),
            running_by_task: unreadable.note(
                row.column("status_running_by").and_then(|word| Ok(Some(StatusRunningBy::parse(word)?))),
            ) == Some(StatusRunningBy::Task),
            on_moved: unreadable
                .note(row.column("on_moved").and_then(|word| Ok(Some(OnMoved::parse(word)?))))
                .unwrap_or(OnMoved::Finish),
            succeeded: unreadable.note(row.column("status_succeeded")),
            failed: unreadable.note(row.column("status_failed")),
            runner_failed: unreadable.note(row.column("status_runner_failed")),
            result_column: unreadable.note(row.column("result_column")),
            notify_channel: unreadable.note(row.column("notify_channel")),
        },
        unreadable: None,
    };
    Ok(Some(Task { unreadable: unreadable.first.map(|reason| reason.to_string()), ..task }))
}
