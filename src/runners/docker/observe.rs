//! Looking at containers: all at once for their state, and at each that has ended for what became of it.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as Listed};
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder};
use futures_util::StreamExt as _;

use super::Core;
use super::container::{KEY, is_of};
use super::fault::Fault;
use super::outcome::{self, Evidence, end, removed, time};
use super::output;
use super::settings::handed_to;
use crate::job::End;
use crate::runners::{Attempt, Observation};

/// Looks under way at the same time.
const LOOKS_AT_ONCE: usize = 8;

/// Events asked for to find out who ended a container; the engine answers from memory.
const EVENTS_LIMIT: Duration = Duration::from_secs(5);

/// A signal that came longer before the end has not caused it.
const SIGNAL_TAKES_EFFECT: Duration = Duration::from_mins(10);

/// A signal is noted within this.
const SIGNAL_NOTED: Duration = Duration::from_secs(1);

/// SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM: those that end programs, and that images name as their stop signal.
const ENDING_SIGNALS: [&str; 5] = ["1", "2", "3", "9", "15"];

/// What became of these attempts.
pub async fn observe(core: &Core, attempts: &[Attempt]) -> Vec<Observation> {
    let listed = match list(core, KEY).await {
        Ok(listed) => listed,
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
                // Somebody's hand is on it: gone is what it will be next.
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
            let evidence = gather(core, key, &container, &state).await;
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

/// All that can be known of a container that has ended.
async fn gather(
    core: &Core,
    key: &str,
    container: &ContainerInspectResponse,
    state: &ContainerState,
) -> Evidence {
    let mut evidence = Evidence::of(state);
    if core.follow.told_to_stop(key) || evidence.started.is_none() {
        return evidence;
    }
    if let (Some(id), Some(finished)) = (&container.id, evidence.finished) {
        evidence.stopped_by_somebody = was_sent_a_signal(core, id, finished).await;
    }
    evidence.engine_since = engine_since(core).await;
    evidence
}

/// Whether somebody used `docker stop` or `docker kill` on it. The engine remembers its latest events only, so this
/// finds what happened lately, or nothing.
async fn was_sent_a_signal(core: &Core, id: &str, finished: SystemTime) -> bool {
    let Ok(docker) = core.engine.client() else { return false };
    let seconds = |at: SystemTime| {
        at.duration_since(UNIX_EPOCH)
            .map(|at| format!("{}.{:09}", at.as_secs(), at.subsec_nanos()))
            .unwrap_or_default()
    };
    // The signal is noted when it was sent, by when the program may have ended. A time to come would be waited for.
    let until = SystemTime::now().min(finished + SIGNAL_NOTED).max(finished);
    let filters =
        HashMap::from([("type", vec!["container"]), ("event", vec!["kill"]), ("container", vec![id])]);
    let options = EventsOptionsBuilder::new()
        .since(&seconds(finished - SIGNAL_TAKES_EFFECT))
        .until(&seconds(until))
        .filters(&filters)
        .build();
    let reading = async {
        let mut events = pin!(docker.events(Some(options)));
        while let Some(Ok(event)) = events.next().await {
            let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
            if attributes.get("signal").is_some_and(|signal| ENDING_SIGNALS.contains(&signal.as_str())) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(EVENTS_LIMIT, reading).await.unwrap_or(false)
}

/// Since when the engine runs. It does not say so, but it makes its default network anew at each start; where it keeps
/// that (live restore), it keeps the containers running, too.
async fn engine_since(core: &Core) -> Option<SystemTime> {
    let call = core.engine.call("looking at the default network", |docker| async move {
        docker.inspect_network("bridge", None).await
    });
    // The client library has a date for it or a text, as other crates of the build wish.
    let network = serde_json::to_value(call.await.ok()?).ok()?;
    time(network.get("Created")?.as_str()?)
}
