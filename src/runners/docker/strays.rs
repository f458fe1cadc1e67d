//! Stray containers: made by a call whose answer was not waited for, or left after their attempt because a daemon died
//! before it could remove them.

use std::time::{Duration, UNIX_EPOCH};

use bollard::models::ContainerSummaryStateEnum as State;

use super::Core;
use super::container::{INSTANCE, KEY, instance_of_prefix};
use super::observe::list;
use crate::runners::Stray;

/// What does not run keeps its name for so long after it was made: a dispatcher that stood still may be about to launch it once more,
/// and finds it then.
const NAME_KEPT: Duration = Duration::from_mins(10);

/// Containers of this installation that this dispatcher does not follow: those that run, and old ones.
pub async fn strays(core: &Core, prefix: &str) -> Vec<Stray> {
    let label = format!("{INSTANCE}={}", instance_of_prefix(prefix));
    let containers = match list(core, &label).await {
        Ok(containers) => containers,
        Err(fault) => {
            tracing::debug!(%fault, "cannot look for stray containers");
            return Vec::new();
        }
    };
    containers
        .into_iter()
        .filter_map(|container| {
            let launch_key = container.labels?.get(KEY)?.clone();
            let ours = launch_key.starts_with(prefix) && !core.follow.follows(&launch_key);
            let wanted = ours && (container.state == Some(State::RUNNING) || is_old(container.created));
            Some(Stray { launch_key, place: container.id? }).filter(|_| wanted)
        })
        .collect()
}

/// Whether its name is kept no longer, by the clock of this machine: one that runs ahead of the engine's frees names sooner.
fn is_old(created: Option<i64>) -> bool {
    let created = created.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let age = created.and_then(|created| (UNIX_EPOCH + created).elapsed().ok());
    age.is_some_and(|age| age > NAME_KEPT)
}

/// Removes a container whose attempt is over, whether it runs or not.
pub async fn discard(core: &Core, stray: &Stray) {
    let (container, launch_key) = (stray.place.as_str(), stray.launch_key.as_str());
    match core.engine.remove(container).await {
        Ok(()) => tracing::warn!(container, launch_key, "removed a container whose attempt was over"),
        Err(fault) => {
            tracing::warn!(container, %fault, "a container of an attempt that is over cannot be removed");
        }
    }
}
