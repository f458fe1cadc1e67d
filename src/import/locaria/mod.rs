//! `fargate_config`, `lambda_config` and `email_config` of Locaria, as they stand, become rows of `rowcall.parameters`.
//!
//! In the order of work: the [`source`] is read, each [`entry`] that has a status becomes a row that is [`wanted`] and is
//! [`compare`]d with what stands there; with the [`table`]s they work on that makes a [`Plan`], which [`print`]s itself
//! and whose statements are what is run.

mod compare;
mod entry;
mod plan;
mod print;
mod routes;
mod source;
mod statements;
mod table;
mod wanted;

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio_postgres::{Client, IsolationLevel};

use crate::database::{DatabaseError, check_schema};
pub use plan::Plan;

/// What is asked for.
// Each is a wish of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone)]
pub struct Options {
    /// Where Locaria's tables are.
    pub schema: String,
    /// Which of several rows of one name.
    pub usage: String,
    /// Functions that start at a status: `name` or `config.name`, and the status.
    pub routes: BTreeMap<String, String>,
    /// The channel on which status changes are announced.
    pub notify_channel: Option<String>,
    /// The table whose rows start the functions of `email_config`.
    pub messages_table: Option<String>,
    /// Drop the triggers by which Locaria dispatches.
    pub replace_trigger: bool,
    /// Let no program take rows out of the status DELETED.
    pub keep_deleted: bool,
    /// Also rows that were edited since the last import, or made by hand.
    pub overwrite: bool,
}

/// Looks, and says what would be done. Changes nothing.
pub async fn look(client: &mut Client, options: &Options) -> anyhow::Result<Plan> {
    check_schema(client).await?;
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(DatabaseError::from)?;
    plan::make(&transaction, options).await
}

/// Looks, and does it: all of it or nothing. `tell` gets the plan before anything is done.
pub async fn apply(client: &mut Client, options: &Options, tell: impl FnOnce(&Plan)) -> anyhow::Result<Plan> {
    check_schema(client).await?;
    // The rows that the plan was made from cannot change under it: an edit meanwhile is an error, and nothing is done.
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .await
        .map_err(DatabaseError::from)?;
    let plan = plan::make(&transaction, options).await?;
    tell(&plan);
    for statement in &plan.statements {
        transaction
            .batch_execute(&statement.sql)
            .await
            .map_err(DatabaseError::from)
            .with_context(|| format!("nothing was changed; the database refused:\n{}", statement.sql))?;
    }
    transaction.commit().await.map_err(DatabaseError::from).context("nothing was changed")?;
    Ok(plan)
}
