//! The daemon's own row in `rowcall.dispatchers`.

use std::time::Duration;

use tokio_postgres::{Client, Row};

use super::DatabaseError;
use super::columns::Columns as _;
use super::statements::Statements;
use super::typed::Typed;
use crate::job::{DispatcherId, RunnerName};

/// A dispatcher that has just begun.
#[derive(Debug, Clone, Copy)]
pub struct Registration {
    /// Its number.
    pub id: DispatcherId,
    /// Blocked jobs that get another try because it came.
    pub released: i64,
}

/// What a dispatcher says of itself when it begins.
#[derive(Debug, Clone)]
pub struct NewDispatcher<'a> {
    /// Its machine's name, for people.
    pub host: &'a str,
    /// Its runners.
    pub runners: &'a [RunnerName],
    /// Of each of them, where its attempts can be seen; empty for anywhere.
    pub places: &'a [String],
    /// How long others wait for a sign of it.
    pub dead_after: Duration,
    /// How long others leave alone what only its machine can see.
    pub lost_after: Duration,
}

/// Begins.
pub async fn register_dispatcher(
    client: &impl Statements,
    new: &NewDispatcher<'_>,
) -> Result<Registration, DatabaseError> {
    let row = client
        .one(
            include_str!("../../sql/queries/dispatchers/dispatcher_register.sql"),
            &[
                &new.host,
                &(std::process::id() as i32),
                &env!("CARGO_PKG_VERSION"),
                &new.runners,
                &new.places,
                &new.dead_after.as_secs_f64(),
                &new.lost_after.as_secs_f64(),
            ],
        )
        .await?;
    Ok(Registration { id: row.column("id")?, released: row.column("released")? })
}

/// What a dispatcher learns when it says that it lives.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// For how long it had not said so, by the database's clock.
    pub silent_for: Duration,
    /// Whether any attempt is open, its own or another's.
    pub attempts_open: bool,
    /// Whether there are jobs that do not run, or notes of missed rows; true where that was not asked.
    pub jobs_open: bool,
}

/// Says that this dispatcher lives and that others wait for `lease` from now on. None if others have been told that it is gone.
pub async fn dispatcher_seen(
    client: &impl Statements,
    id: DispatcherId,
    lease: Duration,
    asks_for_jobs: bool,
) -> Result<Option<Seen>, DatabaseError> {
    let values: [&dyn Typed; 3] = [&id, &lease.as_secs_f64(), &asks_for_jobs];
    let row = client.opt(include_str!("../../sql/queries/dispatchers/dispatcher_seen.sql"), &values).await?;
    let read = |row: Row| {
        Ok(Seen {
            // Negative if the clock was set back.
            silent_for: Duration::try_from_secs_f64(row.column("silent_for")?).unwrap_or_default(),
            attempts_open: row.column("attempts_open")?,
            jobs_open: row.column("jobs_open")?,
        })
    };
    row.map(read).transpose()
}

/// Other dispatchers at one of these places that have not stopped in order.
pub async fn dispatchers_here(
    client: &impl Statements,
    id: DispatcherId,
    places: &[String],
) -> Result<Vec<DispatcherId>, DatabaseError> {
    let rows = client
        .rows(include_str!("../../sql/queries/dispatchers/dispatchers_here.sql"), &[&id, &places])
        .await?;
    Ok(rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?)
}

/// Ends on purpose: others may adopt at once what still runs.
pub async fn dispatcher_stopped(client: &impl Statements, id: DispatcherId) -> Result<(), DatabaseError> {
    client.run(include_str!("../../sql/queries/dispatchers/dispatcher_stopped.sql"), &[&id]).await?;
    Ok(())
}

/// The dispatchers that live, each in words. None where there is no schema, or an older one.
pub async fn running_dispatchers(client: &Client) -> Result<Vec<String>, DatabaseError> {
    let there =
        client.one(include_str!("../../sql/queries/dispatchers/dispatchers_are_known.sql"), &[]).await?;
    if !there.column::<bool>(0)? {
        return Ok(Vec::new());
    }
    let rows =
        client.rows(include_str!("../../sql/queries/dispatchers/dispatchers_running.sql"), &[]).await?;
    Ok(rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?)
}
