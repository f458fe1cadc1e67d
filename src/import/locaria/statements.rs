//! What is run, in this order, in one transaction.

use super::Options;
use super::compare::{Compared, Standing};
use super::table::Table;
use crate::import::sql::quoted;

/// One step.
#[derive(Debug)]
pub struct Statement {
    /// What is run, and printed.
    pub sql: String,
    /// What it has done, for a person; none for a step that only prepares.
    pub done: Option<String>,
}

/// All steps; none if there is nothing to do.
pub fn statements(options: &Options, schema: &str, tables: &[Table], tasks: &[Compared]) -> Vec<Statement> {
    let mut steps = Vec::new();
    let mut step = |sql: String, done: String| steps.push(Statement { sql, done: Some(done) });
    for table in tables.iter().filter(|table| !table.watched) {
        step(
            format!("select rowcall.watch({});", quoted(&table.name)),
            format!("{} is watched: its rows make jobs", table.name),
        );
    }
    for task in tasks {
        let (name, from) = (&task.wanted.name, &task.wanted.from);
        let done = match task.standing {
            Standing::New => format!("made the task {name} from {from}"),
            _ => format!("brought the task {name} up to date with {from}"),
        };
        if let Some(statement) = &task.statement {
            step(statement.clone(), done);
        }
    }
    let dropped = tables.iter().filter(|_| options.replace_trigger);
    for (table, trigger) in
        dropped.flat_map(|table| table.triggers.iter().map(move |trigger| (table, trigger)))
    {
        step(
            format!("drop trigger {} on {};", trigger.name, table.name),
            format!("dropped the trigger {} of {}", trigger.name, table.name),
        );
    }
    for table in tables.iter().filter(|table| options.keep_deleted && !table.keeps_deleted) {
        step(keep_deleted(schema, &table.name), format!("rows of {} that are DELETED stay so", table.name));
    }
    if steps.is_empty() {
        return steps;
    }
    // Rather not at all than in the way: a trigger is made and dropped under a lock that stops the table's writers.
    let mut before = vec!["set local lock_timeout = '5s';".to_owned()];
    if options.replace_trigger {
        // At once, and not as a stronger lock on top of a weaker one, which could end in a deadlock.
        let locked = tables.iter().filter(|table| !table.triggers.is_empty());
        before.extend(locked.map(|table| format!("lock table {} in access exclusive mode;", table.name)));
    }
    let before = before.into_iter().map(|sql| Statement { sql, done: None });
    before.chain(steps).collect()
}

/// A trigger that leaves undone an update that would move a DELETED row; for any other row only its condition is
/// evaluated. Its function is in Locaria's schema, so that nothing here depends on Rowcall.
fn keep_deleted(schema: &str, table: &str) -> String {
    format!(
        "create or replace function {schema}.rowcall_keep_row() returns trigger language plpgsql as\n    \
         $$ begin return null; end $$;\n\
         create trigger rowcall_keep_deleted before update on {table} for each row\n    \
         when (old.status = 'DELETED' and new.status is distinct from old.status\n          \
         and coalesce(current_setting('rowcall.restore', true), '') <> 'on')\n    \
         execute function {schema}.rowcall_keep_row();"
    )
}
