//! What every test stands on: a fresh migrated database, a dispatcher in this process, and waiting on signals.

mod database;
mod dispatching;
mod fake_runner;
mod server;

pub use database::TestDatabase;
pub use dispatching::{Running, process_settings, settings, start_process};
pub use fake_runner::Launched;
