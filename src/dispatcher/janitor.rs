//! Tidies: partitions of the history, jobs nobody would ever claim, rows that a trigger missed.

use super::pace::{Trouble, jittered};
use super::shared::{Handle, Shared};
use crate::database::{DatabaseError, janitor, open_launch_keys};

/// Tidies at once, then now and then.
pub async fn run(shared: Handle) {
    let mut trouble = Trouble::new("tidying");
    loop {
        let wait = match tidy(&shared).await {
            Ok(()) => {
                trouble.over();
                jittered(shared.settings.dispatcher.janitor_interval)
            }
            Err(error) => trouble.wait(&error),
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn tidy(shared: &Shared) -> Result<(), DatabaseError> {
    let client = shared.database.get().await?;
    let (missed, blocked, released) =
        janitor(&client, shared.settings.dispatcher.dead_after, shared.settings.history.keep).await?;
    for runner in shared.runners.iter() {
        runner.sweep(&open_launch_keys(&client, runner.name()).await?).await;
    }
    if missed > 0 {
        tracing::warn!(rows = missed, "a trigger had missed rows; their jobs are made now");
    }
    if blocked > 0 {
        tracing::warn!(jobs = blocked, "jobs blocked: nobody would ever have claimed them");
    }
    if missed > 0 || released > 0 {
        shared.wake.notify_one();
    }
    Ok(())
}
