//! Programs that stand in for AWS, and Docker beneath them. `./dev test` sets them up; the tests that need them
//! are ignored otherwise, and live in modules called `on_ministack` and `on_moto`.

mod definition;
mod docker;
mod lambda;
mod ministack;
mod moto;
mod program;

pub use definition::Definition;
pub use ministack::{Ministack, Remembers};
pub use moto::Moto;

use std::sync::atomic::{AtomicU32, Ordering};

/// What `./dev test` has set.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run ./dev test"))
}

/// A name that nobody else uses, for what lives in a server that tests share.
pub fn unique(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
