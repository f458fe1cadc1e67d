//! What another dispatcher left in its tables, as rows of `rowcall.parameters`.

pub mod locaria;
mod sql;
