//! All integration tests in one program: one module per promise, a fresh database per test, all in parallel.

// Here a value of the wrong type may well panic.
#![allow(clippy::disallowed_methods)]

mod support;

mod again;
mod ancestors;
mod architecture;
mod asking;
mod aws_scripted;
mod caps;
mod causes;
mod check_command;
mod conformance;
mod crash_points;
mod dispatching;
mod docker;
mod ear;
mod ecs;
mod exec;
mod files;
mod frozen;
mod held_rows;
mod history;
mod iam;
mod idling;
mod lambda;
mod locaria;
mod locks;
mod low_water;
mod matrix;
mod migrations;
mod model;
mod modules;
mod neighbours;
mod onward;
mod owners_of_states;
mod ownership;
mod parameters;
mod parameters_page;
mod parameters_settings;
mod plans;
mod poolers;
mod process_runner;
mod roles;
mod run_local;
mod schema;
mod secrets;
mod serve_command;
mod several_dispatchers;
mod sleeping;
mod source_life;
mod sources;
mod standins;
mod status_loops;
mod stock;
mod task_functions;
mod templates;
mod tls;
mod triggers;
mod typed_calls;
mod views;
mod waits;
mod watching;
mod words;
mod worst;
