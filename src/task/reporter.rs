//! The task functions over a connection that may come and go.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::Value;
use thiserror::Error;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Row};

use super::Started;
use crate::database::{ConnectError, Connector, Statements as _, Typed, Values, drive_and_tell, is_warning};

/// How long one call may take before the connection is given up: behind a cut cable nothing answers.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Why a call was not done.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The database says that this executor must leave: the attempt is over, or another's.
    #[error("{0}")]
    Leave(String),
    /// The task has reported by itself already.
    #[error("{0}")]
    AlreadyReported(String),
    /// The call itself is wrong (a result that is too large, a row that cannot be written).
    #[error("{reason}")]
    Refused {
        /// The database's word.
        reason: String,
        /// Whether the same call may be taken another time: a row may be mended, a value will not change.
        retry: bool,
    },
    /// The database could not be reached within the limit.
    #[error("the database could not be reached for {limit:?}: {reason}")]
    Unreachable {
        /// How long it was tried.
        limit: Duration,
        /// The last error.
        reason: String,
    },
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    /// The job is tried again while it has attempts left.
    pub retry: bool,
    /// It is not the task's own, and counts as none of these.
    pub by_runner: bool,
}

impl Failing {
    /// The task's own.
    #[must_use]
    pub fn of_task(retry: bool) -> Self {
        Self { retry, by_runner: false }
    }
}

/// Speaks for one attempt.
pub struct Reporter {
    connector: Connector,
    token: String,
    client: Option<Client>,
}

impl Reporter {
    /// For the attempt with this token. Connects when first needed.
    #[must_use]
    pub fn new(connector: Connector, token: String) -> Self {
        Self { connector, token, client: None }
    }

    /// `task_start`, as an executor that may have to ask twice.
    /// `external_id` is the task's own word for where it runs, if it knows.
    pub async fn start(
        &mut self,
        executor: &str,
        external_id: Option<&str>,
        limit: Duration,
    ) -> Result<Started, ReportError> {
        let sql = include_str!("../../sql/queries/reporter/task_start.sql");
        let rows = self.call(sql, &[&executor, &external_id], limit).await?;
        let unreadable = |reason: String| ReportError::Refused { reason, retry: false };
        let row = rows.first().ok_or_else(|| unreadable("task_start answered nothing".to_owned()))?;
        Started::read(row).map_err(|error| unreadable(format!("task_start's answer: {error}")))
    }

    /// `task_progress`: a heartbeat, with a fraction from 0 to 1 and a message where there are any.
    pub async fn progress(
        &mut self,
        fraction: Option<f64>,
        message: Option<&str>,
        limit: Duration,
    ) -> Result<(), ReportError> {
        let sql = include_str!("../../sql/queries/reporter/task_progress.sql");
        self.call(sql, &[&fraction, &message], limit).await.map(drop)
    }

    /// `task_succeed`
    pub async fn succeed(&mut self, result: Option<&Value>, limit: Duration) -> Result<(), ReportError> {
        self.call(include_str!("../../sql/queries/reporter/task_succeed.sql"), &[&result], limit)
            .await
            .map(drop)
    }

    /// `task_fail`
    pub async fn fail(
        &mut self,
        message: &str,
        detail: &Value,
        how: Failing,
        limit: Duration,
    ) -> Result<(), ReportError> {
        let sql = include_str!("../../sql/queries/reporter/task_fail.sql");
        let kind = if how.by_runner { "runner" } else { "task" };
        self.call(sql, &[&message, detail, &how.retry, &kind], limit).await.map(drop)
    }

    /// `task_snooze`
    pub async fn snooze(
        &mut self,
        snooze: Duration,
        reason: Option<&str>,
        limit: Duration,
    ) -> Result<(), ReportError> {
        let sql = include_str!("../../sql/queries/reporter/task_snooze.sql");
        self.call(sql, &[&snooze.as_secs_f64(), &reason], limit).await.map(drop)
    }

