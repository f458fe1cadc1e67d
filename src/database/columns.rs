//! Reading a column of an answer. What this program cannot read is an error with the column's name, never a panic: tables hold
//! what users, tasks and other programs have written.

use std::error::Error as _;
use std::fmt::Display;

use serde_json::Value;
use thiserror::Error;
use tokio_postgres::Row;
use tokio_postgres::row::RowIndex;
use tokio_postgres::types::FromSql;

use crate::job::UnknownWord;

/// A value that the database holds and this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Its type or its form, such as JSON of too many levels.
    #[error("the column {column} cannot be read: {reason}")]
    Column {
        /// Its name in the answer.
        column: String,
        /// Why not.
        reason: String,
    },
    /// A word of a newer program, or of something else.
    #[error(transparent)]
    Word(#[from] UnknownWord),
}

/// The columns of a row.
pub trait Columns {
    /// One of them, by name or place.
    fn column<'a, T: FromSql<'a>>(&'a self, column: impl RowIndex + Display) -> Result<T, Unreadable>;
}

impl Columns for Row {
    fn column<'a, T: FromSql<'a>>(&'a self, column: impl RowIndex + Display) -> Result<T, Unreadable> {
        self.try_get(&column).map_err(|error| Unreadable::Column {
            column: column.to_string(),
            reason: error.source().map_or_else(|| error.to_string(), ToString::to_string),
        })
    }
}

/// The strings of a JSON array.
pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The first of several values that cannot be read, where the row has a use without them.
#[derive(Debug, Default)]
pub struct Noted {
    /// It.
    pub first: Option<Unreadable>,
}

impl Noted {
    /// The value, or nothing in its place.
    pub fn note<T: Default>(&mut self, read: Result<T, Unreadable>) -> T {
        read.unwrap_or_else(|error| {
            self.first.get_or_insert(error);
            T::default()
        })
    }
}
