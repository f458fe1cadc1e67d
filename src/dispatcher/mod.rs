//! The daemon. A job goes through the folders in their order: [`claim`] takes jobs and prepares their attempts, [`launch`]
//! hands them to runners, [`follow`] watches them and stops what must not go on, [`settle`] ends what has ended. [`keep`]
//! adopts what dead dispatchers left, and tidies.
//!
//! Each folder holds loops, one to a file. They share [`shared::Shared`] and nothing else. Each stops on its cancellation
//! token; each can be killed at any statement, because what it was about to do stands in the database.

mod claim;
mod follow;
mod keep;
mod launch;
mod lease;
mod pace;
mod settle;
mod shared;
mod start;
mod task_cache;
mod terms;
mod token;

pub use start::{Dispatcher, DispatcherError, Mode};
