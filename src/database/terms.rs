//! What frozen requests have in common with others: each different one is written down once.

use serde_json::Value;

use super::DatabaseError;
use super::columns::{Columns as _, Unreadable};
use super::statements::Statements;

/// The ids of these terms, in their order. Those that are new are written down.
pub async fn keep_terms(client: &impl Statements, terms: &[Value]) -> Result<Vec<String>, DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/claims/terms_keep.sql"), &[&terms]).await?;
    Ok(row.column(0)?)
}

/// Terms by their ids; those that are gone are left out.
pub async fn terms_of(
    client: &impl Statements,
    ids: &[&str],
) -> Result<Vec<(String, Result<Value, Unreadable>)>, DatabaseError> {
    let rows = client.rows(include_str!("../../sql/queries/settling/terms_of.sql"), &[&ids]).await?;
    rows.iter().map(|row| Ok((row.column("id")?, row.column("terms")))).collect()
}
