//! The lock by which writers know whether a dispatcher sleeps; `src/dispatcher/claim/wake_lock.rs` has the argument.

use tokio_postgres::Client;

use super::DatabaseError;
use super::columns::Columns as _;
use super::statements::Statements;

/// The server's number of this session.
pub async fn session_pid(client: &Client) -> Result<i32, DatabaseError> {
    Ok(client.one(include_str!("../../sql/queries/wake_lock/backend_pid.sql"), &[]).await?.column(0)?)
}

/// Takes the lock, in a transaction that stays open.
pub async fn acquire(client: &Client) -> Result<(), DatabaseError> {
    Ok(client.batch_execute(include_str!("../../sql/queries/wake_lock/wake_lock_acquire.sql")).await?)
}

/// Whether that session waits for the lock or has it.
pub async fn is_queued(client: &impl Statements, pid: i32) -> Result<bool, DatabaseError> {
    let sql = include_str!("../../sql/queries/wake_lock/wake_lock_is_queued.sql");
    Ok(client.one(sql, &[&pid]).await?.column(0)?)
}

/// Ends that transaction.
pub async fn release(client: &Client) -> Result<(), DatabaseError> {
    Ok(client.batch_execute("commit").await?)
}