    /// Calls until there is an answer or the limit is over. Every task function may be called twice: the first
    /// answer may have been lost on its way.
    async fn call(
        &mut self,
        sql: &str,
        parameters: &Values<'_>,
        limit: Duration,
    ) -> Result<Vec<Row>, ReportError> {
        let deadline = Instant::now() + limit;
        let mut ceiling = Duration::from_millis(200);
        loop {
            let reason = match tokio::time::timeout(CALL_LIMIT, self.call_once(sql, parameters)).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) => match error.answer().and_then(classify) {
                    Some(verdict) if !self.is_the_servers(&error).await => return Err(verdict),
                    _ => error.to_string(),
                },
                Err(_) => format!("no answer within {CALL_LIMIT:?}"),
            };
            self.client = None;
            let wait = ceiling.mul_f64(rand::rng().random_range(0.3..1.0));
            if Instant::now() + wait >= deadline {
                return Err(ReportError::Unreachable { limit, reason });
            }
            tokio::time::sleep(wait).await;
            ceiling = (ceiling * 2).min(Duration::from_secs(10));
        }
    }

    /// Whether a limit was met that is the server's and not the value's: one near the wraparound of its transaction numbers answers each
    /// change with the code that a value has which is too large.
    async fn is_the_servers(&self, error: &Failed) -> bool {
        let Some(client) = self.client.as_ref().filter(|_| error.is_a_limit()) else { return false };
        let asking = client.simple_query(include_str!("../../sql/queries/reporter/can_change.sql"));
        !matches!(tokio::time::timeout(CALL_LIMIT, asking).await, Ok(Ok(_)))
    }

    async fn call_once(&mut self, sql: &str, parameters: &Values<'_>) -> Result<Vec<Row>, Failed> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            let (client, connection) = self.connector.connect().await?;
            tokio::spawn(drive_and_tell(connection, |notice| {
                if is_warning(notice) {
                    eprintln!("rowcall-task: the database warns: {}", notice.message());
                }
            }));
            self.client = Some(client);
        }
        let Some(client) = &self.client else { return Ok(Vec::new()) };
        let mut all: Vec<&dyn Typed> = vec![&self.token];
        all.extend(parameters);
        Ok(client.rows(sql, &all).await?)
    }
}

/// Why a call got no answer, or a bad one.
#[derive(Debug, Error)]
enum Failed {
    #[error(transparent)]
    Connecting(#[from] ConnectError),
    #[error("{}", describe(.0))]
    Calling(#[from] tokio_postgres::Error),
}

impl Failed {
    /// What the database said of the call. A server that refuses the login has not heard it: passwords are changed,
    /// rules reloaded, and IAM is busy now and then.
    fn answer(&self) -> Option<&DbError> {
        match self {
            Self::Calling(error) => error.as_db_error(),
            Self::Connecting(_) => None,
        }
    }

    /// Whether a limit of the server was met, or of a value.
    fn is_a_limit(&self) -> bool {
        self.answer().is_some_and(|answer| *answer.code() == SqlState::PROGRAM_LIMIT_EXCEEDED)
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reporter").finish_non_exhaustive()
    }
}

/// What the database's word means; `None` if it had none for us and asking again may help.
fn classify(db: &DbError) -> Option<ReportError> {
    let text = match db.hint() {
        Some(hint) => format!("{}. {hint}", db.message()),
        None => db.message().to_owned(),
    };
    match db.code().code() {
        "RC001" | "RC002" | "RC003" | "RC016" => Some(ReportError::Leave(text)),
        "RC004" => Some(ReportError::AlreadyReported(text)),
        // Class 08: connection; 25006: a standby; 40: serialization, deadlock; 53: resources; 55P03: lock; 57: the
        // server is shutting down or starting.
        code if ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) => None,
        "25006" | "55P03" => None,
        // 22: a value that cannot be; 54: too large.
        code => {
            let retry = !["22", "54"].iter().any(|class| code.starts_with(class));
            Some(ReportError::Refused { reason: text, retry })
        }
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => db.message().to_owned(),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}
