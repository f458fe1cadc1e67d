//! Connections: the pool, and single ones for LISTEN and for migrations.

use std::sync::{Arc, Mutex, PoisonError};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use thiserror::Error;
use tokio_postgres::{Client, Connection, Socket};

use super::address::Address;
use super::columns::Unreadable;
use super::connector::{Connector, Pooled, Stream};
use crate::job::UnknownWord;
use crate::settings::DatabaseSettings;

/// Why the database cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The connection string is missing or malformed. The string itself, which may hold a password, is not shown.
    #[error("{0}")]
    Url(String),
    /// A certificate or key cannot be used.
    #[error("{0}")]
    Tls(String),
    /// No connection could be had.
    #[error("cannot connect to the database: {0}")]
    Connect(String),
    /// A statement failed.
    #[error("{}", explain(.0))]
    Statement(#[from] tokio_postgres::Error),
    /// The database holds a value that this program cannot read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl From<UnknownWord> for DatabaseError {
    fn from(word: UnknownWord) -> Self {
        Self::Unreadable(word.into())
    }
}

impl DatabaseError {
    /// Whether Postgres answered, and so the statement is at fault and not the way to the server.
    #[must_use]
    pub fn is_an_answer(&self) -> bool {
        match self {
            Self::Statement(error) => error.as_db_error().is_some(),
            Self::Unreadable(_) => true,
            Self::Url(_) | Self::Tls(_) | Self::Connect(_) => false,
        }
    }
}

/// Postgres' own message, with its code, detail and hint, instead of the driver's "db error".
pub fn explain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => {
            let may_not = (db.code() == &tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE)
                .then_some("`rowcall check --grants` names what is missing");
            let extra =
                [db.detail(), db.hint(), may_not].into_iter().flatten().collect::<Vec<_>>().join("; ");
            let extra = if extra.is_empty() { extra } else { format!(" ({extra})") };
            format!("{}{extra} [{}]", db.message(), db.code().code())
        }
        None => {
            let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
            format!("{error}{source}")
        }
    }
}

/// The database, as the daemon uses it. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    connector: Connector,
    /// Why the pool could not connect, in our words.
    told: Arc<Mutex<Option<String>>>,
}

impl Database {
    /// Prepares a pool; the first connection is made when it is needed.
    pub fn new(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        let connector = Connector::new(Address::parse(&settings.url)?, settings.connect_timeout)?;
        let (pooled, told) = Pooled::new(connector.clone());
        let manager = Manager::from_connect(
            connector.config().clone(),
            pooled,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.connect_timeout))
            // The connector has its own limit.
            .create_timeout(None)
            .build()
            .map_err(|e| DatabaseError::Connect(e.to_string()))?;
        Ok(Self { pool, connector, told })
    }

    /// A pooled connection.
    pub async fn get(&self) -> Result<Object, DatabaseError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => {
                let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
                DatabaseError::Connect(told.unwrap_or_else(|| explain(&error)))
            }
            other => DatabaseError::Connect(other.to_string()),
        })
    }

    /// A connection of its own, driven by the caller.
    pub async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), DatabaseError> {
        Ok(self.connector.connect().await?)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
