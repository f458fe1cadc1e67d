//! Takes jobs while there is room for them, in batches, each in one transaction with its attempts.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio::sync::mpsc;

use super::pace::{Trouble, jittered};
use super::prepare::prepare;
use super::shared::{Handle, Shared};
use super::{DispatcherError, Mode};
use crate::database::{Claimed, DatabaseError, SchemaError, claim, guard, promote_waiting, running_counts};
use crate::parameters::Task;
use crate::runners::Attempt;

/// A round that found nothing is repeated no sooner than this when the next job's time comes.
const SOONEST: Duration = Duration::from_millis(5);

/// Claims until told to stop; in drain mode, until nothing is due and nothing runs.
pub async fn run(shared: Handle, mode: Mode, launch: mpsc::Sender<Vec<Attempt>>) {
    let mut trouble = Trouble::new("claiming");
    loop {
        let round = tokio::select! {
            biased;
            () = shared.draining.cancelled() => return,
            round = round(&shared, &launch) => round,
        };
        let wait = match round {
            Ok(next_due) => {
                trouble.over();
                if mode == Mode::Drain && !shared.rescued.is_cancelled() {
                    // What a dead dispatcher left is due, too.
                    tokio::select! {
                        () = shared.draining.cancelled() => return,
                        () = shared.rescued.cancelled() => continue,
                    }
                }
                if mode == Mode::Drain && shared.following.is_empty() {
                    shared.draining.cancel();
                    return;
                }
                let poll = if shared.is_listening() {
                    shared.settings.dispatcher.poll_interval
                } else {
                    shared.settings.dispatcher.poll_interval_without_listen
                };
                next_due.map_or_else(|| jittered(poll), |due| due.max(SOONEST).min(jittered(poll)))
            }
            Err(SchemaError::Database(error)) => trouble.wait(&error),
            Err(error) => return shared.give_up(DispatcherError::Schema(error)),
        };
        tokio::select! {
            () = shared.draining.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Claims until there is nothing to claim or no more room. Returns when the next waiting job is due.
async fn round(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
) -> Result<Option<Duration>, SchemaError> {
    if !shared.runners.iter().any(|runner| any_task(shared, runner.name())) {
        // Nothing to claim would be found, and so no new task be noticed.
        let client = shared.database.get().await?;
        let guarded = guard(&client).await?;
        shared.parameters.refresh(&client, &guarded.parameters_stamp).await?;
    }
    loop {
        while claim_all(shared, launch).await? && !shared.draining.is_cancelled() {}
        // Only now, so that a job that has just come in need not wait for it.
        let (promoted, next_due) = promote_waiting(&shared.database.get().await?).await?;
        if promoted == 0 || shared.draining.is_cancelled() {
            return Ok(next_due);
        }
    }
}

fn any_task(shared: &Shared, runner: &str) -> bool {
    shared.parameters.tasks().iter().any(|task| task.enabled && task.runner == runner)
}

/// One claim for each runner that has room. True if any found something.
async fn claim_all(shared: &Shared, launch: &mpsc::Sender<Vec<Attempt>>) -> Result<bool, SchemaError> {
    let mut found = false;
    for runner in shared.runners.iter() {
        // Tasks with a cap are claimed apart, so that the others need not wait for the lock that makes caps exact.
        for capped in [false, true] {
            let room = runner.capacity().saturating_sub(shared.following.count(runner.name()));
            let limit = room.min(shared.settings.dispatcher.batch);
            if limit == 0 {
                continue;
            }
            let Some(attempts) = claim_batch(shared, runner.name(), capped, limit).await? else { continue };
            found = true;
            if !attempts.is_empty() {
                tracing::debug!(attempts = attempts.len(), runner = runner.name(), "claimed");
                shared.following.add(attempts.iter().map(|a| (a.clone(), false)));
                // The launcher outlives the claimer; what it could not take is adopted by others.
                let _ = launch.send(attempts).await;
            }
        }
    }
    Ok(found)
}

/// One claim in one transaction. `None` if there was nothing to claim.
async fn claim_batch(
    shared: &Shared,
    runner: &str,
    capped: bool,
    limit: usize,
) -> Result<Option<Vec<Attempt>>, SchemaError> {
    let mut client = shared.database.get().await?;
    loop {
        let tasks = shared.parameters.tasks();
        let tasks: Vec<&Task> = tasks
            .iter()
            .filter(|task| task.enabled && task.runner == runner && task.max_running.is_some() == capped)
            .collect();
        if tasks.is_empty() {
            return Ok(None);
        }
        let transaction = client.transaction().await.map_err(DatabaseError::from)?;
        // Sent together, answered together: one way to the server and back.
        let (guarded, claimed) =
            tokio::join!(guard(&transaction), claim_jobs(&transaction, &tasks, capped, limit));
        let guarded = guarded?;
        if shared.parameters.are_as_of(&guarded.parameters_stamp) {
            let claimed = claimed?;
            if claimed.is_empty() {
                return Ok(None);
            }
            let attempts = prepare(shared, &transaction, claimed).await?;
            transaction.commit().await.map_err(DatabaseError::from)?;
            return Ok(Some(attempts));
        }
        // Somebody edited the parameters: nothing was claimed, and the next try goes by the new ones.
        transaction.rollback().await.map_err(DatabaseError::from)?;
        shared.parameters.refresh(&client, &guarded.parameters_stamp).await?;
    }
}

async fn claim_jobs(
    client: &impl GenericClient,
    tasks: &[&Task],
    capped: bool,
    limit: usize,
) -> Result<Vec<Claimed>, DatabaseError> {
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let mut room = vec![limit as i64; tasks.len()];
    if capped {
        let running = running_counts(client, &names).await?;
        for (room, task) in room.iter_mut().zip(tasks) {
            let cap = task.max_running.map_or(i64::MAX, i64::from);
            *room = (*room).min(cap - running.get(&task.name).copied().unwrap_or(0)).max(0);
        }
    }
    claim(client, &names, &room, limit as i64).await
}
