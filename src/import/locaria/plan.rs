//! All that an import would do, before it does any of it.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Options;
use super::compare::{Compared, compare};
use super::entry::Entry;
use super::routes::{Fate, fates};
use super::source::{self, Source};
use super::statements::{Statement, statements};
use super::table::{self, Table, resting};
use super::wanted::{self, Route, Wanted};
use crate::database::{DatabaseError, Statements};

/// The channel that announces statuses by default, if Locaria had its broadcast.
const CHANNEL: &str = "locaria_file_status";

/// What will be done, and what a person should know of it.
#[derive(Debug)]
pub struct Plan {
    pub(super) source: Source,
    pub(super) options: Options,
    pub(super) tasks: Vec<Compared>,
    pub(super) left_out: Vec<String>,
    /// Whether Locaria broadcast status changes.
    pub(super) broadcast: bool,
    pub(super) notify_channel: Option<String>,
    pub(super) tables: Vec<Table>,
    /// Rows that rest in a status of a task: table, status, how many.
    pub(super) resting: Vec<(String, String, i64)>,
    pub(super) statements: Vec<Statement>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// Makes it. Reads only; sets the search path of the transaction it is in, so that every name comes out qualified.
pub async fn make(client: &impl Statements, options: &Options) -> anyhow::Result<Plan> {
    client.batch("set local search_path = pg_catalog").await.map_err(DatabaseError::from)?;
    let mut source = source::read(client, &options.schema, &options.usage).await?;
    let fates = fates(&source.entries, options)?;
    let broadcast = fates.iter().any(|fate| matches!(fate, Fate::Broadcast));
    let notify_channel = options.notify_channel.clone().or_else(|| broadcast.then(|| CHANNEL.to_owned()));
    check_channel(notify_channel.as_deref())?;

    let files = table::look(client, &source.files).await?;
    let messages = match &options.messages_table {
        Some(name) => Some(table::look(client, name).await.context("--messages-table")?),
        None => None,
    };
    let (mut rows, mut left_out, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, fate) in source.entries.iter().zip(fates) {
        match fate {
            Fate::Broadcast => {}
            Fate::LeftOut(why) => left_out.push(why),
            Fate::Task { on_status, was_dispatched } => {
                let table = messages.as_ref().filter(|_| entry.config == "email_config").unwrap_or(&files);
                let route = Route {
                    table: table.name.clone(),
                    on_status,
                    result_column: table.result_column.clone(),
                    was_dispatched,
                    notify_channel: notify_channel.clone(),
                };
                match row(client, entry, &route, &rows).await? {
                    Ok(row) => rows.push(row),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    if !problems.is_empty() {
        bail!("{}: nothing was imported; fix this first:\n  {}", source.parameters, problems.join("\n  "));
    }
    if rows.is_empty() {
        let mut why = vec![format!("{}: there is nothing to import", source.parameters)];
        why.extend(source.notes.drain(..).chain(left_out));
        bail!("{}", why.join("\n  "));
    }
    if files.result_column.is_none() {
        source
            .notes
            .push(format!("{} has no jsonb column attributes: only statuses are written", files.name));
    }

    let tasks = compare(client, &source.parameters, rows, options.overwrite).await?;
    let mut tables = vec![files];
    tables.extend(messages);
    tables.retain(|table| tasks.iter().any(|task| *task.wanted.column("source_table") == table.name));
    let mut all_resting = Vec::new();
    for table in &tables {
        let statuses: BTreeSet<String> = tasks
            .iter()
            .filter(|task| *task.wanted.column("source_table") == table.name)
            .flat_map(|task| [task.wanted.column("on_status"), task.wanted.column("status_running")])
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let statuses: Vec<String> = statuses.into_iter().collect();
        let found = resting(client, &table.name, &statuses).await?;
        all_resting.extend(found.into_iter().map(|(status, rows)| (table.name.clone(), status, rows)));
    }
    let statements = statements(options, &source.schema, &tables, &tasks);
    Ok(Plan {
        source,
        options: options.clone(),
        tasks,
        left_out,
        broadcast,
        notify_channel,
        tables,
        resting: all_resting,
        statements,
    })
}

/// One wanted row, as far as Rowcall's own checks let it through.
async fn row(
    client: &impl Statements,
    entry: &Entry,
    route: &Route,
    others: &[Wanted],
) -> anyhow::Result<Result<Wanted, String>> {
    let place = entry.place();
    let taken = others.iter().any(|other| other.name == entry.name);
    let name = if taken { format!("{}_{}", entry.config, entry.name) } else { entry.name.clone() };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.chars().all(word)
        || name.len() > 63
        || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    {
        return Ok(Err(format!("{place}: the name of a task is up to 63 letters, digits, _ and -")));
    }
    if route.on_status.is_empty() {
        return Ok(Err(format!("{place}: the status after --route {}= is empty", entry.name)));
    }
    let made = match entry.config {
        "fargate_config" => wanted::fargate(entry, name, route),
        _ => wanted::lambda(entry, name, route),
    };
    let wanted = match made {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(Err(problem)),
    };
    let text = |column| wanted.column(column).as_str().unwrap_or_default();
    let checked = client
        .one(
            include_str!("../../../sql/queries/import/import_settings_error.sql"),
            &[&text("runner"), &text("target"), wanted.column("settings")],
        )
        .await
        .map_err(DatabaseError::from)?;
    let target = checked.get::<_, Option<String>>("target").map(|error| format!("{place}: target {error}"));
    let settings = checked.get::<_, Option<String>>("settings").map(|error| format!("{place}: {error}"));
    Ok(match target.or(settings) {
        Some(problem) => Err(problem),
        None => Ok(wanted),
    })
}

fn check_channel(channel: Option<&str>) -> anyhow::Result<()> {
    let Some(channel) = channel else { return Ok(()) };
    let first = channel.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !first || channel.len() > 63 || !channel.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        bail!("--notify-channel {channel}: the name of a channel is up to 63 letters, digits and _");
    }
    Ok(())
}
