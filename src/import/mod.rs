//! What another dispatcher left in its tables, as rows of `rowcall.parameters`.

// A command that a person runs once, on answers whose types its statements give.
#![allow(clippy::disallowed_methods)]

pub mod locaria;
mod sql;
