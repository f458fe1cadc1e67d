//! A connection of the pool, and its transactions.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::{ClientWrapper, Object};
use futures_util::FutureExt as _;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

use super::DatabaseError;
use super::pooler::Pooler;
use super::statements::Statements;
use crate::crash::around_commit;

/// A connection of the pool.
pub struct Session {
    /// There until it is given back, which consumes the session.
    client: Option<Object>,
    pooler: Arc<Pooler>,
    /// Code of users, such as a trigger, has run here, or may have, and may have left something in the session: other statements
    /// in the place of named ones, which a rollback does not undo.
    users_ran: AtomicBool,
    /// The same before the latest statement of which this was said.
    users_ran_before: AtomicBool,
}

/// A transaction on a connection of the pool. Undone where it is dropped without [`Transaction::commit`].
pub struct Transaction<'a> {
    session: &'a mut Session,
    /// Begun, and not over.
    is_open: AtomicBool,
}

impl Session {
    /// A connection, and what is known of a pooler in front of it.
    pub fn new(client: Object, pooler: Arc<Pooler>) -> Self {
        Self {
            client: Some(client),
            pooler,
            users_ran: AtomicBool::new(false),
            users_ran_before: AtomicBool::new(false),
        }
    }

    /// Closes the connection instead of giving it back.
    pub fn discard(mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }

    /// A transaction that has still to begin.
    pub fn transaction(&mut self) -> Transaction<'_> {
        Transaction { session: self, is_open: AtomicBool::new(false) }
    }

    /// The pool's own; none if it was taken before.
    pub fn into_inner(mut self) -> Option<Object> {
        self.client.take()
    }

    /// It cannot be gone: only [`Self::into_inner`], which consumes the session, and the drop take it.
    fn client(&self) -> &ClientWrapper {
        self.client.as_ref().expect("a session that was given back is gone")
    }

    /// Not where the session may be a pooler's, nor after code of users has run.
    fn names_statements(&self) -> bool {
        self.pooler.is_absent() && !self.users_ran.load(Ordering::Relaxed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Not given back, so something has failed after code of users has run: no other may have this connection.
        if self.users_ran.load(Ordering::Relaxed)
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}

impl Transaction<'_> {
    /// Begins it, so that no statement of it waits long for another session's lock, nor reads a whole table by a plan made when
    /// that was empty. Polled together with the first statements, which are then sent with it, it costs no round trip. When it
    /// fails, what was sent with it may have run by itself.
    pub async fn begin(&self) -> Result<(), DatabaseError> {
        self.is_open.store(true, Ordering::Relaxed);
        let begin = include_str!("../../sql/queries/connections/begin_bounded.sql");
        Ok(self.driver().batch_execute(begin).await?)
    }

    /// Makes it last. Polled together with the last statements, after them, it is sent with those.
    #[track_caller]
    pub fn commit(&self) -> impl Future<Output = Result<(), DatabaseError>> + Send {
        around_commit(Location::caller(), self.commit_now())
    }

    async fn commit_now(&self) -> Result<(), DatabaseError> {
        self.is_open.store(false, Ordering::Relaxed);
        Ok(self.driver().batch_execute("commit").await?)
    }

    /// The same after triggers of users have run. Where the session is a pooler's, what they have set for it ends here, and
    /// else by [`super::Database::give_back`].
    #[track_caller]
    pub fn commit_after_users(&self) -> impl Future<Output = Result<(), DatabaseError>> + Send {
        let forgetting = async {
            if !self.session.pooler.is_absent() {
                let forget = include_str!("../../sql/queries/connections/forget_in_transaction.sql");
                self.driver().batch_execute(forget).await?;
            }
            self.commit_now().await
        };
        around_commit(Location::caller(), forgetting)
    }

    /// Undoes it. Where the session is a pooler's, what code of users has left in it ends here; else [`Session`] sees to that.
    pub async fn rollback(&self) -> Result<(), DatabaseError> {
        self.is_open.store(false, Ordering::Relaxed);
        let Session { pooler, users_ran, .. } = &*self.session;
        let sql = if users_ran.load(Ordering::Relaxed) && !pooler.is_absent() {
            include_str!("../../sql/queries/connections/rollback_and_forget.sql")
        } else {
            "rollback"
        };
        Ok(self.driver().batch_execute(sql).await?)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open.load(Ordering::Relaxed) {
            // Sent by the first look at it, before anything else on this connection; its answer is of no interest.
            let _ = self.rollback().now_or_never();
        }
    }
}

impl Statements for Session {
    type Driver = Client;

    fn driver(&self) -> &Client {
        self.client()
    }

    fn users_ran(&self) {
        let before = self.users_ran.swap(true, Ordering::Relaxed);
        self.users_ran_before.store(before, Ordering::Relaxed);
    }

    fn no_user_ran(&self) {
        self.users_ran.store(self.users_ran_before.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    async fn named(&self, sql: &str, types: &[Type]) -> Result<Option<Statement>, Error> {
        if !self.names_statements() {
            return Ok(None);
        }
        self.client().prepare_typed_cached(sql, types).await.map(Some)
    }
}

impl Statements for Transaction<'_> {
    type Driver = Client;

    fn driver(&self) -> &Client {
        self.session.driver()
    }

    fn users_ran(&self) {
        self.session.users_ran();
    }

    fn no_user_ran(&self) {
        self.session.no_user_ran();
    }

    async fn named(&self, sql: &str, types: &[Type]) -> Result<Option<Statement>, Error> {
        self.session.named(sql, types).await
    }
}
