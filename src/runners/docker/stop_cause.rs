//! What the engine knows about the end of a container besides its state: who ended it, and since when it runs itself.

use std::collections::HashMap;
use std::pin::pin;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::{ContainerInspectResponse, ContainerState, EventMessage};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use nix::sys::signal::Signal;

use super::Core;
use super::fault::{Fault, Kind};
use super::outcome::{Evidence, time};

/// Events asked for to find out who ended a container; the engine answers from memory.
const EVENTS_LIMIT: Duration = Duration::from_secs(5);

/// A signal that came longer before the end has not caused it.
const SIGNAL_TAKES_EFFECT: Duration = Duration::from_mins(10);

/// A signal is noted within this.
const SIGNAL_NOTED: Duration = Duration::from_secs(1);

/// SIGKILL and SIGTERM: what `docker kill` and `docker stop` send.
const ENDING: [i32; 2] = [9, 15];

/// SIGHUP, SIGINT, SIGQUIT: also sent to have settings read again or progress told. The program died of them, or went on.
const ENDING_IF_DIED_OF: [i32; 3] = [1, 2, 3];

/// The first real-time signal, as images count them in `SIGRTMIN+3`.
const FIRST_REAL_TIME: i32 = 34;

/// A signal that was sent to a container, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    signal: i32,
    at: SystemTime,
}

impl Sent {
    /// From the engine's event about it.
    pub fn of(event: &EventMessage) -> Option<Self> {
        let attributes = event.actor.as_ref()?.attributes.as_ref()?;
        let nanoseconds = u64::try_from(event.time_nano?).ok()?;
        let at = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        Some(Self { signal: number(attributes.get("signal")?)?, at })
    }

    /// Whether it may be why a container ended.
    fn ended(self, finished: SystemTime, exit_code: i32, stop_signal: Option<&str>) -> bool {
        let signal = self.signal;
        let in_time = self.at + SIGNAL_TAKES_EFFECT >= finished && self.at <= finished + SIGNAL_NOTED;
        in_time
            && (ENDING.contains(&signal)
                || stop_signal.and_then(number) == Some(signal)
                || ENDING_IF_DIED_OF.contains(&signal) && exit_code == 128 + signal)
    }
}

/// A signal as the engine and images write it: `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`.
fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    match name.strip_prefix("RTMIN") {
        Some("") => Some(FIRST_REAL_TIME),
        Some(more) => Some(FIRST_REAL_TIME + more.strip_prefix('+')?.parse::<u8>().map(i32::from).ok()?),
        None => Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32),
    }
}

/// All that can be known of a container that has ended. An error: the engine does not say now.
pub async fn gather(
    core: &Core,
    key: &str,
    container: &ContainerInspectResponse,
    state: &ContainerState,
) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::of(state);
    if core.follow.told_to_stop(key) || evidence.started.is_none() {
        return Ok(evidence);
    }
    if let (Some(id), Some(finished)) = (&container.id, evidence.finished) {
        let stop_signal = container.config.as_ref().and_then(|config| config.stop_signal.as_deref());
        let ended = |sent: &Sent| sent.ended(finished, evidence.exit_code, stop_signal);
        evidence.stopped_by_somebody = core.follow.sent(key).iter().any(ended)
            || sent_lately(core, id, finished).await?.iter().any(ended);
    }
    evidence.engine_since = engine_since(core).await?;
    Ok(evidence)
}

/// The signals that a container was sent before its end. The engine remembers its latest events only, so this finds what
/// happened lately, or nothing.
async fn sent_lately(core: &Core, id: &str, finished: SystemTime) -> Result<Vec<Sent>, Fault> {
    let docker = core.engine.client()?;
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
        let mut sent = Vec::new();
        let mut events = pin!(docker.events(Some(options)));
        while let Some(event) = events.next().await {
            sent.extend(Sent::of(&event?));
        }
        Ok::<_, bollard::errors::Error>(sent)
    };
    match tokio::time::timeout(EVENTS_LIMIT, reading).await {
        Ok(sent) => sent.map_err(Fault::from),
        Err(_) => Err(Fault::unclear("the engine does not tell its events in time")),
    }
}

/// Since when the engine runs. It does not say so, but it makes its default network anew at each start; where it keeps
/// that (live restore), it keeps the containers running, too.
async fn engine_since(core: &Core) -> Result<Option<SystemTime>, Fault> {
    let call = core.engine.call("looking at the default network", |docker| async move {
        docker.inspect_network("bridge", None).await
    });
    let network = match call.await {
        Ok(network) => network,
        // An engine may be told to have none.
        Err(fault) if matches!(fault.kind, Kind::Answer(400..=499)) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    // The client library has a date for it or a text, as other crates of the build wish.
    let network = serde_json::to_value(network).unwrap_or_default();
    Ok(network.get("Created").and_then(|created| time(created.as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signals_have_numbers_and_names() {
        for (text, meant) in [
            ("15", Some(15)),
            ("SIGTERM", Some(15)),
            ("quit", Some(3)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMIN", Some(34)),
            ("SIGNONE", None),
            ("", None),
        ] {
            assert_eq!(number(text), meant, "{text}");
        }
    }

    #[test]
    fn a_survivable_signal_is_not_the_cause_of_a_programs_own_exit() {
        let finished = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ended = |signal, exit_code, own| Sent { signal, at: finished }.ended(finished, exit_code, own);
        assert!(ended(15, 0, None) && ended(9, 137, None), "docker stop and docker kill");
        for signal in [1, 2, 3] {
            assert!(!ended(signal, 0, None) && !ended(signal, 143, None), "{signal}");
            assert!(ended(signal, 128 + signal, None), "{signal}");
        }
        assert!(ended(3, 0, Some("SIGQUIT")), "what docker stop sends to this image");
        assert!(ended(37, 0, Some("SIGRTMIN+3")));
        assert!(!ended(10, 138, None), "a program's own");
        let long_ago = Sent { signal: 15, at: finished - 2 * SIGNAL_TAKES_EFFECT };
        assert!(!long_ago.ended(finished, 0, None));
    }

    proptest! {
        #[test]
        fn a_signal_has_one_number_in_each_of_its_forms(number_of in 1_i32..32, text in prop_oneof![".{0,12}", "(SIG)?RTMIN[+]?[0-9]{0,5}"]) {
            let signal = Signal::try_from(number_of).unwrap();
            let name = signal.as_str();
            for form in [number_of.to_string(), name.to_owned(), name.to_lowercase(), name.trim_start_matches("SIG").to_owned()] {
                prop_assert_eq!(number(&form), Some(number_of), "{}", form);
            }
            let _ = number(&text);
        }
    }
}
