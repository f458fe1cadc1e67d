//! Proves that this dispatcher lives, and adopts what dead ones left: what their runners took is followed
//! from here on; what may not have been taken is launched again with the same key, which finds the first
//! launch if there was one.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::DispatcherError;
use super::following::Followed;
use super::pace::{Trouble, jittered};
use super::shared::{Handle, Shared};
use crate::database::{DatabaseError, dispatcher_seen, rescue_attempts, settled_elsewhere, taken_over};
use crate::runners::{Age, Attempt, Request, Runner};

/// Looks at once, then with every heartbeat.
pub async fn run(shared: Handle, launch: mpsc::Sender<Vec<Attempt>>) {
    let mut trouble = Trouble::new("rescuing");
    loop {
        let wait = match beat(&shared, &launch).await {
            Ok(true) => {
                trouble.over();
                shared.rescued.cancel();
                jittered(shared.settings.dispatcher.heartbeat_interval)
            }
            Ok(false) => return shared.give_up(DispatcherError::Superseded),
            Err(error) => trouble.wait(&error),
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn beat(shared: &Shared, launch: &mpsc::Sender<Vec<Attempt>>) -> Result<bool, DatabaseError> {
    let client = shared.database.get().await?;
    let now = Instant::now();
    if !dispatcher_seen(&client, shared.id).await? {
        return Ok(false);
    }
    // After a long silence (a machine that slept, a database out of reach) others may have run, settled and
    // forgotten what waits here to be launched.
    let silent = shared.seen.borrow().elapsed() > shared.settings.dispatcher.dead_after;
    let doubtful = if silent { shared.following.ids() } else { shared.following.unlaunched() };
    if !doubtful.is_empty() {
        let over = if silent { settled_elsewhere(&client, &doubtful).await? } else { Vec::new() };
        for id in taken_over(&client, shared.id, &doubtful).await? {
            // What another dispatcher follows is its own; what is over must not run on with nobody to end it.
            if let Some(Followed { attempt, .. }) = shared.following.remove(id)
                && let Some(runner) = shared.runners.get(&attempt.request.runner)
            {
                let (runner, over) = (Arc::clone(runner), over.contains(&id));
                // Not awaited: others would take us for dead meanwhile.
                tokio::spawn(async move { let_go(runner.as_ref(), &attempt, over).await });
            }
        }
    }
    shared.seen.send_replace(now);
    if shared.draining.is_cancelled() {
        return Ok(true);
    }
    let (free, bound) = shared.runners.names();
    let d = &shared.settings.dispatcher;
    let followed = shared.following.ids();
    let rescued = rescue_attempts(
        &client,
        shared.id,
        &shared.host,
        d.dead_after,
        d.lost_after,
        &free,
        &bound,
        &followed,
    )
    .await?;
    let mut relaunch = Vec::new();
    for rescued in rescued {
        let Ok(request) = serde_json::from_value::<Request>(rescued.request) else {
            tracing::error!(
                attempt = rescued.id,
                "its frozen request cannot be read; left for a newer dispatcher"
            );
            continue;
        };
        tracing::info!(
            job = rescued.job_id,
            attempt = rescued.number,
            task = rescued.task,
            launched = rescued.launched,
            "adopted from a dispatcher that is gone"
        );
        let attempt = Attempt {
            id: rescued.id,
            job_id: rescued.job_id,
            number: rescued.number,
            task: rescued.task,
            launch_key: rescued.launch_key,
            request: Arc::new(request),
            external_id: rescued.external_id,
            age: Age::of(rescued.age),
            in_doubt: true,
        };
        shared.following.adopt(attempt.clone(), rescued.launched, rescued.begun);
        if !rescued.launched {
            relaunch.push(attempt);
        }
    }
    if !relaunch.is_empty() {
        // Not awaited here: what waits to be launched waits for our next heartbeat.
        let launch = launch.clone();
        tokio::spawn(async move { launch.send(relaunch).await });
    }
    Ok(true)
}

/// What is not followed here any more, and is over.
async fn let_go(runner: &dyn Runner, attempt: &Attempt, over: bool) {
    if over && let Err(error) = runner.stop(attempt, "its attempt was settled elsewhere").await {
        tracing::warn!(attempt = attempt.id, error, "cannot be stopped");
    }
    if over {
        runner.forget(attempt).await;
    }
}
