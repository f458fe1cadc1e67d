//! Rowcall: insert a row, run a container.
//!
//! The crate is the daemon `rowcall` and the program `rowcall-task`; it is no library for others, and its items are public
//! for those two programs, the tests and the benchmarks. docs/architecture.md has the map.
//!
//! The modules in their order; each uses only those before it, which a test checks:
//!
//! | module | what is in it |
//! |---|---|
//! | [`crash`] | places at which a test lets the program die; in debug builds only |
//! | [`settings`] | every setting, from defaults, files, environment and flags |
//! | [`job`] | states, outcomes, causes, and what follows from them: pure, no I/O |
//! | [`contract`] | names that dispatcher, runner and task have in common |
//! | [`aws`] | the HTTP client for AWS, and what its errors mean |
//! | [`parameters`] | a row of `rowcall.parameters`, and its rendering into a frozen request |
//! | [`database`] | connections, migrations, and every statement of the daemon |
//! | [`output`] | the end of what a program prints, secrets masked |
//! | [`runners`] | where attempts run: process, docker, ecs, lambda |
//! | [`dispatcher`] | the daemon's loops: claim, launch, follow, settle, keep |
//!
//! Apart from them stand [`task`], which runs beside a program in its container, and [`import`], which takes over what other
//! dispatchers left in their tables: no other module uses these two.
#![forbid(unsafe_code)]

#[cfg(feature = "aws")]
pub mod aws;
pub mod contract;
pub mod crash;
pub mod database;
pub mod dispatcher;
pub mod import;
pub mod job;
pub mod output;
pub mod parameters;
pub mod runners;
pub mod settings;
pub mod task;
