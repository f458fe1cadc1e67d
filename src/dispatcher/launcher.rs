//! Hands attempts to their runners, a bounded number at a time, and writes down what the runners call them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::pace::{Trouble, jittered};
use super::shared::Handle;
use crate::database::{mark_launched, settled_elsewhere};
use crate::job::End;
use crate::runners::{Attempt, LaunchError};

/// How long an attempt that somebody holds is left alone.
const HELD: Duration = Duration::from_millis(250);

/// Launches what comes in until the channel closes.
pub async fn run(
    shared: Handle,
    mut attempts: mpsc::Receiver<Vec<Attempt>>,
    launched: mpsc::UnboundedSender<(i64, String)>,
) {
    let slots = Arc::new(Semaphore::new(shared.settings.dispatcher.launch_concurrency));
    loop {
        let batch = tokio::select! {
            () = shared.stopping.cancelled() => return,
            batch = attempts.recv() => batch,
        };
        let Some(batch) = batch else { return };
        for attempt in batch {
            let slot = tokio::select! {
                () = shared.stopping.cancelled() => return,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            // Never closed.
            let Ok(slot) = slot else { return };
            let (shared, launched) = (Arc::clone(&shared), launched.clone());
            tokio::spawn(async move {
                launch(&shared, &attempt, &launched).await;
                drop(slot);
            });
        }
    }
}

/// Launches one attempt, repeating it with the same key while its outcome is in doubt.
async fn launch(shared: &Handle, attempt: &Attempt, launched: &mpsc::UnboundedSender<(i64, String)>) {
    let Some(runner) = shared.runners.get(&attempt.request.runner) else {
        let reason = format!("this dispatcher does not offer the runner {}", attempt.request.runner);
        let _ = shared.ends.send((attempt.id, End::not_started(reason, true)));
        return;
    };
    let contract = shared.contract(attempt);
    let mut doubt = Trouble::new("a launch");
    // Ends with success, with refusal, or when the watcher has given up on it (launch_timeout).
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = shared.known_to_live() => {}
        }
        if !shared.following.contains(attempt.id) {
            return;
        }
        match runner.launch(attempt, &contract).await {
            Ok(external_id) => {
                tracing::info!(
                    job = attempt.job_id,
                    attempt = attempt.number,
                    task = attempt.task,
                    external_id,
                    "launched"
                );
                if shared.following.launched(attempt.id, &external_id) {
                    let _ = launched.send((attempt.id, external_id));
                } else {
                    stop_if_over(shared, attempt, external_id).await;
                }
                return;
            }
            Err(LaunchError::Refused { reason, retryable }) => {
                let _ = shared.ends.send((attempt.id, End::not_started(reason, retryable)));
                return;
            }
            Err(error @ LaunchError::Ambiguous(_)) => tokio::select! {
                () = shared.stopping.cancelled() => return,
                () = tokio::time::sleep(doubt.wait(&error)) => {}
            },
        }
    }
}

/// The runner took its time, and the attempt was cancelled or given up meanwhile: nobody would follow what runs
/// now. If another dispatcher has taken the attempt over, it is that one's to follow.
async fn stop_if_over(shared: &Handle, attempt: &Attempt, external_id: String) {
    let over = match shared.database.get().await {
        Ok(client) => settled_elsewhere(&client, &[attempt.id]).await,
        Err(error) => Err(error),
    };
    let Some(runner) = shared.runners.get(&attempt.request.runner) else { return };
    let attempt = Attempt { external_id: Some(external_id), ..attempt.clone() };
    let stopped = match over {
        Ok(over) if over.is_empty() => return,
        Ok(_) => runner.stop(&attempt, "launched after its attempt was over").await,
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = stopped {
        let id = attempt.id;
        tracing::warn!(attempt = id, error, "launched after its attempt was over, and cannot be stopped");
    }
}

/// Writes down launches, as many at a time as have come together.
pub async fn record(shared: Handle, mut launched: mpsc::UnboundedReceiver<(i64, String)>) {
    let mut batch: Vec<(i64, String)> = Vec::new();
    let mut trouble = Trouble::new("recording launches");
    let mut pause = None;
    loop {
        tokio::select! {
            biased;
            received = launched.recv_many(&mut batch, shared.settings.dispatcher.batch) => if received == 0 { return },
            () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
            // A launch that hangs must not hold up the end; the next dispatcher repeats it with the same key.
            () = shared.stopping.cancelled() => return,
        }
        let done = match shared.database.get().await {
            Ok(client) => mark_launched(&client, &batch).await,
            Err(error) => Err(error),
        };
        pause = match done {
            Ok(held) => {
                trouble.over();
                batch.retain(|(id, _)| held.contains(id));
                (!batch.is_empty()).then(|| jittered(HELD))
            }
            Err(error) => Some(trouble.wait(&error)),
        };
    }
}
