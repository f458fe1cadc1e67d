//! Tidies: partitions of the history, jobs that no dispatcher would ever claim, rows that a trigger missed.

use crate::database::{DatabaseError, attempts_over, janitor};
use crate::dispatcher::pace::again_and_again;
use crate::dispatcher::shared::{Handle, Shared};
use crate::parameters::Task;

/// Tidies at once, then now and then.
pub async fn run(shared: Handle) {
    let interval = shared.settings.dispatcher.janitor_interval;
    again_and_again(&shared.lifecycle.stopping, "tidying", interval, || tidy(&shared)).await;
}

async fn tidy(shared: &Shared) -> Result<(), DatabaseError> {
    let client = shared.database.get().await?;
    let (missed, blocked, released) =
        janitor(&client, shared.settings.dispatcher.dead_after, shared.settings.history.keep).await?;
    drop(client);
    if missed > 0 {
        tracing::warn!(rows = missed, "a trigger had missed rows; their jobs are made now");
    }
    if blocked > 0 {
        tracing::warn!(jobs = blocked, "jobs blocked: no dispatcher would ever claim them");
    }
    if missed > 0 || released > 0 {
        shared.signals.wake.notify_one();
    }
    discard_strays(shared).await
}

/// The runners are asked first and the database after: an attempt launched meanwhile is in the database already.
async fn discard_strays(shared: &Shared) -> Result<(), DatabaseError> {
    let (tasks, prefix) = (shared.parameters.tasks(), shared.identity.launch_key_prefix());
    for runner in shared.runners.iter() {
        let tasks: Vec<&Task> = tasks.iter().filter(|task| task.runner == runner.name()).collect();
        let strays = runner.strays(&prefix, &tasks).await;
        if strays.is_empty() {
            continue;
        }
        let keys: Vec<&str> = strays.iter().map(|stray| stray.launch_key.as_str()).collect();
        let over = attempts_over(&shared.database.get().await?, &keys).await?;
        for stray in strays.iter().filter(|stray| over.contains(&stray.launch_key)) {
            runner.discard(stray).await;
        }
    }
    Ok(())
}
