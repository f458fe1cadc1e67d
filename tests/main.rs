//! All integration tests in one program: one module per promise, a fresh database per test, all in parallel.

mod support;

mod again;
mod ancestors;
mod conformance;
mod ear;
mod migrations;
mod neighbours;
mod parameters;
mod process_runner;
mod sleeping;
mod sources;
mod task_functions;
mod triggers;
mod watching;
