//! What an attempt is about, as `task_start` answers.

use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;

use crate::job::JobId;

/// The work that an executor was admitted to.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// The job's number.
    pub job: JobId,
    /// The number of this try, from 1.
    pub attempt: i32,
    /// The task's name in `rowcall.parameters`.
    pub task: String,
    /// The row's table, as SQL writes it; none if it was dropped.
    pub source_table: Option<String>,
    /// The row's key, an object.
    pub row_key: Value,
    /// The whole row, an object; none if it was deleted.
    pub row: Option<Value>,
    /// The task's `values`, as they were when the attempt was made.
    pub values: Value,
}

impl Started {
    /// From the columns of `task_start.sql`.
    pub fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            job: row.try_get("job_id")?,
            attempt: row.try_get("attempt")?,
            task: row.try_get("task")?,
            source_table: row.try_get("source_table")?,
            row_key: row.try_get("row_key")?,
            row: row.try_get("row_data")?,
            values: row.try_get("values")?,
        })
    }
}
