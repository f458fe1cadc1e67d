//! Ends what is past its deadline, cancelled, or done and not leaving.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::crash::around;
use crate::database::{DatabaseError, OverdueAttempt, overdue_attempts};
use crate::dispatcher::follow::followed::FollowedAttempt;
use crate::dispatcher::pace::again_and_again;
use crate::dispatcher::shared::{Handle, Shared};
use crate::job::{AttemptId, Cause, End, RunnerName};
use crate::runners::{Found, Launched, Runner};

/// How long a runner that does not answer is asked what runs under the key of an unconfirmed launch, or told to stop
/// what runs. A new attempt begun without its answer might run beside the old one, so this is long.
const DEAF_LIMIT: Duration = Duration::from_hours(1);

/// How long another session may hold an attempt that is overdue. A heartbeat holds it for as long as a statement takes, and
/// may be what makes a stop needless. A program that hangs in a transaction of its own holds it for ever.
const HELD_LIMIT: Duration = Duration::from_secs(10);

/// Looks again and again.
pub async fn run(shared: Handle) {
    let interval = shared.settings.dispatcher.watch_interval;
    again_and_again(&shared.lifecycle.stopping, "looking for deadlines", interval, || sweep(&shared)).await;
}

async fn sweep(shared: &Handle) -> Result<(), DatabaseError> {
    if shared.in_flight.is_empty() {
        return Ok(());
    }
    let blind: Vec<RunnerName> =
        shared.runners.iter().filter(|r| !r.capabilities().sees_ends).map(|r| r.name()).collect();
    let grace = shared.settings.dispatcher.report_grace;
    let (starting, followed) = (shared.in_flight.starting(), shared.in_flight.ids());
    let borrowed = shared.in_flight.borrowed();
    let looking = async {
        let client = shared.database.get().await?;
        overdue_attempts(&client, shared.identity.id, grace, &starting, &blind, &followed, &borrowed).await
    };
    let overdue = shared.within(looking).await?;
    let held = overdue.iter().filter(|overdue| !overdue.is_written).map(|overdue| overdue.id).collect();
    let hanging = shared.in_flight.held_for(HELD_LIMIT, &held);
    let give_up = shared.in_flight.to_give_up().into_iter().map(|(id, reason)| (id, (reason, None)));
    let mut ending: BTreeMap<AttemptId, (String, Option<Cause>)> = give_up.collect();
    for OverdueAttempt { id, reason, cause, is_done, is_written } in overdue {
        // One that has only reported, and was just adopted, may be gone for long.
        if is_done && !shared.in_flight.is_observed(id) {
            continue;
        }
        if is_written || hanging.contains(&id) {
            ending.insert(id, (reason, cause.filter(|_| !is_written)));
        }
    }
    for (id, (reason, unwritten)) in ending {
        let Some(stopping) = shared.in_flight.begin_stop(id, &reason, unwritten) else { continue };
        // Apart, so that a runner which answers slowly does not hold up other deadlines.
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            if stop(&shared, &stopping.followed, stopping.since, &reason).await {
                shared.in_flight.told_to_stop(id);
            }
        });
    }
    Ok(())
}

/// Takes the next step towards its end; returns whether the runner has been told.
async fn stop(shared: &Shared, followed: &FollowedAttempt, since: Instant, reason: &str) -> bool {
    let attempt = &followed.attempt;
    let id = attempt.id;
    let Some(runner) = shared.runners.get(attempt.request.runner) else { return false };
    if !followed.is_launched() {
        give_up(shared, runner.as_ref(), followed, since, reason).await;
        return false;
    }
    match followed.told_to_stop {
        Some(told) if told.elapsed() > runner.capabilities().stop_limit => {
            let lost = End::lost(format!("it did not end although it was stopped ({reason})"));
            let _ = shared.signals.ends.send((id, lost));
            return true;
        }
        Some(_) => return true,
        None if since.elapsed() > DEAF_LIMIT => {
            let lost =
                End::lost(format!("it could not be stopped ({reason}); whether it still runs is not known"));
            let _ = shared.signals.ends.send((id, lost));
            return false;
        }
        None => {}
    }
    tracing::info!(
        job = attempt.job_id.get(),
        attempt = attempt.id.get(),
        number = attempt.number,
        task = attempt.task,
        reason,
        "stopping"
    );
    let stopped = around("stop", runner.stop(attempt, reason)).await;
    if let Err(error) = &stopped {
        tracing::warn!(attempt = id.get(), error, "cannot be stopped; trying again");
    }
    stopped.is_ok()
}

/// Its runner has never said that it took it. If it runs all the same, it is found and followed to its end.
async fn give_up(
    shared: &Shared,
    runner: &dyn Runner,
    followed: &FollowedAttempt,
    since: Instant,
    reason: &str,
) {
    let id = followed.attempt.id;
    match around("find", runner.find(&followed.attempt)).await {
        Ok(Found::Nothing) => {
            let _ = shared.signals.ends.send((id, End::not_started(reason, true)));
        }
        Ok(Found::Running(external_id)) => {
            tracing::info!(attempt = id.get(), external_id, "found what an unconfirmed launch had started");
            let launched = Launched { external_id, begun: false, log: None }.storable();
            if shared.in_flight.confirm_launch(id, &launched) {
                let _ = shared.signals.launches.send((id, launched));
            }
        }
        Err(error) if since.elapsed() > DEAF_LIMIT => {
            let _ = shared
                .signals
                .ends
                .send((id, End::lost(format!("{reason}; whether it runs is not known: {error}"))));
        }
        Err(error) => {
            tracing::warn!(
                attempt = id.get(),
                error,
                "not launched in time, and whether it runs is not known yet"
            );
        }
    }
}
