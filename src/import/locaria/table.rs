//! A source table: whether tasks can work on it, the triggers that Locaria put on it, and the rows that rest there.

use anyhow::{Context as _, bail};

use crate::database::{DatabaseError, Statements};
use crate::import::sql::quoted;

/// A table of which rows start tasks.
#[derive(Debug)]
pub struct Table {
    /// Its quoted name.
    pub name: String,
    /// The column that takes results, if there is one of the right type.
    pub result_column: Option<String>,
    /// Whether Rowcall watches it.
    pub watched: bool,
    /// Whether deleted rows are kept so already.
    pub keeps_deleted: bool,
    /// The triggers by which Locaria dispatches.
    pub triggers: Vec<Trigger>,
}

/// A trigger by which Locaria dispatches.
#[derive(Debug)]
pub struct Trigger {
    /// Its quoted name.
    pub name: String,
    /// The statement that makes it.
    pub definition: String,
    /// Whether it does anything.
    pub fires: bool,
    /// What it calls.
    pub function: String,
}

/// Looks at a table.
pub async fn look(client: &impl Statements, name: &str) -> anyhow::Result<Table> {
    let row = client
        .opt(include_str!("../../../sql/queries/import/import_locaria_table.sql"), &[&name])
        .await
        .map_err(DatabaseError::from)?
        .with_context(|| format!("there is no table {name} in this database"))?;
    let name: String = row.get("name");
    for (column, what) in [("has_key", "primary key"), ("has_status", "column status")] {
        if !row.get::<_, bool>(column) {
            bail!("table {name} has no {what}, so no task can work on its rows");
        }
    }
    let triggers = client
        .rows(include_str!("../../../sql/queries/import/import_locaria_triggers.sql"), &[&name])
        .await
        .map_err(DatabaseError::from)?;
    let trigger = |row: tokio_postgres::Row| Trigger {
        name: row.get("name"),
        definition: row.get("definition"),
        fires: row.get("fires"),
        function: row.get("function"),
    };
    Ok(Table {
        result_column: row.get::<_, bool>("has_attributes").then(|| "attributes".to_owned()),
        watched: row.get("watched"),
        keeps_deleted: row.get("keeps_deleted"),
        triggers: triggers.into_iter().map(trigger).collect(),
        name,
    })
}

/// How many rows rest in each of these statuses.
pub async fn resting(
    client: &impl Statements,
    table: &str,
    statuses: &[String],
) -> anyhow::Result<Vec<(String, i64)>> {
    let wanted = statuses.iter().map(|status| quoted(status)).collect::<Vec<_>>().join(", ");
    let statement = format!(
        "select status::text, count(*) from {table} where status::text in ({wanted}) group by 1 order by 1"
    );
    let rows = client
        .rows(&statement, &[])
        .await
        .map_err(DatabaseError::from)
        .with_context(|| format!("counting the rows of {table}"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
