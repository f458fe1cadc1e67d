//! Whether this program and the schema in the database understand each other.

use thiserror::Error;
use tokio_postgres::Row;

use super::DatabaseError;
use super::columns::Columns as _;
use super::connect::Failure;
use super::function_files::function_files;
use super::statements::Statements;

/// The newest migration this program knows; what it was built to work with.
pub const SCHEMA_VERSION: i32 = 1;

/// Why a daemon must not touch this database.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// There is no schema.
    #[error("this database has no rowcall schema: run `rowcall migrate` first")]
    Missing,
    /// This login has no right to it.
    #[error(
        "{login} may not use the schema rowcall: GRANT rowcall_dispatcher TO {login} for a daemon, rowcall_admin for \
         `rowcall import`"
    )]
    Closed {
        /// The login.
        login: String,
    },
    /// The schema is behind.
    #[error(
        "the rowcall schema is at version {found}; this rowcall needs {SCHEMA_VERSION}: run `rowcall migrate`"
    )]
    TooOld {
        /// Version in the database.
        found: i32,
    },
    /// It is of this version, and was made by an older program all the same.
    #[error("the rowcall schema lacks functions of this rowcall ({}): run `rowcall migrate`", .0.join(", "))]
    Behind(Vec<String>),
    /// The schema is ahead, and says that this program is too old for it.
    #[error(
        "the rowcall schema is at version {found} and needs a rowcall that knows version {oldest_daemon} or \
         later; this one knows {SCHEMA_VERSION}: upgrade rowcall, or go back with `rowcall migrate --down-to`"
    )]
    TooNew {
        /// Version in the database.
        found: i32,
        /// What it asks of daemons.
        oldest_daemon: i32,
    },
    /// It could not be found out.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Failure for SchemaError {
    fn of_database(&self) -> Option<&DatabaseError> {
        match self {
            Self::Database(error) => Some(error),
            Self::Missing
            | Self::Closed { .. }
            | Self::TooOld { .. }
            | Self::Behind(_)
            | Self::TooNew { .. } => None,
        }
    }
}

/// What is looked at before each claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Changes whenever the parameters do.
    pub parameters: String,
}

/// Refuses a schema older or newer than this program can work with, or none.
pub async fn check_schema(client: &impl Statements) -> Result<(), SchemaError> {
    let here = client
        .one(include_str!("../../sql/queries/schema/schema_and_login.sql"), &[])
        .await
        .map_err(DatabaseError::from)?;
    if !here.column("is_there").map_err(DatabaseError::from)? {
        return Err(SchemaError::Missing);
    }
    if !here.column("may_use").map_err(DatabaseError::from)? {
        return Err(SchemaError::Closed { login: here.column("login").map_err(DatabaseError::from)? });
    }
    let version = client.one(include_str!("../../sql/queries/schema/schema_version.sql"), &[]).await;
    let found = fitting_version(&version.map_err(DatabaseError::from)?)?;
    // A newer schema says itself whether it has all that this program uses.
    if found > SCHEMA_VERSION {
        return Ok(());
    }
    let files = function_files().map_err(|error| DatabaseError::Unfit(format!("{error:#}")))?;
    let brought: Vec<String> = files.into_iter().map(|file| file.name).collect();
    let missing = client
        .rows(include_str!("../../sql/queries/schema/functions_missing.sql"), &[&brought])
        .await
        .map_err(DatabaseError::from)?;
    let missing = missing.iter().map(|row| row.column(0)).collect::<Result<Vec<String>, _>>();
    match missing.map_err(DatabaseError::from)? {
        none if none.is_empty() => Ok(()),
        missing => Err(SchemaError::Behind(missing)),
    }
}

/// The same for a schema that is known to exist, together with what else a claim must know. A newer schema is
/// fine as long as its migrations left in place all that this program uses; each says so (`oldest-daemon`).
pub async fn read_stamp(client: &impl Statements) -> Result<Stamp, SchemaError> {
    let sql = include_str!("../../sql/queries/schema/schema_and_parameters_stamp.sql");
    let row = client.one(sql, &[]).await.map_err(DatabaseError::from)?;
    fitting_version(&row)?;
    Ok(Stamp { parameters: row.column("parameters_stamp").map_err(DatabaseError::from)? })
}

fn fitting_version(row: &Row) -> Result<i32, SchemaError> {
    let (Some(found), Some(oldest_daemon)) = versions(row)? else {
        return Err(SchemaError::Missing);
    };
    if found < SCHEMA_VERSION {
        return Err(SchemaError::TooOld { found });
    }
    if oldest_daemon > SCHEMA_VERSION {
        return Err(SchemaError::TooNew { found, oldest_daemon });
    }
    Ok(found)
}

/// The schema's version, and the oldest that a daemon may be made for; none in a schema of which nothing is applied.
fn versions(row: &Row) -> Result<(Option<i32>, Option<i32>), DatabaseError> {
    Ok((row.column(0)?, row.column(1)?))
}
