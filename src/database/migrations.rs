//! `rowcall migrate`: migrations once and in order, functions whenever they changed, all in one transaction
//! under an advisory lock, so that two at once are safe and a failure leaves everything as it was. A function whose
//! file is gone is dropped, so that a file may be renamed or deleted without a migration.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use include_dir::{Dir, include_dir};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use super::DatabaseError;
use super::columns::{Columns as _, Unreadable};
use super::function_files::{FunctionFile, function_files};
use super::statements::Statements as _;
use crate::crash::around;

static MIGRATIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql/tables");

/// One step of the schema and its way back.
#[derive(Debug, Clone)]
pub struct Migration {
    /// 1, 2, 3, …
    pub version: i32,
    /// From the file's name.
    pub name: &'static str,
    /// The oldest schema version a daemon may have been built for to work with this one.
    pub oldest_daemon: i32,
    up: String,
    down: &'static str,
}

/// A migration and when it was applied, for `--status`.
#[derive(Debug)]
pub struct MigrationStatus {
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// When it was applied, if it was.
    pub applied: Option<String>,
}

/// All migrations of this program, in order.
fn migrations() -> anyhow::Result<Vec<Migration>> {
    let mut found = Vec::new();
    for file in MIGRATIONS.files() {
        let path = file.path().to_str().unwrap_or_default();
        let Some(stem) = path.strip_suffix(".sql") else { continue };
        // Its way back, and its second half.
        if [".down", ".views"].iter().any(|part| stem.ends_with(part)) {
            continue;
        }
        let (number, name) = stem
            .strip_prefix('V')
            .and_then(|s| s.split_once("__"))
            .with_context(|| format!("migration {path} is not named V0001__name.sql"))?;
        let text =
            |file: Option<&'static include_dir::File<'_>>| file.and_then(include_dir::File::contents_utf8);
        let up = text(Some(file)).with_context(|| format!("migration {path} is not UTF-8"))?;
        let views = text(MIGRATIONS.get_file(format!("{stem}.views.sql"))).unwrap_or_default();
        let down = text(MIGRATIONS.get_file(format!("{stem}.down.sql")))
            .with_context(|| format!("migration {path} has no way back ({stem}.down.sql)"))?;
        let oldest_daemon = up
            .lines()
            .find_map(|line| line.strip_prefix("-- oldest-daemon: "))
            .with_context(|| format!("migration {path} does not name its oldest-daemon"))?;
        found.push(Migration {
            version: number.parse()?,
            name,
            oldest_daemon: oldest_daemon.trim().parse()?,
            up: format!("{up}\n{views}"),
            down,
        });
    }
    found.sort_by_key(|m| m.version);
    Ok(found)
}

/// What a migration run would do, or did.
#[derive(Debug, Default)]
pub struct Plan {
    migrations: Vec<Migration>,
    /// Names of functions whose file is gone.
    gone: Vec<String>,
    /// Names of functions whose file is there and whose old form must go before the new one is made.
    replaced: Vec<String>,
    functions: Vec<FunctionFile>,
}

