//! What runs: known in memory, asked about again and again, stopped where it must not go on.

pub mod ends;
pub mod followed;
pub mod in_flight;
pub mod stopper;
pub mod watcher;
