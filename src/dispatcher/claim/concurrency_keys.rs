//! The concurrency keys of jobs that have none yet. Where there is room for them when all else has started, a claim takes such jobs as they are and
//! [`admit`]s those whose keys have room: they get their keys as they start. Otherwise their keys are written down first, so that a claim can
//! count by them ([`key_some`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::database::{
    DatabaseError, RowProblem, SourceRow, Statements, UnkeyedJob, jobs_without_concurrency_key, keys_in_use,
    set_concurrency_keys, source_rows,
};
use crate::dispatcher::claim::prepare::{SortedJobs, grouped};
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

/// Of the ready jobs whose keys have just been rendered, lets those start whose keys have room, in their order; the others wait with their
/// keys. An older one that another session holds, and that has no key yet, is passed over. `is_our_turn`: no other dispatcher counts; otherwise all of them wait.
pub async fn admit(
    client: &impl Statements,
    sorted: &mut SortedJobs,
    is_our_turn: bool,
) -> Result<(), DatabaseError> {
    if sorted.ready.iter().all(|ready| ready.new_key.is_none()) {
        return Ok(());
    }
    let mut by_task: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for ready in &sorted.ready {
        if let Some(key) = &ready.new_key {
            by_task.entry(&ready.task.name).or_default().insert(key);
        }
    }
    let mut in_use = HashMap::new();
    if is_our_turn {
        for (task, keys) in by_task {
            let keys: Vec<&str> = keys.into_iter().collect();
            in_use.insert(task.to_owned(), keys_in_use(client, task, &keys).await?);
        }
    }
    for mut ready in std::mem::take(&mut sorted.ready) {
        let Some(key) = &ready.new_key else {
            sorted.ready.push(ready);
            continue;
        };
        let room = in_use.get_mut(&ready.task.name).and_then(|keys| keys.get_mut(key));
        let cap = i64::from(ready.task.max_running_per_key);
        match room.filter(|key| !key.others_wait && key.running < cap) {
            Some(key) => {
                key.running += 1;
                sorted.ready.push(ready);
            }
            None => sorted.rekeyed.extend(ready.new_key.take().map(|key| (ready.job.job_id, key))),
        }
    }
    Ok(())
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
