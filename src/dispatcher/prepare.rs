//! From claimed jobs to attempts that may be launched, within the claim's own transaction: look at the rows,
//! render, mark the rows as running, write the attempts down. A job that cannot go on is set aside with the
//! reason; the others are not disturbed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::GenericClient;
use serde_json::Value;

use super::pace::jittered;
use super::shared::Shared;
use super::token;
use crate::database::{
    Claimed, DatabaseError, NewAttempt, RowWriting, SourceRow, Written, block, create_attempts, defer,
    mark_obsolete, source_rows, write_back,
};
use crate::parameters::{JobContext, Task, render};
use crate::runners::{Age, Attempt, Request};

/// How long a job whose row somebody holds is left alone.
const ROW_HELD: Duration = Duration::from_millis(500);

/// The word of `rowcall.source_rows` for a table that somebody has locked.
const LOCKED: &str = "locked";

/// What claimed jobs turned out to be.
#[derive(Default)]
struct Sorted {
    ready: Vec<(Claimed, Arc<Task>, Request)>,
    blocked: Vec<(i64, String)>,
    obsolete: Vec<(i64, String)>,
    held: Vec<i64>,
}

/// Prepares a claimed batch. The attempts returned are written down once the caller commits.
pub async fn prepare(
    shared: &Shared,
    client: &impl GenericClient,
    claimed: Vec<Claimed>,
) -> Result<Vec<Attempt>, DatabaseError> {
    let tasks = shared.parameters.tasks();
    let by_name: HashMap<&str, Arc<Task>> =
        tasks.iter().map(|task| (task.name.as_str(), Arc::new(task.clone()))).collect();
    let mut sorted = Sorted::default();
    for (source_table, jobs) in grouped(claimed, |job| job.source_table) {
        let keys: Vec<Value> = jobs.iter().map(|job| job.row_key.clone()).collect();
        match source_rows(client, source_table, &keys).await? {
            Err(error) if error == LOCKED => sorted.held.extend(jobs.into_iter().map(|job| job.job_id)),
            Err(error) => sorted
                .blocked
                .extend(jobs.into_iter().map(|job| (job.job_id, format!("the row cannot be read: {error}")))),
            Ok(rows) => {
                let rows: HashMap<String, SourceRow> =
                    rows.into_iter().map(|row| (row.key.to_string(), row)).collect();
                for job in jobs {
                    let row = rows.get(&job.row_key.to_string());
                    sort(shared, &mut sorted, by_name.get(job.task.as_str()), job, row);
                }
            }
        }
    }
    mark_running(client, &mut sorted).await?;

    let attempts = write_down(shared, client, sorted.ready).await?;
    block(client, &sorted.blocked).await?;
    mark_obsolete(client, &sorted.obsolete).await?;
    defer(client, &sorted.held, jittered(ROW_HELD)).await?;
    for (reason, jobs) in grouped(sorted.blocked, |(_, reason)| reason.clone()) {
        tracing::warn!(jobs = jobs.len(), first_job = jobs[0].0, reason, "blocked");
    }
    Ok(attempts)
}

/// Decides about one job by its row and its task.
fn sort(
    shared: &Shared,
    sorted: &mut Sorted,
    task: Option<&Arc<Task>>,
    job: Claimed,
    row: Option<&SourceRow>,
) {
    let Some(task) = task else {
        sorted.blocked.push((job.job_id, format!("no parameters row named {}", job.task)));
        return;
    };
    let Some(row) = row else {
        sorted.obsolete.push((job.job_id, "the row was deleted".to_owned()));
        return;
    };
    let status = row.status.as_deref().unwrap_or("null");
    let left_in = job.left_in.as_ref().and_then(Value::as_array).into_iter().flatten();
    if status != job.on_status && !left_in.into_iter().any(|left| left == status) {
        sorted.obsolete.push((job.job_id, format!("the row moved on to {status}")));
        return;
    }
    let context =
        JobContext { id: job.job_id, attempt: job.number, row_key: &job.row_key, on_status: &job.on_status };
    let runner = shared.runners.get(&task.runner);
    let data = row.data.as_ref().map_err(|error| format!("the row cannot be read: {error}"));
    let request = data.and_then(|data| render(task, context, data)).and_then(|request| match runner {
        Some(runner) => runner.check(&request).map(|()| {
            let mut request = request;
            runner.freeze(&mut request);
            request
        }),
        None => Err(format!("this dispatcher does not offer the runner {}", task.runner)),
    });
    match request {
        Ok(request) => sorted.ready.push((job, Arc::clone(task), request)),
        Err(reason) => sorted.blocked.push((job.job_id, reason)),
    }
}

