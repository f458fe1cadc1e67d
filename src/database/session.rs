//! A connection of the pool, and its transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::{ClientWrapper, Object};
use futures_util::FutureExt as _;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

use super::DatabaseError;
use super::pooler::Pooler;
use super::statements::Statements;

/// A connection of the pool.
pub struct Session {
    client: Object,
    pooler: Arc<Pooler>,
}

/// A transaction on a connection of the pool. Undone where it is dropped without [`Transaction::commit`].
pub struct Transaction<'a> {
    client: &'a mut Object,
    /// Not where the session may be a pooler's, nor after code of users has run.
    names_statements: AtomicBool,
    /// Whether the session may be a pooler's.
    has_pooler: bool,
    /// Begun, and not over.
    is_open: AtomicBool,
}

impl Session {
    /// A connection, and what is known of a pooler in front of it.
    pub fn new(client: Object, pooler: Arc<Pooler>) -> Self {
        Self { client, pooler }
    }

    /// A transaction that has still to begin.
    pub fn transaction(&mut self) -> Transaction<'_> {
        let is_direct = self.pooler.is_absent();
        Transaction {
            names_statements: AtomicBool::new(is_direct),
            has_pooler: !is_direct,
            is_open: AtomicBool::new(false),
            client: &mut self.client,
        }
    }

    /// The pool's own.
    pub fn into_inner(self) -> Object {
        self.client
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
    pub async fn commit(&self) -> Result<(), DatabaseError> {
        self.is_open.store(false, Ordering::Relaxed);
        Ok(self.driver().batch_execute("commit").await?)
    }

    /// The same after triggers of users have run. Where the session is a pooler's, what they have set for it ends here, and
    /// else by [`super::Database::give_back`].
    pub async fn commit_after_users(&self) -> Result<(), DatabaseError> {
        if self.has_pooler {
            let forget = include_str!("../../sql/queries/connections/forget_in_transaction.sql");
            self.driver().batch_execute(forget).await?;
        }
        self.commit().await
    }

    /// Undoes it.
    pub async fn rollback(&self) -> Result<(), DatabaseError> {
        self.is_open.store(false, Ordering::Relaxed);
        Ok(self.driver().batch_execute("rollback").await?)
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
        let wrapper: &ClientWrapper = &self.client;
        wrapper
    }

    async fn named(&self, sql: &str, types: &[Type]) -> Result<Option<Statement>, Error> {
        if !self.pooler.is_absent() {
            return Ok(None);
        }
        self.client.prepare_typed_cached(sql, types).await.map(Some)
    }
}

impl Statements for Transaction<'_> {
    type Driver = Client;

    fn driver(&self) -> &Client {
        let wrapper: &ClientWrapper = self.client;
        wrapper
    }

    fn users_ran(&self) {
        self.names_statements.store(false, Ordering::Relaxed);
    }

    async fn named(&self, sql: &str, types: &[Type]) -> Result<Option<Statement>, Error> {
        if !self.names_statements.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.client.prepare_typed_cached(sql, types).await.map(Some)
    }
}
