//! The daemon. One loop per file, in the order a job meets them: the listener wakes the claimer; the claimer
//! takes jobs and prepares their attempts; the launcher hands them to runners; the watcher follows them; the
//! stopper ends what must not go on; the settler settles what has ended. The rescuer adopts what dead dispatchers left, the janitor tidies.
//!
//! The loops share [`Shared`] and nothing else. Each stops on its cancellation token; each can be killed at
//! any statement, because what it was about to do stands in the database.

mod claimer;
mod ending;
mod following;
mod janitor;
mod keying;
mod launcher;
mod listener;
mod marking;
mod pace;
mod prepare;
mod rescuer;
mod settler;
mod shared;
mod sleeper;
mod start;
mod stopper;
mod token;
mod watcher;

pub use start::{Dispatcher, DispatcherError, Mode};
