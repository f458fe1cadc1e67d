//! All integration tests in one program: one module per promise, a fresh database per test, all in parallel.

mod support;

mod again;
mod ancestors;
mod conformance;
mod ear;
mod process_runner;
mod sleeping;
mod triggers;
