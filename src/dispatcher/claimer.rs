//! Takes jobs while there is room for them, in batches, each in one transaction with its attempts.

use std::time::Duration;

use tokio::sync::mpsc;

use super::pace::{Trouble, jittered};
use super::prepare::prepare;
use super::shared::{Handle, Shared};
use super::{DispatcherError, Mode};
use crate::database::{DatabaseError, SchemaError, claim, guard, promote_waiting, running_counts};
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

/// Claims until a round comes back short or there is no more room. Returns when the next waiting job is due.
async fn round(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
) -> Result<Option<Duration>, SchemaError> {
    let client = shared.database.get().await?;
    let mut next_due = promote_waiting(&client).await?.1;
    drop(client);
    loop {
        let mut claimed_any = false;
        for runner in shared.runners.iter() {
            // Tasks with a cap are claimed apart, so that the others need not wait for the lock that makes
            // caps exact.
            for capped in [false, true] {
                let room = runner.capacity().saturating_sub(shared.following.count(runner.name()));
                let limit = room.min(shared.settings.dispatcher.batch);
                if limit == 0 {
                    continue;
                }
                let attempts = claim_batch(shared, runner.name(), capped, limit).await?;
                if let Some(attempts) = attempts {
                    claimed_any = true;
                    if !attempts.is_empty() {
                        tracing::debug!(attempts = attempts.len(), runner = runner.name(), "claimed");
                        shared.following.add(attempts.iter().map(|a| (a.clone(), false)));
                        // The launcher outlives the claimer; what it could not take is adopted by others.
                        let _ = launch.send(attempts).await;
                    }
                }
            }
        }
        if !claimed_any || shared.draining.is_cancelled() {
            break;
        }
        // Preparing may have put jobs aside for a moment.
        next_due = promote_waiting(&shared.database.get().await?).await?.1;
    }
    Ok(next_due)
}

/// One claim in one transaction. `None` if there was nothing to claim.
///
/// Schema and parameters are looked at after the claim: whatever committed together with a claimed job, or
/// before it, is then seen. Looked at before, a job could run by parameters that its own transaction replaced.
async fn claim_batch(
    shared: &Shared,
    runner: &str,
    capped: bool,
    limit: usize,
) -> Result<Option<Vec<Attempt>>, SchemaError> {
    let mine = |task: &Task| task.enabled && task.runner == runner && task.max_running.is_some() == capped;
    let mut client = shared.database.get().await?;
    let tasks = shared.parameters.tasks();
    let tasks: Vec<&Task> = tasks.iter().filter(|task| mine(task)).collect();
    if tasks.is_empty() {
        let guarded = guard(&client).await?;
        return Ok(shared.parameters.refresh(&client, &guarded.parameters_stamp).await?.then(Vec::new));
    }
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();

    let transaction = client.transaction().await.map_err(DatabaseError::from)?;
    let mut room = vec![limit as i64; tasks.len()];
    if capped {
        let running = running_counts(&transaction, &names).await?;
        for (room, task) in room.iter_mut().zip(&tasks) {
            let cap = task.max_running.map_or(i64::MAX, i64::from);
            *room = (*room).min(cap - running.get(&task.name).copied().unwrap_or(0)).max(0);
        }
    }
    let claimed = claim(&transaction, &names, &room, limit as i64).await?;
    let guarded = guard(&transaction).await?;
    if shared.parameters.refresh(&transaction, &guarded.parameters_stamp).await? {
        // Rolled back; the next try is by the new ones.
        return Ok(Some(Vec::new()));
    }
    if claimed.is_empty() {
        return Ok(None);
    }
    let attempts = prepare(shared, &transaction, claimed).await?;
    transaction.commit().await.map_err(DatabaseError::from)?;
    Ok(Some(attempts))
}
