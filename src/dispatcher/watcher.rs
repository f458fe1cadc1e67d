//! Follows what runs: stops what is past its deadline, and asks runners about ends that nobody announced.

use std::time::Duration;

use super::pace::{Trouble, jittered};
use super::shared::{Handle, Shared};
use crate::database::{DatabaseError, overdue_attempts};
use crate::job::End;
use crate::runners::Observation;

/// A stop that has shown no effect for so long is taken for the end: nothing may hang for ever.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// Looks again and again.
pub async fn run(shared: Handle) {
    let mut trouble = Trouble::new("watching");
    loop {
        let wait = match sweep(&shared).await {
            Ok(()) => {
                trouble.over();
                jittered(shared.settings.dispatcher.watch_interval)
            }
            Err(error) => trouble.wait(&error),
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn sweep(shared: &Shared) -> Result<(), DatabaseError> {
    if shared.following.is_empty() {
        return Ok(());
    }
    // Runners first: what has ended needs no stop, and this needs no database.
    for runner in shared.runners.iter() {
        let attempts = shared.following.launched_on(runner.name());
        if attempts.is_empty() {
            continue;
        }
        let observations = runner.observe(&attempts).await;
        for (attempt, observation) in attempts.iter().zip(observations) {
            match observation {
                Observation::Running => {}
                Observation::Ended(end) => {
                    let _ = shared.ends.send((attempt.id, end));
                }
                Observation::Unknown(reason) => {
                    tracing::debug!(attempt = attempt.id, reason, "cannot be observed now");
                }
            }
        }
    }
    let client = shared.database.get().await?;
    let overdue = overdue_attempts(&client, shared.id, shared.settings.dispatcher.report_grace).await?;
    drop(client);
    for overdue in overdue {
        stop(shared, overdue.id, &overdue.reason).await;
    }
    Ok(())
}

async fn stop(shared: &Shared, id: i64, reason: &str) {
    let Some((followed, since)) = shared.following.stopping(id) else { return };
    let attempt = &followed.attempt;
    if !followed.launched {
        // Its runner has never said that it took it: there is nothing to stop by name.
        let _ = shared.ends.send((id, End::not_started(reason, true)));
        return;
    }
    if since.elapsed() > STOP_LIMIT {
        let _ =
            shared.ends.send((id, End::lost(format!("it did not end although it was stopped ({reason})"))));
        return;
    }
    if followed.stopping_since.is_none() {
        tracing::info!(
            job = attempt.job_id,
            attempt = attempt.number,
            task = attempt.task,
            reason,
            "stopping"
        );
        if let Some(runner) = shared.runners.get(&attempt.request.runner)
            && let Err(error) = runner.stop(attempt, reason).await
        {
            tracing::warn!(attempt = id, error, "cannot be stopped");
        }
    }
}
