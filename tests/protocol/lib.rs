//! The protocol of launches, leases and tokens, and that of the wake lock, explored in every order in which their steps can fall. Each rule
//! that the program keeps can be left out, and then a promise breaks: a mutant that passed would mean that the model does not see.
//! Walks through the model are kept in a file, which `tests/replay.rs` walks on Postgres by the statements that each step names.

#![forbid(unsafe_code)]
#![cfg(test)]

/// What an end means is decided by the program's own functions.
#[path = "../../src/job/mod.rs"]
#[allow(dead_code, unused_imports)]
mod job;
mod launching;
mod rules;
mod waking;
mod walks;

use std::path::Path;

use stateright::{Checker, Model};

/// Explores all of a model; how many states there are, and the promises that broke.
fn explored<M>(model: M) -> (usize, Vec<&'static str>)
where
    M: Model + Send + Sync + 'static,
    M::State: std::hash::Hash + Send + Sync + std::fmt::Debug + Clone + PartialEq,
    M::Action: std::fmt::Debug + Clone + PartialEq,
{
    let checker = model.checker().threads(2).spawn_bfs().join();
    let mut broken: Vec<&'static str> = checker.discoveries().into_keys().collect();
    broken.sort_unstable();
    (checker.unique_state_count(), broken)
}

/// The statements that do the steps are there.
fn are_there(statements: &[&str]) {
    for statement in statements {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(statement);
        assert!(path.is_file(), "{statement} is not there: what does its step now?");
    }
}