/// Gives the rows of ready jobs their running status. Whose row cannot be written does not run.
async fn mark_running(client: &impl GenericClient, sorted: &mut Sorted) -> Result<(), DatabaseError> {
    let ready = std::mem::take(&mut sorted.ready);
    let (marking, unmarked): (Vec<_>, Vec<_>) =
        ready.into_iter().partition(|(_, task, _)| task.write_back.running.is_some());
    sorted.ready = unmarked;
    for (source_table, jobs) in grouped(marking, |(job, ..)| job.source_table) {
        let rows: Vec<RowWriting> = jobs
            .iter()
            .map(|(job, task, _)| {
                let mut expected = vec![job.on_status.clone()];
                let left_in = job.left_in.as_ref().and_then(Value::as_array).into_iter().flatten();
                expected.extend(left_in.filter_map(Value::as_str).map(str::to_owned));
                RowWriting {
                    key: job.row_key.clone(),
                    expected,
                    status: task.write_back.running.clone(),
                    merge: None,
                }
            })
            .collect();
        let written = write_back(client, source_table, None, &rows).await?;
        for (ready, written) in jobs.into_iter().zip(written) {
            let id = ready.0.job_id;
            match written {
                Written::Written => sorted.ready.push(ready),
                Written::Locked => sorted.held.push(id),
                Written::Moved => sorted.obsolete.push((id, "the row moved on".to_owned())),
                Written::Deleted => sorted.obsolete.push((id, "the row was deleted".to_owned())),
                Written::Failed(error) => {
                    sorted.blocked.push((id, format!("status_running cannot be written: {error}")));
                }
            }
        }
    }
    Ok(())
}

/// Writes the attempts with their frozen requests.
async fn write_down(
    shared: &Shared,
    client: &impl GenericClient,
    ready: Vec<(Claimed, Arc<Task>, Request)>,
) -> Result<Vec<Attempt>, DatabaseError> {
    let mut rows = Vec::with_capacity(ready.len());
    let mut attempts = Vec::with_capacity(ready.len());
    for (job, task, request) in ready {
        let launch_key = shared.launch_key(job.attempt_id);
        rows.push(NewAttempt {
            id: job.attempt_id,
            job_id: job.job_id,
            task: job.task.clone(),
            source_table: job.source_table,
            row_key: job.row_key,
            number: job.number,
            runner: request.runner.clone(),
            token_hash: token::hash(&shared.token(&launch_key)),
            launch_key: launch_key.clone(),
            request: serde_json::to_value(&request).unwrap_or_default(),
            deadlines: task.deadlines,
        });
        attempts.push(Attempt {
            id: job.attempt_id,
            job_id: job.job_id,
            number: job.number,
            task: job.task,
            launch_key,
            request: Arc::new(request),
            external_id: None,
            age: Age::zero(),
            in_doubt: false,
        });
    }
    create_attempts(client, shared.id, &rows).await?;
    Ok(attempts)
}

/// Items by a key, keys in order of first appearance.
pub fn grouped<T, K: PartialEq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let k = key(&item);
        match groups.iter_mut().find(|(other, _)| *other == k) {
            Some((_, group)) => group.push(item),
            None => groups.push((k, vec![item])),
        }
    }
    groups
}
