//! The task's side: what runs beside a program, in a container or next to it.

pub mod calls;
mod contract;
pub mod exec;
mod executor;
pub mod exit;
mod failure;
pub(crate) mod files;
mod reporter;
mod secrets;
mod signals;
mod started;
mod tail;
mod whereabouts;

pub use files::{Entry, list as list_files};
pub use reporter::{ReportError, Reporter};
pub use secrets::{secrets, secrets_among};
pub use started::Started;
pub use tail::{Tail, drain};
