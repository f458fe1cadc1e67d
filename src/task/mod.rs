//! The task's side: what runs beside a program, in a container or next to it.

pub mod exec;
mod reporter;
mod signals;
mod tail;

pub use reporter::{ReportError, Reporter};
pub use tail::{Tail, drain, password};