/// A file of functions as it was last applied.
struct Applied {
    checksum: String,
    interface: String,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty() && !self.changes_functions()
    }

    fn changes_functions(&self) -> bool {
        !self.functions.is_empty() || !self.gone.is_empty()
    }

    /// One line per step, for people.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let mut lines: Vec<_> =
            self.migrations.iter().map(|m| format!("migration {} {}", m.version, m.name)).collect();
        if !self.functions.is_empty() {
            let names: Vec<_> = self.functions.iter().map(|file| file.name.as_str()).collect();
            lines.push(format!("functions {}", names.join(", ")));
        }
        if !self.gone.is_empty() {
            lines.push(format!("functions dropped {}", self.gone.join(", ")));
        }
        lines
    }

    /// The functions' part, statement by statement, each with what it does: for `psql` and for [`migrate`] alike.
    fn function_steps(&self) -> Vec<(String, String)> {
        let mut steps = Vec::new();
        let dropped: Vec<_> = self.gone.iter().chain(&self.replaced).map(String::as_str).collect();
        if !dropped.is_empty() {
            let names = format!(
                "select set_config('rowcall.functions_dropped', '{{{}}}', true), \
                 set_config('rowcall.functions_gone', '{{{}}}', true);\n",
                dropped.join(","),
                self.gone.join(",")
            );
            let drop = include_str!("../../sql/queries/migrations/functions_drop.sql");
            steps.push(("functions that are gone or have other arguments".to_owned(), names + drop));
        }
        steps.extend(self.functions.iter().map(|file| (format!("function {}", file.name), file.sql())));
        steps
    }

    /// What the SQL comes to, as comments, for its approval by a person.
    fn head(&self) -> String {
        let mut head = String::from("-- What this does, in one transaction:\n");
        for m in &self.migrations {
            let _ = writeln!(
                head,
                "--   migration {} ({}): tables, views and types in the schemas rowcall and rowcall_internal",
                m.version, m.name
            );
        }
        if !self.functions.is_empty() {
            let _ =
                writeln!(head, "--   {} functions in these schemas, made or replaced", self.functions.len());
        }
        if !self.gone.is_empty() {
            let _ = writeln!(head, "--   {} functions dropped", self.gone.len());
        }
        head.push_str(
            "--   the roles rowcall_…, where they are missing and this login may make them, and their rights in these schemas\n\
             -- Besides these schemas it touches nothing but the triggers rowcall_insert and rowcall_update of watched tables.\n\n",
        );
        head
    }

    /// The whole SQL, as `psql` would take it.
    #[must_use]
    pub fn sql(&self) -> String {
        let mut sql = self.head();
        sql.push_str("begin;\n");
        sql.push_str(include_str!("../../sql/queries/migrations/migrations_patience.sql"));
        sql.push_str(";\n");
        sql.push_str(include_str!("../../sql/queries/migrations/migrations_lock.sql"));
        sql.push_str(";\n");
        sql.push_str(include_str!("../../sql/queries/migrations/roles_create.sql"));
        sql.push_str(include_str!("../../sql/queries/migrations/migrations_prepare.sql"));
        for m in &self.migrations {
            let _ = write!(sql, "\n-- migration {} {}\n{}", m.version, m.name, m.up);
            let _ = writeln!(
                sql,
                "insert into rowcall_internal.migrations (version, name, oldest_daemon) values ({}, '{}', {});",
                m.version, m.name, m.oldest_daemon
            );
        }
        for (what, step) in self.function_steps() {
            let _ = write!(sql, "\n-- {what}\n{step}");
        }
        if self.changes_functions() {
            sql.push('\n');
            sql.push_str(include_str!("../../sql/queries/migrations/triggers_renew.sql"));
            sql.push_str(";\n");
            sql.push_str(include_str!("../../sql/queries/migrations/grants_apply.sql"));
            sql.push_str(";\n");
        }
        sql.push_str("commit;\n");
        sql
    }
}

/// What is missing in this database.
pub async fn plan(client: &mut Client) -> anyhow::Result<Plan> {
    if !client
        .one(include_str!("../../sql/queries/migrations/schema_exists.sql"), &[])
        .await?
        .column::<bool>(0)?
    {
        return make_plan(&[], HashMap::new());
    }
    let transaction = client.transaction().await?;
    read_plan(&transaction).await
}

async fn read_plan(transaction: &Transaction<'_>) -> anyhow::Result<Plan> {
    let applied: Vec<i32> = transaction
        .rows(include_str!("../../sql/queries/migrations/migrations_applied.sql"), &[])
        .await?
        .iter()
        .map(|row| row.column("version"))
        .collect::<Result<_, _>>()?;
    let functions = transaction
        .rows(include_str!("../../sql/queries/migrations/functions_applied.sql"), &[])
        .await?
        .iter()
        .map(|row| {
            let applied = Applied { checksum: row.column("checksum")?, interface: row.column("interface")? };
            Ok((row.column("name")?, applied))
        })
        .collect::<Result<_, Unreadable>>()?;
    make_plan(&applied, functions)
}

