//! A connection of the pool, and its transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::{ClientWrapper, GenericClient as _, Object};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

use super::pooler::Pooler;
use super::statements::Statements;

/// A connection of the pool.
pub struct Session {
    client: Object,
    pooler: Arc<Pooler>,
}

/// A transaction on a connection of the pool.
pub struct Transaction<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    /// Not where the session may be a pooler's, nor after code of users has run.
    names_statements: AtomicBool,
    /// Whether the session may be a pooler's.
    has_pooler: bool,
}

impl Session {
    /// A connection, and what is known of a pooler in front of it.
    pub fn new(client: Object, pooler: Arc<Pooler>) -> Self {
        Self { client, pooler }
    }

    /// Begins a transaction.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction {
            names_statements: AtomicBool::new(self.pooler.is_absent()),
            has_pooler: !self.pooler.is_absent(),
            inner: self.client.transaction().await?,
        })
    }

    /// The pool's own.
    pub fn into_inner(self) -> Object {
        self.client
    }
}

impl Transaction<'_> {
    /// Makes it last.
    pub async fn commit(self) -> Result<(), Error> {
        self.inner.commit().await
    }

    /// The same after triggers of users have run. Where the session is a pooler's, what they have set for it ends here, and
    /// else by [`super::Database::give_back`].
    pub async fn commit_after_users(self) -> Result<(), Error> {
        if self.has_pooler {
            let forget = include_str!("../../sql/queries/connections/forget_in_transaction.sql");
            self.inner.batch_execute(forget).await?;
        }
        self.commit().await
    }

    /// Undoes it.
    pub async fn rollback(self) -> Result<(), Error> {
        self.inner.rollback().await
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

impl<'a> Statements for Transaction<'a> {
    type Driver = tokio_postgres::Transaction<'a>;

    fn driver(&self) -> &Self::Driver {
        &self.inner
    }

    fn users_ran(&self) {
        self.names_statements.store(false, Ordering::Relaxed);
    }

    async fn named(&self, sql: &str, types: &[Type]) -> Result<Option<Statement>, Error> {
        if !self.names_statements.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.inner.prepare_typed_cached(sql, types).await.map(Some)
    }
}
