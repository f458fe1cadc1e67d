//! What `rowcall preview` asks of the database.

use deadpool_postgres::GenericClient;
use serde_json::Value;

use super::DatabaseError;

/// What is known of one task and one row, but for what the templates come to.
#[derive(Debug, Clone)]
pub struct PreviewPart {
    /// The task's name.
    pub task: String,
    /// Its job for this row, if there is one that is not settled.
    pub job_id: Option<i64>,
    /// The number of the attempt that would be made, or of the one that runs.
    pub attempt: i32,
    /// The row's primary key.
    pub row_key: Value,
    /// The row, in the status that asks for the task; or why it cannot be read.
    pub row: Result<Value, String>,
    /// The concurrency key is of a form that the database cannot render, so that nothing below says anything of it.
    pub key_unsure: bool,
    /// What somebody would have to change first.
    pub against: Vec<String>,
    /// What it would wait for.
    pub waits: Vec<String>,
    /// How hard it would be tried.
    pub limits: Value,
    /// Where status and result would go.
    pub write_back: Value,
}

/// The watched table of this name, as an OID, or the names of all that are watched.
pub async fn watched_table(
    client: &impl GenericClient,
    name: &str,
) -> Result<Result<u32, Vec<String>>, DatabaseError> {
    let row = client.query_one(include_str!("../../sql/queries/watched_table.sql"), &[&name]).await?;
    Ok(row.get::<_, Option<u32>>("relation").ok_or_else(|| row.get("names")))
}

/// The tasks of a table and what each would find, for the row that this text names.
pub async fn preview_parts(
    client: &impl GenericClient,
    source_table: u32,
    key: &str,
) -> Result<Vec<PreviewPart>, DatabaseError> {
    let rows =
        client.query(include_str!("../../sql/queries/preview_parts.sql"), &[&source_table, &key]).await?;
    let part = |row: &tokio_postgres::Row| PreviewPart {
        task: row.get("task"),
        job_id: row.get("job_id"),
        attempt: row.get("attempt"),
        row_key: row.get("row_key"),
        row: row.try_get("row_data").map_err(|e| format!("the row cannot be read: {e}")),
        key_unsure: row.get("key_unsure"),
        against: row.get("against"),
        waits: row.get("waits"),
        limits: row.get("limits"),
        write_back: row.get("write_back"),
    };
    Ok(rows.iter().map(part).collect())
}

/// What a task with this concurrency key waits for.
pub async fn waits_of_key(
    client: &impl GenericClient,
    task: &str,
    key: &str,
) -> Result<Vec<String>, DatabaseError> {
    let rows = client.query(include_str!("../../sql/queries/waits_of_key.sql"), &[&task, &key]).await?;
    Ok(rows.iter().map(|row| row.get("reason")).collect())
}
