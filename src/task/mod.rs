//! The task's side: what runs beside a program, in a container or next to it.

pub mod calls;
mod contract;
pub mod exec;
mod executor;
pub mod exit;
mod failure;
pub(crate) mod files;
mod reporter;
mod signals;
mod started;
mod whereabouts;

pub use files::{Entry, list as list_files};
pub use reporter::{Failing, ReportError, Reporter};
pub use started::Started;
