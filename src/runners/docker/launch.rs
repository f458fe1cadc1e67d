//! One launch: create under the launch key, start, and adoption of what an earlier call has made.
//!
//! The engine lets a name be taken once, which makes creating idempotent. Starting is not: an exited container would
//! run again. So a container that was found, and not made by this very call, is started only if it never was.

use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::Core;
use super::container::{body, is_of};
use super::fault::{Fault, Kind};
use super::settings::{Pull, TaskSettings, handed_to};
use crate::runners::boot_clock::BootInstant;
use crate::runners::{Attempt, Found, LaunchError, Launched};

/// How often a container is looked for whose name is taken…
const LOOKS_FOR_TAKEN: u32 = 20;

/// …and the time in between.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Gets the image of an attempt that will be launched. A pull may take minutes, in which others may be launched, and
/// after which it must be asked again whether this attempt is still ours: so no launch pulls by itself.
pub async fn prepare(core: &Core, attempt: &Attempt, settings: &TaskSettings) {
    // What is there needs no image any more; where that cannot be known, the launch will say so.
    if attempt.in_doubt
        && (elsewhere(core, attempt).is_some()
            || !matches!(core.engine.inspect(&attempt.launch_key).await, Ok(None)))
    {
        return;
    }
    // The launch refuses it.
    if core.allowed(&attempt.request, settings).is_err() {
        return;
    }
    core.images.prepare(&core.engine, attempt.id, &attempt.request.target, core.pull(settings)).await;
}

/// Launches an attempt, or finds what an earlier call with its key has started.
pub async fn launch(
    core: &Core,
    attempt: &Attempt,
    settings: &TaskSettings,
    contract: &[(String, String)],
) -> Result<Launched, LaunchError> {
    // Before the image is asked for: it may be gone from the engine although its container runs.
    if attempt.in_doubt {
        match core.engine.inspect(&attempt.launch_key).await.map_err(unknown)? {
            Some(container) => return adopt(core, attempt, &container).await,
            None => {
                if let Some(other) = elsewhere(core, attempt) {
                    return Err(LaunchError::Lost(other));
                }
                // It was there when its image was to be prepared, or this was not known.
                if !core.images.is_prepared(attempt.id) {
                    return Err(LaunchError::Busy("its image has still to be looked for".to_owned()));
                }
            }
        }
    }
    core.images.of(&core.engine, attempt.id, &attempt.request.target, core.pull(settings)).await?;
    let options = CreateContainerOptionsBuilder::new().name(&attempt.launch_key).build();
    let body = body(attempt, settings, contract);
    let created =
        core.engine
            .call("creating a container", |docker| async move {
                docker.create_container(Some(options), body).await
            })
            .await;
    let fault = match created {
        Ok(created) => {
            for warning in created.warnings.iter().filter(|warning| !warning.is_empty()) {
                tracing::debug!(attempt = attempt.id.get(), warning, "the engine remarks on a container");
            }
            return start(core, attempt, &created.id).await;
        }
        Err(fault) => fault,
    };
    let refused = |reason, retryable| Err(LaunchError::refused(reason, retryable));
    match fault.kind {
        Kind::Answer(409) => match find_taken(core, &attempt.launch_key).await.map_err(unknown)? {
            Some(container) => adopt(core, attempt, &container).await,
            // On its way out, or just gone: the next try will see.
            None => Err(LaunchError::Ambiguous(fault.message)),
        },
        // Removed since it was found there.
        Kind::Answer(404) if core.pull(settings) != Pull::Never => refused(fault.message, true),
        Kind::Answer(400..=499) => refused(fault.message, false),
        _ => Err(unknown(fault)),
    }
}

