//! Connections: the pool, and single ones for LISTEN and for migrations.

use std::sync::PoisonError;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use thiserror::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Connection, Socket};

use super::address::Address;
use super::columns::Unreadable;
use super::connector::{Connector, Pooled, Stream, Told};
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
    /// The same, because the server is not there, or not ready yet.
    #[error("cannot connect to the database: {0}")]
    Away(String),
    /// A statement failed.
    #[error("{}", explain(.0))]
    Statement(#[from] tokio_postgres::Error),
    /// A connection that was good gives no answer any more.
    #[error("no answer from the database within {0:?}")]
    Silent(Duration),
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
            Self::Url(_) | Self::Tls(_) | Self::Connect(_) | Self::Away(_) | Self::Silent(_) => false,
        }
    }

    /// Whether the server is not there, or not ready yet.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Away(_) | Self::Silent(_) => true,
            // 08: the connection; 57P: the server is being stopped or has just been started.
            Self::Statement(error) => error.code().map_or(error.is_closed(), |code| {
                code.code().starts_with("08") || code.code().starts_with("57P")
            }),
            _ => false,
        }
    }

    /// Whether another session holds what the statement needs.
    #[must_use]
    pub fn is_a_lock(&self) -> bool {
        matches!(self, Self::Statement(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Whether a connection may be of no use any more: it is broken or hangs, or a trigger of a user has changed its session.
    fn spoils_connections(&self) -> bool {
        const OF_THE_SESSION: [SqlState; 4] = [
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::DUPLICATE_PSTATEMENT,
            SqlState::IN_FAILED_SQL_TRANSACTION,
        ];
        match self {
            Self::Statement(error) => error.code().is_none_or(|code| OF_THE_SESSION.contains(code)),
            _ => !self.is_an_answer(),
        }
    }
}

/// Postgres' own message, with its code, detail and hint, instead of the driver's "db error".
pub fn explain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => {
            let may_not = (db.code() == &tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE)
                .then_some("`rowcall check --grants` names what is missing");
            // A pooler in transaction mode hands statements of one session to another.
            let pooled = [SqlState::DUPLICATE_PSTATEMENT, SqlState::INVALID_SQL_STATEMENT_NAME]
                .contains(db.code())
                .then_some(
                    "is there a pooler in transaction mode? Rowcall needs session mode, or PgBouncer 1.21 or later with \
                     max_prepared_statements",
                );
            let extra = [db.detail(), db.hint(), may_not, pooled]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; ");
            let extra = if extra.is_empty() { extra } else { format!(" ({extra})") };
            format!("{}{extra} [{}]", db.message(), db.code().code())
        }
        None => {
            let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
            format!("{error}{source}")
        }
    }
}

/// An error that may be the database's.
pub trait Failure: From<DatabaseError> {
    /// The database's part in it.
    fn of_database(&self) -> Option<&DatabaseError>;
}

impl Failure for DatabaseError {
    fn of_database(&self) -> Option<&DatabaseError> {
        Some(self)
    }
}

/// How long a connection may take to forget its settings before it is closed instead.
const RESET_LIMIT: Duration = Duration::from_secs(5);

/// The database, as the daemon uses it. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    connector: Connector,
    /// Why the pool could not connect, in our words.
    told: Told,
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
                match self.told.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                    Some((words, true)) => DatabaseError::Away(words),
                    Some((words, false)) => DatabaseError::Connect(words),
                    None => DatabaseError::Connect(explain(&error)),
                }
            }
            other => DatabaseError::Connect(other.to_string()),
        })
    }

    /// Some work with pooled connections, which may take so long. After an error, or without an answer, the pool begins
    /// anew: a connection may hang, or a user's trigger may have changed its session.
    pub async fn within<T, E: Failure>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let done = tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(DatabaseError::Silent(limit).into()));
        if let Err(error) = &done
            && error.of_database().is_some_and(DatabaseError::spoils_connections)
        {
            self.pool.retain(|_, _| false);
        }
        done
    }

    /// Gives a connection back on which triggers of users have run. What they have set for the session ends here.
    pub fn give_back(&self, client: Object) {
        tokio::spawn(async move {
            let forget =
                client.batch_execute(include_str!("../../sql/queries/connections/forget_session.sql"));
            let reset = tokio::time::timeout(RESET_LIMIT, forget).await;
            if !matches!(reset, Ok(Ok(()))) {
                drop(Object::take(client));
            }
        });
    }

    /// The longest that a new connection may take.
    #[must_use]
    pub fn connect_limit(&self) -> Duration {
        self.connector.limit()
    }

    /// A connection of its own, driven by the caller.
    pub async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), DatabaseError> {
        self.connector.connect().await.map_err(|error| error.at(&self.connector.place()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
