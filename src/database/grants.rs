//! Who may do what in the schema: what is documented, and where the database differs.
//!
//! The rights stand in one table, the function `rowcall_internal.grants()`; `docs/roles.md` is printed from it.

use std::time::Duration;

use super::DatabaseError;
use super::address::Address;
use super::columns::Columns as _;
use super::connector::Connector;
use super::statements::Statements;

/// A difference between the rights as documented and as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantProblem {
    /// What differs.
    pub problem: String,
    /// The statement, or the command, that mends it.
    pub fix: String,
}

/// Every difference; those of the role with which tasks connect too, if its name is given.
pub async fn grant_problems(
    client: &impl Statements,
    task_role: Option<&str>,
) -> Result<Vec<GrantProblem>, DatabaseError> {
    let mut rows = client.rows(include_str!("../../sql/queries/grants/grants_wrong.sql"), &[]).await?;
    if let Some(role) = task_role {
        rows.extend(
            client.rows(include_str!("../../sql/queries/grants/task_role_wrong.sql"), &[&role]).await?,
        );
    }
    rows.iter()
        .map(|row| Ok(GrantProblem { problem: row.column("problem")?, fix: row.column("fix")? }))
        .collect()
}

/// Connects once with the address that tasks are given, and returns where that is.
pub async fn signs_in_as_task(url: &str, connect_timeout: Duration) -> Result<String, DatabaseError> {
    let connector = Connector::new(Address::parse(url)?, connect_timeout)?;
    let place = connector.place();
    let (client, connection) = connector.connect().await.map_err(|error| error.at(&place))?;
    let driver = tokio::spawn(super::drive(connection));
    let row = client.one(include_str!("../../sql/queries/grants/may_report.sql"), &[]).await;
    driver.abort();
    let row = row?;
    if row.column("may_report")? {
        return Ok(place);
    }
    let login: String = row.column("login")?;
    Err(DatabaseError::Unfit(if row.column("is_there")? {
        format!("{place}: {login} may not call the functions of tasks: GRANT rowcall_task TO {login}")
    } else {
        format!("{place}: this database has no rowcall schema")
    }))
}

/// SQL with which a superuser makes the roles, and hands them a schema that is there already.
#[must_use]
pub fn roles_sql() -> String {
    format!(
        "-- The roles of Rowcall, for a superuser; before the first \"rowcall migrate\" or after it. Repeating it is safe.\n\
         begin;\n{}{}commit;\n\n\
         -- Then a login for each purpose, as in:\n\
         --   create role my_daemon login password '…' in role rowcall_dispatcher;   -- database.url of rowcall serve\n\
         --   create role my_tasks login password '…' in role rowcall_task;          -- tasks.database_url\n\
         --   grant rowcall_admin to my_dba;                                         -- edits rowcall.parameters\n\
         --   grant rowcall_operator to my_support;                                  -- cancels and retries jobs\n\
         --   grant rowcall_owner to my_deployer;                                    -- runs rowcall migrate\n",
        include_str!("../../sql/queries/migrations/roles_create.sql"),
        include_str!("../../sql/queries/grants/roles_adopt.sql"),
    )
}