fn make_plan(applied: &[i32], mut functions: HashMap<String, Applied>) -> anyhow::Result<Plan> {
    let known = migrations()?;
    if let Some(newest) = applied.iter().max()
        && known.last().is_none_or(|last| last.version < *newest)
    {
        bail!(
            "the rowcall schema is at version {newest}, which this rowcall does not know: use the rowcall that \
             made it, or one that is newer"
        );
    }
    let migrations = known.into_iter().filter(|m| !applied.contains(&m.version)).collect();
    let fresh = functions.is_empty();
    let mut plan = Plan { migrations, ..Plan::default() };
    for file in function_files()? {
        let before = functions.remove(&file.name);
        if before.as_ref().is_some_and(|before| before.checksum == file.checksum) {
            continue;
        }
        if !fresh && before.is_none_or(|before| before.interface != file.interface) {
            plan.replaced.push(file.name.clone());
        }
        plan.functions.push(file);
    }
    plan.gone = functions.into_keys().collect();
    plan.gone.sort();
    Ok(plan)
}

/// Brings the schema up to date and says what was done.
///
/// A lock that it waits for holds up all who come after it, writers among them. So it gives up soon, lets go of all, and
/// begins anew; `waits` is told once what it waits for.
pub async fn migrate(client: &mut Client, waits: impl Fn(&str)) -> anyhow::Result<Plan> {
    patiently(client, waits, migrate_at_once).await
}

/// Does it again until it gets its locks, or they were held for too long.
async fn patiently<T>(
    client: &mut Client,
    waits: impl Fn(&str),
    work: impl AsyncFn(&mut Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + LOCKS_LIMIT;
    let mut told = false;
    loop {
        let error = match work(client).await {
            Err(error) if is_a_lock(&error) => error,
            done => return done,
        };
        if Instant::now() > deadline {
            return Err(error.context(format!("{} for {LOCKS_LIMIT:?}", holders(client).await?)));
        }
        if !told {
            waits(&holders(client).await?);
            told = true;
        }
        tokio::time::sleep(BETWEEN_TRIES.mul_f64(rand::random_range(0.5..1.5))).await;
    }
}

/// How long locks are waited for in all.
const LOCKS_LIMIT: Duration = Duration::from_mins(2);

/// In which writers and dispatchers go on.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

fn is_a_lock(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<DatabaseError>().is_some_and(DatabaseError::is_a_lock)
            || cause
                .downcast_ref::<tokio_postgres::Error>()
                .and_then(tokio_postgres::Error::code)
                .is_some_and(|code| {
                    [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
                })
    })
}

/// Who holds locks on what is Rowcall's, for a person.
async fn holders(client: &Client) -> Result<String, DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/migrations/lock_holders.sql"), &[]).await?;
    let holders: Option<String> = row.column(0)?;
    Ok(format!("other sessions hold locks: {}", holders.as_deref().unwrap_or("they are gone by now")))
}

async fn migrate_at_once(client: &mut Client) -> anyhow::Result<Plan> {
    let transaction = client.transaction().await?;
    transaction
        .batch(include_str!("../../sql/queries/migrations/migrations_patience.sql"))
        .await
        .map_err(DatabaseError::from)?;
    transaction.run(include_str!("../../sql/queries/migrations/migrations_lock.sql"), &[]).await?;
    for prepare in [
        include_str!("../../sql/queries/migrations/roles_create.sql"),
        include_str!("../../sql/queries/migrations/migrations_prepare.sql"),
    ] {
        transaction.batch(prepare).await.map_err(DatabaseError::from)?;
    }
    let plan = read_plan(&transaction).await?;
    for m in &plan.migrations {
        around("a migration", transaction.batch_execute(&m.up))
            .await
            .map_err(DatabaseError::from)
            .with_context(|| format!("migration {} {} failed", m.version, m.name))?;
        transaction
            .run(
                include_str!("../../sql/queries/migrations/migration_record.sql"),
                &[&m.version, &m.name, &m.oldest_daemon],
            )
            .await?;
    }
    for (what, step) in plan.function_steps() {
        let done = around("functions", transaction.batch_execute(&step)).await.map_err(DatabaseError::from);
        done.with_context(|| format!("{what} failed"))?;
    }
    if plan.changes_functions() {
        let done =
            transaction.run(include_str!("../../sql/queries/migrations/triggers_renew.sql"), &[]).await;
        done.map_err(DatabaseError::from).context("the triggers of watched tables could not be renewed")?;
        let done = transaction.run(include_str!("../../sql/queries/migrations/grants_apply.sql"), &[]).await;
        done.map_err(DatabaseError::from).context("the rights in the schema could not be granted")?;
    }
    around("the commit of migrations", transaction.commit()).await?;
    Ok(plan)
}

