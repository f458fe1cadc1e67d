//! Rowcall: insert a row, run a container.
//!
//! The modules, in the order data flows: a trigger (`sql/functions`) makes a [`job`] in the user's own
//! transaction; the [`dispatcher`] claims it, renders what to run from [`parameters`], and hands the attempt
//! to one of the [`runners`]; the [`task`] reports, and the dispatcher settles job and row. All of it stands
//! in the [`database`]; nothing is kept elsewhere. AWS is called over [`aws_http`]. What other dispatchers left in their
//! tables is taken over by [`import`].
#![forbid(unsafe_code)]

pub mod aws_http;
pub mod database;
pub mod dispatcher;
pub mod import;
pub mod job;
pub mod parameters;
pub mod runners;
pub mod settings;
pub mod task;
