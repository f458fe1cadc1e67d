//! `rowcall check`

use anyhow::bail;
use clap::Args;
use rowcall::database;
use rowcall::parameters::{Task, unrendered};
use rowcall::runners::{self, Runners};
use rowcall::settings::Settings;
use tokio::sync::mpsc;

/// What `rowcall check` is told.
#[derive(Args)]
pub struct Check {
    /// The tasks to check, enabled or not; without any, all that are enabled
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl Check {
    /// Does it. The findings are what it prints; the error, if any, only counts them.
    pub async fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let client = database::Database::new(&settings.database)?.get().await?;
        database::check_schema(&client).await?;
        let tasks = self.wanted(database::load_parameters(&client).await?)?;
        if tasks.is_empty() {
            println!("nothing to check: no row of rowcall.parameters is enabled");
            return Ok(());
        }
        let (ends, _ended) = mpsc::unbounded_channel();
        let runners = runners::enabled(settings, &ends)?;
        let widest = |part: fn(&Task) -> &str| tasks.iter().map(|task| part(task).chars().count()).max();
        let [name, runner, target] = [widest(|t| &t.name), widest(|t| &t.runner), widest(|t| &t.target)]
            .map(Option::unwrap_or_default);
        let mut problems = 0;
        for task in &tasks {
            let finding = match could_run(&runners, task).await {
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

/// First by this daemon's own rules, then by the runner's word.
async fn could_run(runners: &Runners, task: &Task) -> Result<String, String> {
    let runner = runners
        .get(&task.runner)
        .ok_or_else(|| format!("the runner is not enabled here (runners.{}.enabled)", task.runner))?;
    let request = unrendered(task);
    runner.check(&request)?;
    runner.probe(&request).await
}
