//! The daemon's own row in `rowcall.dispatchers`.

use deadpool_postgres::GenericClient;

use super::DatabaseError;
use super::columns::Columns as _;
use crate::job::{DispatcherId, RunnerName};

/// A dispatcher that has just begun.
#[derive(Debug, Clone, Copy)]
pub struct Registration {
    /// Its number.
    pub id: DispatcherId,
    /// Blocked jobs that get another try because it came.
    pub released: i64,
}

/// Begins.
pub async fn register_dispatcher(
    client: &impl GenericClient,
    host: &str,
    runners: &[RunnerName],
) -> Result<Registration, DatabaseError> {
    let row = client
        .query_one(
            include_str!("../../sql/queries/dispatchers/dispatcher_register.sql"),
            &[&host, &(std::process::id() as i32), &env!("CARGO_PKG_VERSION"), &runners],
        )
        .await?;
    Ok(Registration { id: row.column("id")?, released: row.column("released")? })
}

/// Touches the row; false if others have been told that this dispatcher is gone.
pub async fn dispatcher_seen(client: &impl GenericClient, id: DispatcherId) -> Result<bool, DatabaseError> {
    let statement =
        client.prepare_cached(include_str!("../../sql/queries/dispatchers/dispatcher_seen.sql")).await?;
    Ok(client.execute(&statement, &[&id]).await? == 1)
}

/// Ends on purpose: others may adopt at once what still runs.
pub async fn dispatcher_stopped(client: &impl GenericClient, id: DispatcherId) -> Result<(), DatabaseError> {
    client.execute(include_str!("../../sql/queries/dispatchers/dispatcher_stopped.sql"), &[&id]).await?;
    Ok(())
}
