//! Who may do what in the schema: what is documented, and where the database differs.
//!
//! The rights stand in one table, the function `rowcall_internal.grants()`; `docs/roles.md` is printed from it.

use super::DatabaseError;
use super::columns::Columns as _;
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
