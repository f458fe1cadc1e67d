//! `rowcall preview`

use anyhow::bail;
use clap::Args;
use deadpool_postgres::GenericClient;
use rowcall::database::{self, PreviewPart};
use rowcall::parameters::{JobContext, LaunchSpec, Task, render, render_key, unrendered};
use rowcall::runners::{self, Runners};
use rowcall::settings::Settings;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// What rowcall.preview_parts says of a row that nobody can read.
const UNREADABLE: &str = "the row cannot be read";

/// What `rowcall preview` is told.
#[derive(Args)]
pub struct Preview {
    /// The source table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The row's primary key: 42, or for a key of several columns '{"a": 1, "b": "x"}'
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: String,
    /// One JSON document, an array of tasks
    #[arg(long)]
    json: bool,
}

/// What one task comes to.
struct Finding {
    task: String,
    /// What somebody would have to change first.
    against: Vec<String>,
    /// What it would wait for.
    waits: Vec<String>,
    request: LaunchSpec,
    /// Where the request stands as its template does, since the job's number is not known yet.
    numbered: Vec<String>,
    limits: Value,
    write_back: Value,
}

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
        for mut part in database::preview_parts(&client, table, &self.key).await? {
            let Some(task) = tasks.iter().find(|task| task.name == part.task) else { continue };
            if part.key_unsure {
                key_by_engine(&client, task, &mut part).await?;
            }
            findings.push(preview(task, part, &runners));
        }
        if self.json {
            let findings: Vec<_> = findings.iter().map(Finding::as_json).collect();
            println!("{:#}", Value::from(findings));
        } else if findings.is_empty() {
            println!("no row of rowcall.parameters has the source_table {}", self.table);
        } else {
            for finding in &findings {
                finding.print();
            }
        }
        Ok(())
    }
}

/// The concurrency key, where the database cannot tell it, and what it means.
async fn key_by_engine(
    client: &impl GenericClient,
    task: &Task,
    part: &mut PreviewPart,
) -> anyhow::Result<()> {
    let Ok(row) = &part.row else { return Ok(()) };
    let as_job = |id| {
        let on_status = &task.on_status;
        render_key(task, JobContext { id, attempt: part.attempt, row_key: &part.row_key, on_status }, row)
    };
    match (as_job(part.job_id.unwrap_or(0)), as_job(part.job_id.unwrap_or(i64::MAX))) {
        (Ok(Some(key)), Ok(Some(same))) if key == same => {
            part.waits.extend(database::waits_of_key(client, &task.name, &key).await?);
            part.limits["concurrency_key"] = key.into();
            part.key_unsure = false;
        }
        (Err(reason), _) => {
            part.against.push(reason);
            part.key_unsure = false;
        }
        // It has the number of a job that is not there yet.
        _ => {}
    }
    Ok(())
}

/// Renders and checks as a claim does.
fn preview(task: &Task, part: PreviewPart, runners: &Runners) -> Finding {
    let mut against = part.against;
    let mut numbered: Vec<_> = part.key_unsure.then(|| "concurrency_key".to_owned()).into_iter().collect();
    let on_status = &task.on_status;
    let as_job = |id, row| {
        let job = JobContext { id, attempt: part.attempt, row_key: &part.row_key, on_status };
        render(task, job, row).map(|frozen| frozen.launch)
    };
    let request = part.row.as_ref().map_err(Clone::clone).and_then(|row| match part.job_id {
        Some(id) => as_job(id, row),
        // What differs between two numbers depends on the number.
        None => {
            let (one, other) = (as_job(i64::MAX, row)?, as_job(0, row)?);
            Ok(without_number(task, one, &other, &mut numbered))
        }
    });
    let runner = runners.get(&task.runner);
    if runner.is_none() {
        against.push(format!("the runner is not enabled here (runners.{}.enabled)", task.runner));
    }
    let request = match request {
        Ok(request) => {
            against.extend(runner.and_then(|runner| runner.check(&request).err()));
            request
        }
        Err(reason) => {
            // The database may have said so, in words of its own where a row cannot be read.
            let said = |said: &String| *said == reason || (part.row.is_err() && said.starts_with(UNREADABLE));
            if !against.iter().any(said) {
                against.push(reason);
            }
            unrendered(task)
        }
    };
    let (limits, write_back) = (part.limits, part.write_back);
    Finding { task: part.task, against, waits: part.waits, request, numbered, limits, write_back }
}

/// Puts the template back wherever two job numbers give two texts, and names the place.
fn without_number(
    task: &Task,
    mut one: LaunchSpec,
    other: &LaunchSpec,
    numbered: &mut Vec<String>,
) -> LaunchSpec {
    let templates = unrendered(task);
    for (i, argument) in one.command.iter_mut().enumerate() {
        if *argument != other.command[i] {
            argument.clone_from(&templates.command[i]);
            numbered.push(format!("command[{}]", i + 1));
        }
    }
    for (name, value) in &mut one.environment {
        if Some(&*value) != other.environment.get(name) {
            value.clone_from(&templates.environment[name]);
            numbered.push(format!("environment.{name}"));
        }
    }
    if one.settings != other.settings {
        one.settings = templates.settings;
        numbered.push("settings.payload".to_owned());
    }
    one
}

impl Finding {
    fn why(&self) -> Vec<&str> {
        self.against.iter().chain(&self.waits).map(String::as_str).collect()
    }

    fn as_json(&self) -> Value {
        json!({
            "task": self.task,
            "runs": self.against.is_empty(),
            "why": self.why(),
            "runner": self.request.runner,
            "target": self.request.target,
            "command": self.request.command,
            "environment": self.request.environment,
            "settings": self.request.settings,
            "limits": self.limits,
            "write_back": self.write_back,
            "unrendered": self.numbered,
        })
    }

    fn print(&self) {
        println!("{}: {}", self.task, if self.against.is_empty() { "would run" } else { "would not run" });
        for reason in self.why() {
            println!("    why          {}", reason.replace('\n', " "));
        }
        let request = &self.request;
        println!("    runner       {}\n    target       {}", request.runner, request.target);
        for (name, value) in [
            ("command", json!(request.command)),
            ("environment", json!(request.environment)),
            ("settings", request.settings.clone()),
            ("limits", self.limits.clone()),
            ("write_back", self.write_back.clone()),
        ] {
            println!("    {name:12} {value}");
        }
        if !self.numbered.is_empty() {
            println!(
                "    unrendered   {}: the job's number is known once there is a job",
                self.numbered.join(", ")
            );
        }
    }
}
