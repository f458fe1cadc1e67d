//! Ends as the engine tells them. Events only make sooner what looking would find.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::Core;
use super::container::KEY;
use super::fault::Fault;
use super::observe::look;
use super::stop_cause::Sent;
use crate::runners::Observation;

/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// Events from so long before the listening began are asked for, too: clocks differ, and a container may end at once.
const BEFORE: Duration = Duration::from_secs(10);

/// Listens until told to stop.
pub async fn listen(core: &Arc<Core>, stopping: &CancellationToken) {
    while !stopping.is_cancelled() {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(BEFORE);
        tokio::select! {
            () = stopping.cancelled() => return,
            () = once(core, since.as_secs()) => {}
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn once(core: &Arc<Core>, since: u64) {
    let docker = match core.engine.client() {
        Ok(docker) => docker,
        Err(fault) => return core.engine.note(Some(&fault)),
    };
    let kinds = vec!["kill", "die", "destroy"];
    let filters = HashMap::from([("type", vec!["container"]), ("event", kinds), ("label", vec![KEY])]);
    let options = EventsOptionsBuilder::new().since(&since.to_string()).filters(&filters).build();
    // The engine sends the head of its answer with the first event, which may be long in coming.
    let docker = docker.with_timeout(Duration::from_hours(24 * 365));
    let mut events = pin!(docker.events(Some(options)));
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return core.engine.note(Some(&Fault::from(error))),
        };
        let sent = Sent::of(&event).filter(|_| event.action.as_deref() == Some("kill"));
        let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        let Some(attempt) = attributes.get(KEY).and_then(|key| core.follow.open(key)) else { continue };
        if let Some(sent) = sent {
            core.follow.was_sent(&attempt.launch_key, sent);
            continue;
        }
        let core = Arc::clone(core);
        // Its log may be long, and others end meanwhile.
        tokio::spawn(async move {
            if let Observation::Ended(end) = look(&core, &attempt).await {
                // The receiver is gone when the daemon is on its way out.
                let _ = core.ends.send((attempt.id, end));
            }
        });
    }
}
