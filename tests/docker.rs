//! Containers of a real engine, beyond what the conformance suite asks of every runner.

mod cable;
mod ends_on_docker;
mod engine_on_docker;
mod launching_on_docker;
mod pulling_on_docker;
mod registry;
pub mod spoiler;

use std::sync::Arc;

use rowcall::parameters::LaunchSpec;
use rowcall::runners::Attempt;

use crate::conformance::Case;
use crate::conformance::docker::{Docker, docker};

type Containers = Case<Docker>;

const ONCE: (&str, &str) = ("", "");

/// The attempt with something else in its request.
fn with(attempt: Attempt, change: impl FnOnce(&mut LaunchSpec)) -> Attempt {
    let mut request = (*attempt.request).clone();
    change(&mut request);
    Attempt { request: Arc::new(request), ..attempt }
}

/// What `docker inspect` says of an attempt's container.
fn inspect(attempt: &Attempt, format: &str) -> String {
    docker(&["container", "inspect", "--format", format, &attempt.launch_key])
}
