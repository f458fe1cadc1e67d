//! Connections: the pool, and single ones for LISTEN and for migrations.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, TimeoutType,
};
use thiserror::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Connection, SimpleQueryMessage, Socket};
use tokio_util::task::AbortOnDropHandle;

use super::address::Address;
use super::columns::Unreadable;
use super::connector::{Connector, Pooled, Stream, Told};
use super::pooler::Pooler;
use super::reserve::Reserve;
use super::session::Session;
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
    /// The connection is there, and is of no use.
    #[error("{0}")]
    Unfit(String),
    /// A statement failed.
    #[error("{}", explain(.0))]
    Statement(#[from] tokio_postgres::Error),
    /// A connection that was good gives no answer any more.
    #[error("no answer from the database within {0:?}")]
    Silent(Duration),
    /// No connection of the pool became free in time.
    #[error("all {0} connections of the pool are in use: database.pool_size may be larger")]
    Busy(usize),
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
            Self::Unreadable(_) | Self::Unfit(_) => true,
            Self::Url(_)
            | Self::Tls(_)
            | Self::Connect(_)
            | Self::Away(_)
            | Self::Silent(_)
            | Self::Busy(_) => false,
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

    /// Whether a value was refused (classes 22 and 23), so that the same statement fails each time.
    #[must_use]
    pub fn is_of_a_value(&self) -> bool {
        let class = |code: &SqlState| code.code().starts_with("22") || code.code().starts_with("23");
        matches!(self, Self::Statement(error) if error.code().is_some_and(class))
    }

    /// Whether the server may have lost what was committed before: terms of requests are gone, or it could not be asked.
    #[must_use]
    pub fn may_have_lost_terms(&self) -> bool {
        let gone = |error: &tokio_postgres::Error| error.code().is_some_and(|code| code.code() == "RC016");
        matches!(self, Self::Statement(error) if gone(error)) || !self.is_an_answer() || self.is_away()
    }

    /// Whether another session holds what the statement needs.
    #[must_use]
    pub fn is_a_lock(&self) -> bool {
        matches!(self, Self::Statement(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Whether the server did not know the statement's name, or had it already: a pooler has handed our transactions to different
    /// sessions.
    fn shows_a_pooler(&self) -> bool {
        const OF_NAMES: [SqlState; 2] =
            [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT];
        matches!(self, Self::Statement(error) if error.code().is_some_and(|code| OF_NAMES.contains(code)))
    }

    /// Whether a connection may be of no use any more: it is broken or hangs, or a trigger of a user has changed its session.
    fn spoils_connections(&self) -> bool {
        const OF_THE_SESSION: [SqlState; 2] =
            [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::IN_FAILED_SQL_TRANSACTION];
        if self.shows_a_pooler() {
            return true;
        }
        match self {
            Self::Statement(error) => error.code().is_none_or(|code| OF_THE_SESSION.contains(code)),
            // Each of them is at work.
            Self::Busy(_) => false,
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
    reserve: Reserve,
    connector: Connector,
    /// For connections that last, and must not be shared.
    own: Connector,
    /// Whether those go another way than the pool's.
    listens_elsewhere: bool,
    /// Why the pool could not connect, in our words.
    told: Told,
    pooler: Arc<Pooler>,
}

/// What a lock guards, also after a panic.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Database {
    /// Prepares a pool; the first connection is made when it is needed.
    pub fn new(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        let connector = Connector::new(Address::parse(&settings.url)?, settings.connect_timeout)?;
        let own = match settings.listen_url.as_str() {
            "" => connector.clone(),
            url => Connector::new(Address::parse(url)?, settings.connect_timeout)?,
        };
        let pooler = Arc::<Pooler>::default();
        let (connecting, told) = Pooled::new(connector.clone(), Arc::clone(&pooler));
        let make = |connecting: Pooled, size: usize| {
            let manager = Manager::from_connect(
                connector.config().clone(),
                connecting,
                ManagerConfig { recycling_method: RecyclingMethod::Fast },
            );
            Pool::builder(manager)
                .max_size(size)
                .runtime(Runtime::Tokio1)
                // The latest first: its session has its plans and catalogues at hand.
                .queue_mode(QueueMode::Lifo)
                .wait_timeout(Some(settings.connect_timeout))
                // The connector has its own limit.
                .create_timeout(None)
                .build()
                .map_err(|e| DatabaseError::Connect(e.to_string()))
        };
        let reserve = Reserve::new(make(connecting.clone(), 1)?);
        let pool = make(connecting, settings.pool_size)?;
        let listens_elsewhere = !settings.listen_url.is_empty();
        Ok(Self { pool, reserve, connector, own, listens_elsewhere, told, pooler })
    }

    /// A pooled connection.
    pub async fn get(&self) -> Result<Session, DatabaseError> {
        Ok(Session::new(self.pool_get().await?, Arc::clone(&self.pooler)))
    }

    /// The one connection that is kept for the word that this dispatcher lives: all others may be in use, and hang.
    pub async fn get_reserved(&self) -> Result<Session, DatabaseError> {
        let reserved = self.reserve.get().await.map_err(|error| self.refused(error))?;
        Ok(Session::new(reserved, Arc::clone(&self.pooler)))
    }

    /// Ends when connections that are there now are given up, because they hang.
    pub fn given_up(&self) -> impl Future<Output = ()> + use<> {
        self.reserve.given_up()
    }

    /// Ends all work that is under way, with its connections, as one of them gave no answer. Behind a pooler that may only have waited for
    /// its turn.
    pub fn give_up_unless_pooled(&self) {
        if self.pooler.is_absent() {
            self.give_up_connections();
        }
    }

    fn give_up_connections(&self) {
        self.pool.retain(|_, _| false);
        self.reserve.give_up();
    }

    async fn pool_get(&self) -> Result<Object, DatabaseError> {
        self.pool.get().await.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: PoolError) -> DatabaseError {
        match error {
            PoolError::Backend(error) => match locked(&self.told).clone() {
                Some((words, true)) => DatabaseError::Away(words),
                Some((words, false)) => DatabaseError::Connect(words),
                None => DatabaseError::Connect(explain(&error)),
            },
            PoolError::Timeout(TimeoutType::Wait) => DatabaseError::Busy(self.pool.status().max_size),
            other => DatabaseError::Connect(other.to_string()),
        }
    }

    /// Finds out whether a pooler shares sessions among connections, before anything else uses them. Until then, and if so,
    /// statements are sent without names.
    pub async fn look_for_pooler(&self) -> Result<(), DatabaseError> {
        let comparing = async {
            let one = self.pool_get().await?;
            // Beside the pool, which may have room for one only.
            let (other, connection) = self.connect().await?;
            let _driver = AbortOnDropHandle::new(tokio::spawn(super::drive(connection)));
            self.pooler.compare(&one, &other).await?;
            Ok(self.pooler.begin(&one).await?)
        };
        // Two connections are made.
        self.within(2 * self.connect_limit(), comparing).await
    }

    /// Whether a connection of its own can LISTEN, and hold a lock: not if it shares its session with others.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        self.listens_elsewhere || !self.pooler.shares_sessions()
    }

    /// Some work with pooled connections, which may take so long. After an error, or without an answer, the pool begins
    /// anew: a connection may hang, or a user's trigger may have changed its session.
    pub async fn within<T, E: Failure>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let given_up = Box::pin(self.reserve.given_up());
        let hang = Box::pin(self.hang());
        let done = tokio::select! {
            // Work that is done counts, however late it is looked at.
            biased;
            done = work => done,
            () = tokio::time::sleep(limit) => Err(DatabaseError::Silent(limit).into()),
            () = given_up => Err(DatabaseError::Silent(begun.elapsed()).into()),
            () = hang => {
                self.give_up_connections();
                Err(DatabaseError::Silent(begun.elapsed()).into())
            }
        };
        if let Err(error) = &done
            && let Some(error) = error.of_database()
        {
            if error.shows_a_pooler() {
                self.pooler.was_met();
            }
            if error.spoils_connections() {
                self.pool.retain(|_, _| false);
            }
        }
        done
    }

    /// Ends when work takes long and the server does not answer. A pooler may make a question wait until another's work is done: then
    /// nothing is known.
    async fn hang(&self) {
        if self.pooler.is_absent() {
            self.reserve.is_silent().await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// Gives a connection back on which triggers of users have run. What they have set for the session ends here.
    pub fn give_back(&self, session: Session) {
        let Some(client) = session.into_inner() else { return };
        if !self.pooler.is_absent() {
            // Of a session that is not ours it has ended with the transaction.
            return;
        }
        tokio::spawn(async move {
            let forget =
                client.simple_query(include_str!("../../sql/queries/connections/forget_session.sql"));
            let is_clean = |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(row) if row.try_get("is_clean").is_ok_and(|clean| clean == Some("t")));
            let reset = tokio::time::timeout(RESET_LIMIT, forget).await;
            if !matches!(reset, Ok(Ok(answers)) if answers.iter().any(is_clean)) {
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

    /// The same past a pooler, if the settings say how: to LISTEN, and to hold a lock.
    pub async fn connect_past_pooler(&self) -> Result<(Client, Connection<Socket, Stream>), DatabaseError> {
        self.own.connect().await.map_err(|error| error.at(&self.own.place()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