/// Goes back to a version: 0 takes everything away. Functions are left as they are until the next
/// [`migrate`], of this program or an older one, applies all of its own and drops those it does not know; going to 0
/// drops the schema they live in. For locks it waits as [`migrate`] does.
pub async fn migrate_down(
    client: &mut Client,
    to: i32,
    waits: impl Fn(&str),
) -> anyhow::Result<Vec<Migration>> {
    patiently(client, waits, async |client: &mut Client| migrate_down_at_once(client, to).await).await
}

async fn migrate_down_at_once(client: &mut Client, to: i32) -> anyhow::Result<Vec<Migration>> {
    let transaction = client.transaction().await?;
    if !transaction
        .one(include_str!("../../sql/queries/migrations/schema_exists.sql"), &[])
        .await?
        .column::<bool>(0)?
    {
        return Ok(Vec::new());
    }
    transaction
        .batch(include_str!("../../sql/queries/migrations/migrations_patience.sql"))
        .await
        .map_err(DatabaseError::from)?;
    transaction.run(include_str!("../../sql/queries/migrations/migrations_lock.sql"), &[]).await?;
    let applied: Vec<i32> = transaction
        .rows(include_str!("../../sql/queries/migrations/migrations_applied.sql"), &[])
        .await?
        .iter()
        .map(|row| row.column("version"))
        .collect::<Result<_, _>>()?;
    let known = migrations()?;
    let mut undone = Vec::new();
    for version in applied.into_iter().rev().filter(|v| *v > to) {
        let m = known
            .iter()
            .find(|m| m.version == version)
            .with_context(|| format!("this rowcall does not know the way back from version {version}"))?;
        around("the way back from a migration", transaction.batch_execute(m.down))
            .await
            .map_err(DatabaseError::from)
            .with_context(|| format!("the way back from migration {} {} failed", m.version, m.name))?;
        transaction
            .run(include_str!("../../sql/queries/migrations/migration_forget.sql"), &[&version])
            .await?;
        undone.push(m.clone());
    }
    if !undone.is_empty() {
        transaction.batch(include_str!("../../sql/queries/migrations/functions_forget.sql")).await?;
    }
    if to == 0 {
        transaction.batch(include_str!("../../sql/queries/migrations/schema_drop.sql")).await?;
    }
    around("the commit of a way back", transaction.commit()).await?;
    Ok(undone)
}

/// Every migration this program knows or the database has, and whether it is applied.
pub async fn migration_status(client: &Client) -> anyhow::Result<Vec<MigrationStatus>> {
    let mut applied = Vec::new();
    if client
        .one(include_str!("../../sql/queries/migrations/schema_exists.sql"), &[])
        .await?
        .column::<bool>(0)?
    {
        for row in
            client.rows(include_str!("../../sql/queries/migrations/migrations_applied.sql"), &[]).await?
        {
            applied.push(MigrationStatus {
                version: row.column("version")?,
                name: row.column("name")?,
                applied: Some(row.column("applied")?),
            });
        }
    }
    for m in migrations()? {
        if !applied.iter().any(|a| a.version == m.version) {
            applied.push(MigrationStatus { version: m.version, name: m.name.to_owned(), applied: None });
        }
    }
    applied.sort_by_key(|m| m.version);
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migration_numbers_have_no_gaps_up_to_the_schema_version() {
        let versions: Vec<_> = migrations().unwrap().iter().map(|m| m.version).collect();
        assert_eq!(versions, (1..=super::super::SCHEMA_VERSION).collect::<Vec<_>>());
    }

    #[test]
    fn no_migration_asks_for_a_daemon_newer_than_itself() {
        assert!(migrations().unwrap().iter().all(|m| m.oldest_daemon <= m.version));
    }
}
