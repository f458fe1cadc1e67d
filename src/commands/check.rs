//! `rowcall check`

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use clap::Args;
use rowcall::database;
use rowcall::job::RunnerName;
use rowcall::parameters::{Task, unrendered};
use rowcall::runners::{self, Runners};
use rowcall::settings::Settings;
use tokio::sync::mpsc;

/// What `rowcall check` is told.
#[derive(Args)]
pub struct Check {
    /// The tasks to check, enabled or not; by default all that are enabled
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Compare the rights in Rowcall's two schemas with those documented (docs/roles.md), and print each difference
    #[arg(long, conflicts_with = "names")]
    grants: bool,
}

impl Check {
    /// Does it. The findings are what it prints; the error, if any, only counts them.
    pub async fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let client = database::Database::new(&settings.database)?.get().await?;
        database::check_schema(&client).await?;
        if self.grants {
            return check_grants(&client, settings).await;
        }
        let tasks = self.wanted(database::load_parameters(&client).await?)?;
        let signed_in = show_sign_in(settings).await;
        if tasks.is_empty() {
            println!("nothing to check: no row of rowcall.parameters is enabled");
        }
        let (ends, _ended) = mpsc::unbounded_channel();
        let runners = runners::enabled(settings, &ends)?;
        let mut unready = BTreeMap::new();
        for runner in runners.iter() {
            if let Err(reason) = runner.ready().await {
                unready.insert(runner.name(), reason);
            }
        }
        let widest = |part: fn(&Task) -> &str| tasks.iter().map(|task| part(task).chars().count()).max();
        let [name, runner, target] =
            [widest(|t| &t.name), widest(|t| t.runner.as_str()), widest(|t| &t.target)]
                .map(Option::unwrap_or_default);
        let mut problems = 0;
        for task in &tasks {
            let finding = match could_run(&runners, &unready, task).await {
                Ok(found) => format!("ok: {found}"),
                Err(problem) => {
                    problems += 1;
                    // One line for each task, whatever AWS or the system says.
                    format!("problem: {}", problem.replace('\n', " "))
                }
            };
            println!("{:name$}  {:runner$}  {:target$}  {finding}", task.name, task.runner, task.target);
        }
        if problems > 0 {
            bail!("{problems} of {} tasks could not run from here", tasks.len());
        }
        if !signed_in {
            bail!("tasks could not report: tasks.database_url does not work from here");
        }
        Ok(())
    }

    fn wanted(&self, mut tasks: Vec<Task>) -> anyhow::Result<Vec<Task>> {
        if let Some(unknown) = self.names.iter().find(|name| tasks.iter().all(|task| task.name != **name)) {
            bail!("no parameters row named {unknown}");
        }
        tasks.retain(
            |task| if self.names.is_empty() { task.enabled } else { self.names.contains(&task.name) },
        );
        tasks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tasks)
    }
}

/// Connects once as tasks do, if they are given an address: where to, or what is wrong.
async fn tasks_sign_in(settings: &Settings) -> Option<Result<String, String>> {
    let url = settings.tasks.database_url.as_str();
    if url.is_empty() {
        return None;
    }
    Some(
        database::signs_in_as_task(url, settings.database.connect_timeout)
            .await
            .map_err(|error| error.to_string()),
    )
}

/// Prints whether tasks could sign in; true also where they are given no address.
async fn show_sign_in(settings: &Settings) -> bool {
    match tasks_sign_in(settings).await {
        None => true,
        Some(Ok(place)) => {
            println!("tasks.database_url: ok: {place}");
            true
        }
        Some(Err(problem)) => {
            println!("tasks.database_url: problem: {}", problem.replace('\n', " "));
            false
        }
    }
}

/// Says of each difference what mends it.
async fn check_grants(client: &impl database::Statements, settings: &Settings) -> anyhow::Result<()> {
    let task_role = match settings.tasks.database_url.as_str() {
        "" => None,
        url => {
            let address = database::Address::parse(url).context("tasks.database_url")?;
            address.config.get_user().map(str::to_owned)
        }
    };
    let problems = database::grant_problems(client, task_role.as_deref()).await?;
    for found in &problems {
        println!("problem: {}\n    mend: {}", found.problem, found.fix);
    }
    if !problems.is_empty() {
        bail!("{} differences between the rights in the schema and those documented", problems.len());
    }
    println!("the rights in the schema rowcall are as documented");
    Ok(())
}

/// First by this daemon's own rules, then by the runner's word.
async fn could_run(
    enabled: &Runners,
    unready: &BTreeMap<RunnerName, String>,
    task: &Task,
) -> Result<String, String> {
    if !runners::is_built_in(task.runner) {
        return Err(runners::not_built_in(task.runner));
    }
    let runner = enabled
        .get(task.runner)
        .ok_or_else(|| format!("the runner is not enabled here (runners.{}.enabled)", task.runner))?;
    if let Some(reason) = unready.get(&task.runner) {
        return Err(reason.clone());
    }
    if let Some(unreadable) = &task.unreadable {
        return Err(format!("parameters: {unreadable}"));
    }
    if let Some(status_loop) = &task.status_loop {
        return Err(format!("it would run for ever: {status_loop}"));
    }
    let request = unrendered(task);
    runner.check(&request)?;
    runner.probe(&request).await
}
