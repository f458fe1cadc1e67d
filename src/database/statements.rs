//! Running statements, with or without names for them.
//!
//! A statement that has a name on its connection is parsed, and often planned, only once. Behind a pooler that hands each
//! transaction to another session of the server, a name may be unknown there, or another program's statement; there each
//! statement is sent whole and has none.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, GenericClient, Row, Statement};

use super::typed::Typed;
use crate::crash::around_statement;

/// Values of a statement's `$1`, `$2`, …
pub type Values<'a> = [&'a dyn Typed];

/// Where statements run: on a pooled connection, in its transaction, or on a connection of the caller's own.
pub trait Statements: Sync {
    /// The driver's part of it.
    type Driver: GenericClient + Sync;

    /// The driver's part.
    fn driver(&self) -> &Self::Driver;

    /// The statement by name, if statements have names here.
    fn named(
        &self,
        sql: &str,
        types: &[Type],
    ) -> impl Future<Output = Result<Option<Statement>, Error>> + Send;

    /// Code of users, such as a trigger, has run here. It may have put other statements in the place of named ones, so that from
    /// now on none is called by its name.
    fn users_ran(&self) {}

    /// The latest statement, for which it was said that code of users may run, has run none.
    fn no_user_ran(&self) {}

    /// The rows of the answer of a statement that may run code of users: the last that is called by its name.
    fn rows_of_users(
        &self,
        sql: &str,
        values: &Values<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send {
        around_statement(sql, async move {
            let named = self.named(sql, &types(values)).await?;
            self.users_ran();
            match named {
                Some(statement) => self.driver().query(&statement, &plain(values)).await,
                None => self.driver().query_typed(sql, &typed(values)).await,
            }
        })
    }

    /// The rows of the answer.
    fn rows(&self, sql: &str, values: &Values<'_>) -> impl Future<Output = Result<Vec<Row>, Error>> + Send {
        around_statement(sql, async move {
            match self.named(sql, &types(values)).await? {
                Some(statement) => self.driver().query(&statement, &plain(values)).await,
                None => self.driver().query_typed(sql, &typed(values)).await,
            }
        })
    }

    /// The only row of the answer.
    fn one(&self, sql: &str, values: &Values<'_>) -> impl Future<Output = Result<Row, Error>> + Send {
        around_statement(sql, async move {
            match self.named(sql, &types(values)).await? {
                Some(statement) => self.driver().query_one(&statement, &plain(values)).await,
                None => self.driver().query_typed_one(sql, &typed(values)).await,
            }
        })
    }

    /// The row of the answer, if there is one.
    fn opt(&self, sql: &str, values: &Values<'_>) -> impl Future<Output = Result<Option<Row>, Error>> + Send {
        around_statement(sql, async move {
            match self.named(sql, &types(values)).await? {
                Some(statement) => self.driver().query_opt(&statement, &plain(values)).await,
                None => self.driver().query_typed_opt(sql, &typed(values)).await,
            }
        })
    }

    /// The rows of the answer, by a plan made for these values.
    fn rows_planned_anew(
        &self,
        sql: &str,
        values: &Values<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send {
        around_statement(sql, async move { self.driver().query_typed(sql, &typed(values)).await })
    }

    /// Several statements at once, without values.
    fn batch(&self, sql: &str) -> impl Future<Output = Result<(), Error>> + Send {
        around_statement(sql, async move { self.driver().batch_execute(sql).await })
    }

    /// How many rows it has changed or returned.
    fn run(&self, sql: &str, values: &Values<'_>) -> impl Future<Output = Result<u64, Error>> + Send {
        around_statement(sql, async move {
            match self.named(sql, &types(values)).await? {
                Some(statement) => self.driver().execute(&statement, &plain(values)).await,
                None => self.driver().execute_typed(sql, &typed(values)).await,
            }
        })
    }
}

fn types(values: &Values<'_>) -> Vec<Type> {
    values.iter().map(|value| value.own_type()).collect()
}

fn plain<'a>(values: &'a Values<'_>) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| *value as &(dyn ToSql + Sync)).collect()
}

fn typed<'a>(values: &'a Values<'_>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    plain(values).into_iter().zip(types(values)).collect()
}

/// What runs once needs no name.
impl Statements for Client {
    type Driver = Self;

    fn driver(&self) -> &Self {
        self
    }

    async fn named(&self, _: &str, _: &[Type]) -> Result<Option<Statement>, Error> {
        Ok(None)
    }
}

impl Statements for tokio_postgres::Transaction<'_> {
    type Driver = Self;

    fn driver(&self) -> &Self {
        self
    }

    async fn named(&self, _: &str, _: &[Type]) -> Result<Option<Statement>, Error> {
        Ok(None)
    }
}
