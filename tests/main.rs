//! All integration tests in one program: one module per promise, a fresh database per test, all in parallel.

mod ear;
mod support;

mod again;
mod ancestors;
mod migrations;
mod neighbours;
mod parameters;
mod sources;
mod task_functions;
mod triggers;
mod watching;
