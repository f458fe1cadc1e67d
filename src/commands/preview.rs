//! `rowcall preview`: what `rowcall.preview` says, and what this machine's own settings add to it.

use anyhow::bail;
use clap::Args;
use rowcall::database;
use rowcall::parameters::{LaunchSpec, Task, unrendered};
use rowcall::runners::{self, Runners};
use rowcall::settings::Settings;
use serde_json::Value;
use tokio::sync::mpsc;

/// What `rowcall preview` is told.
#[derive(Args)]
pub struct Preview {
    /// The source table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The row's primary key: 42, or for a key of several columns '{"a": 1, "b": "x"}'
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: String,
    /// Print one JSON array with an object for each task
    #[arg(long)]
    json: bool,
}

/// The columns of `rowcall.preview`, in the order in which a person reads them.
const SHOWN: [&str; 8] =
    ["why", "runner", "target", "command", "environment", "settings", "limits", "write_back"];

impl Preview {
    /// Does it. That a task would not run is an answer, and no error.
    pub async fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let client = database::Database::new(&settings.database)?.get().await?;
        database::check_schema(&client).await?;
        let table = match database::watched_table(&client, &self.table).await? {
            Ok(table) => table,
            Err(names) => bail!("{} is no watched table; there are: {}", self.table, names.join(", ")),
        };
        let tasks = database::load_parameters(&client).await?;
        let (ends, _ended) = mpsc::unbounded_channel();
        let runners = runners::enabled(settings, &ends)?;
        let mut findings = Vec::new();
        for (name, mut said) in database::preview(&client, table, &self.key).await? {
            if let Some(task) = tasks.iter().find(|task| task.name == name)
                && let Some(reason) = refused_here(task, &said, &runners)
            {
                add_reason(&mut said, reason);
            }
            findings.push(said);
        }
        if self.json {
            println!("{:#}", Value::from(findings));
        } else if findings.is_empty() {
            println!("no row of rowcall.parameters has the source_table {}", self.table);
        } else {
            findings.iter().for_each(print);
        }
        Ok(())
    }
}

/// Why this machine would not take what the task comes to.
fn refused_here(task: &Task, said: &Value, runners: &Runners) -> Option<String> {
    let Some(runner) = runners.get(task.runner) else {
        return Some(format!("the runner is not enabled here (runners.{}.enabled)", task.runner));
    };
    runner.check(&rendered(task, said)).err()
}

/// What would be asked of the runner, with what the database has rendered.
fn rendered(task: &Task, said: &Value) -> LaunchSpec {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut request = unrendered(task);
    request.command = said["command"].as_array().into_iter().flatten().map(text).collect();
    request.environment = said["environment"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    request.settings = said["settings"].clone();
    request
}

/// Adds a reason before what the task waits for.
fn add_reason(said: &mut Value, reason: String) {
    let why = match said["why"].as_str() {
        Some(why) => format!("{reason}; {why}"),
        None => reason,
    };
    said["why"] = why.into();
    said["runs"] = false.into();
}

fn print(said: &Value) {
    let verdict = if said["runs"] == true { "would run" } else { "would not run" };
    println!("{}: {verdict}", said["task"].as_str().unwrap_or_default());
    for name in SHOWN {
        match &said[name] {
            Value::Null => {}
            Value::String(text) => println!("    {name:12} {}", text.replace('\n', " ")),
            value => println!("    {name:12} {value}"),
        }
    }
}
