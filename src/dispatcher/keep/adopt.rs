//! Takes over the attempts that dead dispatchers left: it follows those that a runner took, and launches the others again with
//! the same key, which finds the first launch if there was one.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::database::{DatabaseError, Statements, dispatcher_stopped, dispatchers_here, rescue_attempts};
use crate::dispatcher::shared::Shared;
use crate::job::End;
use crate::parameters::{Frozen, LaunchSpec};
use crate::runners::{Age, Attempt};

/// Notes which dispatchers at the same places have ended without a word: what they left need not wait until they have been
/// silent for long.
pub async fn find_the_gone(shared: &Shared, client: &impl Statements) -> Result<(), DatabaseError> {
    let places: Vec<String> = shared.identity.places.values().cloned().collect();
    if places.is_empty() {
        return Ok(());
    }
    for id in dispatchers_here(client, shared.identity.id, &places).await? {
        let label = shared.identity.label(id);
        if shared.runners.iter().any(|runner| runner.is_gone(&label)) {
            tracing::info!(dispatcher = id.get(), "a dispatcher on this machine has ended without a word");
            dispatcher_stopped(client, id).await?;
        }
    }
    Ok(())
}

/// Takes over what dispatchers that are gone have left; if patient, those that have only been silent are not gone.
pub async fn adopt(
    shared: &Shared,
    client: &impl Statements,
    launch: &mpsc::Sender<Vec<Attempt>>,
    is_patient: bool,
) -> Result<(), DatabaseError> {
    let (free, bound) = shared.runners.names();
    let places: Vec<String> =
        bound.iter().map(|r| shared.identity.places.get(r).cloned().unwrap_or_default()).collect();
    let borrowed = shared.in_flight.borrowed();
    let mut followed = shared.in_flight.ids();
    followed.retain(|id| !borrowed.contains(id));
    let rescued = rescue_attempts(
        client,
        shared.identity.id,
        shared.settings.dispatcher.dead_after,
        &free,
        (&bound, &places),
        &followed,
        is_patient,
    )
    .await?;
    let mut relaunch = Vec::new();
    for rescued in rescued {
        let read = match &rescued.request {
            Ok(request) => Frozen::read(request).map_err(|unreadable| unreadable.to_string()),
            Err(unreadable) => Err(unreadable.to_string()),
        };
        let identity = &shared.identity;
        let (request, unfit) = match read {
            _ if !identity.is_launch_key(&rescued.launch_key, rescued.id) => {
                let unfit = format!("{} is no launch key of this attempt", rescued.launch_key);
                (LaunchSpec::unread(rescued.runner), Some(unfit))
            }
            _ if rescued.is_unoffered => {
                let unfit = format!(
                    "no running dispatcher offers the runner {}; whether it runs is not known",
                    rescued.runner
                );
                (LaunchSpec::unread(rescued.runner), Some(unfit))
            }
            Ok(frozen) if frozen.launch.runner != rescued.runner => {
                let unfit = format!("its request is for the runner {}", frozen.launch.runner);
                (LaunchSpec::unread(rescued.runner), Some(unfit))
            }
            Ok(frozen) => (frozen.launch, None),
            Err(unreadable) => (LaunchSpec::unread(rescued.runner), Some(unreadable)),
        };
        // Nothing is asked of a runner by a key that another program made up.
        let known_as = rescued.launch_key.clone();
        let launch_key = if identity.is_launch_key(&rescued.launch_key, rescued.id) {
            rescued.launch_key
        } else {
            identity.launch_key(rescued.id)
        };
        // It is looked at again with every beat.
        if rescued.is_held && (unfit.is_some() || borrowed.contains(&rescued.id)) {
            continue;
        }
        tracing::info!(
            job = rescued.job_id.get(),
            attempt = rescued.id.get(),
            number = rescued.number,
            task = rescued.task,
            launched = rescued.launched,
            held = rescued.is_held,
            "adopted from a dispatcher that is gone"
        );
        let attempt = Attempt {
            id: rescued.id,
            job_id: rescued.job_id,
            number: rescued.number,
            task: rescued.task,
            launch_key,
            request: Arc::new(request),
            external_id: rescued.external_id,
            age: Age::of(rescued.age),
            in_doubt: true,
            launch_until: None,
        };
        if rescued.is_held {
            shared.in_flight.borrow(attempt);
            continue;
        }
        // What cannot be read cannot be launched. It is ended by the settler, which finds the same words, and what runs
        // under its key is removed with it, by runners that can.
        let launched = rescued.launched || unfit.is_some();
        shared.in_flight.adopt(attempt.clone(), known_as, launched, rescued.begun);
        shared.before.iter().for_each(|before| drop(before.remove(attempt.id)));
        if let Some(unfit) = unfit {
            let _ = shared.signals.ends.send((rescued.id, End::unseen(unfit)));
        }
        if !launched {
            relaunch.push(attempt);
        }
    }
    if !relaunch.is_empty() {
        // Not awaited here: what waits to be launched waits for our next heartbeat.
        let launch = launch.clone();
        tokio::spawn(async move { launch.send(relaunch).await });
    }
    Ok(())
}
