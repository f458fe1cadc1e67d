//! Looking at containers: all at once for their state, and at each that has ended for what became of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerStateStatusEnum as Status;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as Listed};
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::StreamExt as _;

use super::Core;
use super::container::{KEY, is_of};
use super::fault::{Fault, Kind};
use super::outcome::{self, Evidence, end, removed};
use super::output;
use super::settings::handed_to;
use super::stop_cause::gather;
use crate::job::End;
use crate::runners::{Attempt, Observation};

/// Looks under way at the same time.
const LOOKS_AT_ONCE: usize = 8;

/// For so long the engine is asked who ended a container; then its exit code has to do.
const ASKED_FOR: Duration = Duration::from_mins(1);

/// What became of these attempts.
pub async fn observe(core: &Core, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
    let listed = match list(core, KEY).await {
        Ok(listed) => listed,
        // What cannot be read of one container holds up none of the others: each is looked at by itself.
        Err(fault) if fault.kind == Kind::Unreadable => {
            tracing::debug!(%fault, "each container is looked at by itself");
            Vec::new()
        }
        Err(fault) => return attempts.iter().map(|_| Observation::Unknown(fault.message.clone())).collect(),
    };
    let running: HashSet<&str> = listed
        .iter()
        .filter(|c| matches!(c.state, Some(Listed::RUNNING | Listed::PAUSED | Listed::RESTARTING)))
        .filter_map(|c| Some(c.labels.as_ref()?.get(KEY)?.as_str()))
        .collect();
    let mut looks = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        core.follow.add(attempt);
        let runs = running.contains(attempt.launch_key.as_str());
        looks.push(async move { if runs { Observation::Running } else { look(core, attempt).await } });
    }
    futures_util::stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await
}

/// All containers with a label, or a label and its value.
pub async fn list(core: &Core, label: &str) -> Result<Vec<ContainerSummary>, Fault> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    core.engine
        .call("listing containers", |docker| async move { docker.list_containers(Some(options)).await })
        .await
}

/// What became of one.
pub async fn look(core: &Core, attempt: &Attempt) -> Observation {
    let key = attempt.launch_key.as_str();
    if let Some(end) = core.follow.end(key) {
        return Observation::Ended(end);
    }
    let container = match core.engine.inspect(key).await {
        Ok(container) => container.filter(|container| is_of(container, attempt)),
        Err(fault) => return Observation::Unknown(fault.message),
    };
    let ended = match container {
        None => {
            let ours = core.engine.endpoint.url.as_str();
            removed(
                handed_to(&attempt.request.settings)
                    .filter(|theirs| *theirs != ours)
                    .map(|theirs| (theirs, ours)),
            )
        }
        Some(container) => {
            let state = container.state.clone().unwrap_or_default();
            match state.status {
                // The engine is removing it: it will be gone at the next look.
                Some(Status::REMOVING) => {
                    return Observation::Unknown("its container is being removed".to_owned());
                }
                Some(Status::CREATED) if state.error.as_deref().unwrap_or_default().is_empty() => {
                    return Observation::Starting("created".to_owned());
                }
                // Made and never started is an end, too, if starting it has failed.
                Some(Status::EXITED | Status::DEAD | Status::CREATED) => {}
                _ => return Observation::Running,
            }
            let evidence = match gather(core, key, &container, &state).await {
                Ok(evidence) => evidence,
                // Not yet: who was told to stop may have exited with 0, which would be a success.
                Err(fault) if core.follow.undecided(key) < ASKED_FOR => {
                    return Observation::Unknown(format!("who ended it is not known yet: {fault}"));
                }
                Err(fault) => {
                    tracing::warn!(attempt = attempt.id.get(), %fault, "who ended a container cannot be found out; its exit code decides");
                    Evidence::of(&state)
                }
            };
            let mut end = end(&evidence);
            end.output = output::tail(&core.engine, &container, core.settings.output_limit).await;
            match outcome::not_begun(end.exit_code, end.output.as_deref().unwrap_or_default()) {
                Some(never) => End { output: end.output, ..never },
                None => end,
            }
        }
    };
    core.follow.ended(key, &ended);
    Observation::Ended(ended)
}
