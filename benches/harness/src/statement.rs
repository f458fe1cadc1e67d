//! One statement on a connection of its own, which is made anew after each failure: chaos ends connections all the time.

use std::time::Duration;

use thiserror::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

/// A server that is silent for so long is asked again over another connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries.
pub const PAUSE: Duration = Duration::from_millis(200);

/// Why there is no answer, or not the wanted one.
#[derive(Debug, Error)]
pub enum Failure {
    /// The connection, or the server, was not there or went away. The statement may have been executed.
    #[error("{0}")]
    Away(String),
    /// A unique key is there already.
    #[error("{0}")]
    Duplicate(String),
    /// Another try would fail as well.
    #[error("{0}")]
    Refused(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        // The library's own text leaves the server's words to the source.
        let words = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
        let Some(code) = error.code() else { return Self::Away(words) };
        // 08: the connection; 53: no room for another one; 57P: the server is being stopped, or has just been started.
        let is_away = ["08", "53", "57P"].iter().any(|class| code.code().starts_with(class));
        match code {
            _ if is_away => Self::Away(words),
            code if *code == SqlState::UNIQUE_VIOLATION => Self::Duplicate(words),
            _ => Self::Refused(words),
        }
    }
}

/// The statement.
pub struct Statement {
    config: Config,
    sql: &'static str,
    open: Option<(Client, tokio_postgres::Statement)>,
}

impl Statement {
    /// Not connected yet.
    pub fn new(url: &str, sql: &'static str) -> anyhow::Result<Self> {
        let mut config: Config = url.parse()?;
        config.application_name("rowcall-bench").connect_timeout(PATIENCE);
        Ok(Self { config, sql, open: None })
    }

    /// Executes it, once.
    pub async fn run(&mut self, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let silent = |_| Failure::Away(format!("no answer within {PATIENCE:?}"));
        let answer = tokio::time::timeout(PATIENCE, self.ask(values)).await.map_err(silent).flatten();
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    async fn ask(&mut self, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let (client, statement) = match &mut self.open {
            Some(open) => open,
            closed => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                let statement = client.prepare(self.sql).await?;
                closed.insert((client, statement))
            }
        };
        Ok(client.query(statement, values).await?)
    }
}
