//! Connections: the pool, and single ones for LISTEN and for migrations.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use thiserror::Error;
use tokio_postgres::{Config, NoTls};

use crate::settings::DatabaseSettings;

/// Why the database cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The connection string is missing or malformed. The string itself, which may hold a password, is not shown.
    #[error("{0}")]
    Url(String),
    /// No connection could be had.
    #[error("cannot connect to the database: {0}")]
    Connect(String),
    /// A statement failed.
    #[error("{}", explain(.0))]
    Statement(#[from] tokio_postgres::Error),
}

impl DatabaseError {
    /// Whether Postgres answered, and so the statement is at fault and not the way to the server.
    #[must_use]
    pub fn is_an_answer(&self) -> bool {
        matches!(self, Self::Statement(error) if error.as_db_error().is_some())
    }
}

/// Postgres' own message, with its code, detail and hint, instead of the driver's "db error".
fn explain(error: &tokio_postgres::Error) -> String {
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

impl From<deadpool_postgres::PoolError> for DatabaseError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(e) => Self::Connect(explain(&e)),
            other => Self::Connect(other.to_string()),
        }
    }
}

/// Reads a connection string, saying what is wrong with it without repeating it.
pub fn parse_url(url: &str) -> Result<Config, DatabaseError> {
    const FORM: &str =
        "set DATABASE_URL or database.url to the form postgresql://user:password@host:port/dbname";
    if url.is_empty() {
        return Err(DatabaseError::Url(format!("no database is named: {FORM}")));
    }
    let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
        let source = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
        DatabaseError::Url(format!("the database URL is not valid{source}; {FORM}"))
    })?;
    if config.get_hosts().is_empty() {
        return Err(DatabaseError::Url(format!("the database URL names no host; {FORM}")));
    }
    if config.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
        return Err(DatabaseError::Url(
            "the database URL asks for sslmode=require, and this version of rowcall cannot encrypt connections".to_owned(),
        ));
    }
    if config.get_application_name().is_none() {
        config.application_name("rowcall");
    }
    Ok(config)
}

/// The database, as the daemon uses it. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    config: Config,
}

impl Database {
    /// Prepares a pool; the first connection is made when it is needed.
    pub fn new(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        let mut config = parse_url(&settings.url)?;
        config.connect_timeout(settings.connect_timeout);
        // A peer that vanished without a word is noticed in about a minute, not in two hours.
        config
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_mins(1));
        let manager = Manager::from_config(
            config.clone(),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.connect_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .build()
            .map_err(|e| DatabaseError::Connect(e.to_string()))?;
        Ok(Self { pool, config })
    }

    /// A pooled connection.
    pub async fn get(&self) -> Result<Object, DatabaseError> {
        Ok(self.pool.get().await?)
    }

    /// A connection of its own, driven by the caller.
    pub async fn connect(
        &self,
    ) -> Result<
        (
            tokio_postgres::Client,
            tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>,
        ),
        DatabaseError,
    > {
        self.config.connect(NoTls).await.map_err(|e| DatabaseError::Connect(explain(&e)))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_explained_without_its_password() {
        let text = parse_url("postgresql://u:hunter2@h:port/db").unwrap_err().to_string();
        assert!(text.contains("not valid") && !text.contains("hunter2"), "{text}");
        assert!(parse_url("").unwrap_err().to_string().contains("DATABASE_URL"));
    }
}
