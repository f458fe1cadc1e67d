//! Stray containers: made by a call whose answer was not waited for, or left after their attempt because a daemon died
//! before it could remove them.

use super::Core;
use super::container::{INSTANCE, KEY, instance_of_prefix};
use super::observe::list;
use crate::runners::Stray;

/// Containers of this installation that this dispatcher does not follow.
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
            Some(Stray { launch_key, place: container.id? }).filter(|_| ours)
        })
        .collect()
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
