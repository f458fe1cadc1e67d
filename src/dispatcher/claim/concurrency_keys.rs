//! Renders the concurrency keys of jobs that have none yet, so that a claim can count by them.

use std::collections::HashMap;

use serde_json::Value;

use crate::database::{
    DatabaseError, RowProblem, SourceRow, UnkeyedJob, jobs_without_concurrency_key, set_concurrency_keys,
    source_rows,
};
use crate::dispatcher::claim::prepare::grouped;
use crate::dispatcher::shared::Shared;
use crate::parameters::{JobContext, Task, render_key};

/// Keys a batch of pending jobs of these tasks; returns how many.
///
/// A job whose key cannot be rendered (its row is gone, the template fails) gets one of its own: it is then claimed like
/// others, and the claim finds out and says what is wrong with it.
pub async fn key_some(shared: &Shared, tasks: &[String]) -> Result<usize, DatabaseError> {
    let mut client = shared.database.get().await?;
    let transaction = client.transaction();
    let limit = shared.settings.dispatcher.batch as i64;
    let locking = jobs_without_concurrency_key(&transaction, tasks, limit);
    let ((), jobs) = tokio::try_join!(transaction.begin(), locking)?;
    let known = shared.parameters.tasks();
    let mut keys = Vec::with_capacity(jobs.len());
    let (unreadable, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.unreadable.is_some());
    // With a key of its own, the claim of it says what is wrong.
    keys.extend(unreadable.into_iter().map(|job| (job.job_id, format!("job {}", job.job_id))));
    for (source_table, jobs) in grouped(jobs, |job| job.source_table) {
        let row_keys: Vec<Value> = jobs.iter().map(|job| job.row_key.clone()).collect();
        let rows = source_rows(&transaction, source_table, &row_keys).await?.unwrap_or_default();
        let rows: HashMap<String, SourceRow> =
            rows.into_iter().map(|row| (row.key.to_string(), row)).collect();
        for job in jobs {
            let task = known.iter().find(|task| task.name == job.task);
            let row = rows.get(&job.row_key.to_string());
            if row.is_some_and(|row| row.problem == Some(RowProblem::Later)) {
                continue;
            }
            let key = key_of(task, &job, row);
            keys.push((job.job_id, key.unwrap_or_else(|| format!("job {}", job.job_id))));
        }
    }
    set_concurrency_keys(&transaction, &keys).await?;
    transaction.commit_after_users().await?;
    drop(transaction);
    shared.database.give_back(client);
    Ok(keys.len())
}

fn key_of(task: Option<&Task>, job: &UnkeyedJob, row: Option<&SourceRow>) -> Option<String> {
    let context = JobContext {
        id: job.job_id,
        attempt: job.attempts.saturating_add(1),
        row_key: &job.row_key,
        on_status: &job.on_status,
    };
    // Of a row that cannot be read, its claim says what is wrong.
    let row = row.filter(|row| row.problem.is_none())?;
    render_key(task?, context, &row.data).ok().flatten()
}