/// The container that has taken the name. An engine takes a name a moment before it can show the container.
async fn find_taken(core: &Core, name: &str) -> Result<Option<ContainerInspectResponse>, Fault> {
    for _ in 0..LOOKS_FOR_TAKEN {
        if let Some(container) = core.engine.inspect(name).await? {
            return Ok(Some(container));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(None)
}

/// What the repetition of a call will find out, if anything was called at all.
fn unknown(fault: Fault) -> LaunchError {
    match fault.kind {
        Kind::NotSent => LaunchError::Away(fault.message),
        _ => LaunchError::Ambiguous(fault.message),
    }
}

/// Handed to another engine than ours: which one, in words.
pub fn elsewhere(core: &Core, attempt: &Attempt) -> Option<String> {
    let ours = &core.engine.endpoint.url;
    handed_to(&attempt.request.settings)
        .filter(|theirs| theirs != ours)
        .map(|theirs| format!("it was handed to the engine {theirs}, and this dispatcher speaks to {ours}"))
}

/// Makes a container that was found under the launch key this attempt's, if it is.
async fn adopt(
    core: &Core,
    attempt: &Attempt,
    container: &ContainerInspectResponse,
) -> Result<Launched, LaunchError> {
    let id = container.id.clone().unwrap_or_default();
    if !is_of(container, attempt) {
        let reason = format!(
            "the container {} ({}) has the name of this launch and is not of it",
            attempt.launch_key,
            id.get(..12).unwrap_or(&id)
        );
        return Err(LaunchError::refused(reason, true));
    }
    match container.state.as_ref().and_then(|state| state.status) {
        Some(Status::CREATED) => start(core, attempt, &id).await,
        Some(Status::REMOVING) => Err(LaunchError::Ambiguous("its container is being removed".to_owned())),
        // Also one that has ended: that is seen by looking.
        _ => Ok(Launched::running(id)),
    }
}

async fn start(core: &Core, attempt: &Attempt, id: &str) -> Result<Launched, LaunchError> {
    // This process may have stood still since it looked. Another dispatcher may have started the container meanwhile, and an engine starts one that
    // has exited once more.
    if attempt.launch_until.is_some_and(|until| BootInstant::now() > until) {
        return Err(LaunchError::Ambiguous("the lease ended before its container was started".to_owned()));
    }
    let started = core
        .engine
        .call("starting a container", |docker| async move { docker.start_container(id, None).await })
        .await;
    let Err(fault) = started else { return Ok(Launched::running(id)) };
    // It is there, whether it was started or not.
    let Kind::Answer(status) = fault.kind else { return Err(LaunchError::Ambiguous(fault.message)) };
    let refused = |reason, retryable| Err(LaunchError::refused(reason, retryable));
    let container = core.engine.inspect(id).await.map_err(|fault| LaunchError::Ambiguous(fault.message))?;
    let Some(state) = container.and_then(|container| container.state) else {
        return refused("its container was removed before it started".to_owned(), true);
    };
    if state.status != Some(Status::CREATED) {
        tracing::warn!(attempt = attempt.id.get(), %fault, "starting a container failed, and it has run all the same");
        return Ok(Launched::running(id));
    }
    // What a shell's codes say, and what the engine calls our fault, stays; its own troubles pass.
    let stays = status < 500 || matches!(state.exit_code, Some(126 | 127));
    refused(fault.message, !stays)
}

/// What runs, or has run, under the key of a launch that was never confirmed and will not be repeated. What was made
/// and not started goes, so that nothing can start it any more.
pub async fn find(core: &Core, attempt: &Attempt) -> Result<Found, Fault> {
    let Some(container) = core.engine.inspect(&attempt.launch_key).await? else {
        return elsewhere(core, attempt).map_or(Ok(Found::Nothing), |other| Err(Fault::unclear(other)));
    };
    if !is_of(&container, attempt) {
        return Ok(Found::Nothing);
    }
    let id = container.id.unwrap_or_default();
    if container.state.and_then(|state| state.status) == Some(Status::CREATED) {
        core.engine.remove(&id).await?;
        return Ok(Found::Nothing);
    }
    Ok(Found::Running(id))
}
