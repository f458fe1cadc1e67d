//! What `rowcall preview` asks of the database.

use serde_json::Value;

use super::DatabaseError;
use super::columns::Columns as _;
use super::statements::Statements;

/// The watched table of this name, as an OID, or the names of all that are watched.
pub async fn watched_table(
    client: &impl Statements,
    name: &str,
) -> Result<Result<u32, Vec<String>>, DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/previewing/watched_table.sql"), &[&name]).await?;
    let names = row.column("names")?;
    Ok(row.column::<Option<u32>>("relation")?.ok_or(names))
}

/// The tasks of a table and what `rowcall.preview` says of each, as an object, for the row that this key names.
pub async fn preview(
    client: &impl Statements,
    source_table: u32,
    key: &str,
) -> Result<Vec<(String, Value)>, DatabaseError> {
    let rows =
        client.rows(include_str!("../../sql/queries/previewing/preview.sql"), &[&source_table, &key]).await?;
    rows.iter().map(|row| Ok((row.try_get("task")?, row.try_get("said")?))).collect()
}
