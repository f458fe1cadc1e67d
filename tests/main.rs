//! All integration tests in one program: one module per promise, a fresh database per test, all in parallel.

mod support;

mod again;
mod ancestors;
mod asking;
mod aws_scripted;
mod check_command;
mod conformance;
mod crash_points;
mod dispatching;
mod docker;
mod ear;
mod ecs;
mod exec;
mod files;
mod held_rows;
mod iam;
mod lambda;
mod locks;
mod matrix;
mod migrations;
mod neighbours;
mod parameters;
mod parameters_settings;
mod process_runner;
mod roles;
mod run_local;
mod serve_command;
mod several_dispatchers;
mod sleeping;
mod sources;
mod standins;
mod task_functions;
mod tls;
mod triggers;
mod watching;
