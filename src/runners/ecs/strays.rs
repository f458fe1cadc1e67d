//! Stray tasks: they appeared after their launch was refused, or outlived their attempt.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::EcsRunner;
use super::follow::BATCH;
use super::rails;
use super::region::learn;
use super::settings::TaskSettings;
use crate::parameters::Task;
use crate::runners::Stray;

/// Tasks known not to be ours, so that they are described once only. Forgotten when there are many.
const REMEMBERED: usize = 50_000;

#[derive(Debug, Default)]
pub struct Foreign {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    arns: HashSet<String>,
    last_look: Option<Instant>,
}

impl Foreign {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_known(&self, arn: &str) -> bool {
        self.lock().arns.contains(arn)
    }

    fn add(&self, arn: &str) {
        let mut state = self.lock();
        if state.arns.len() >= REMEMBERED {
            state.arns.clear();
        }
        state.arns.insert(arn.to_owned());
    }
}

/// Tasks whose `startedBy` is one of our launch keys and that this dispatcher does not follow, in all clusters that the
/// parameters name.
pub async fn strays(runner: &EcsRunner, prefix: &str, tasks: &[&Task]) -> Vec<Stray> {
    {
        let mut state = runner.foreign.lock();
        if state.last_look.is_some_and(|at| at.elapsed() < runner.timing.strays_every) {
            return Vec::new();
        }
        state.last_look = Some(Instant::now());
    }
    // No further than the guard rails let a launch go.
    let allowed = |task: &&&Task, settings: &TaskSettings| {
        rails::check(&task.target, settings, &runner.settings, runner.aws.own()).is_ok()
    };
    let settings = tasks.iter().filter_map(|task| {
        TaskSettings::read(&task.settings).ok().filter(|settings| allowed(&task, settings))
    });
    let places: HashSet<(Option<String>, String)> =
        settings.map(|s| (s.region().map(str::to_owned), s.cluster)).collect();
    let mut strays = Vec::new();
    for (region, cluster) in places {
        match strays_in(runner, prefix, region.as_deref(), &cluster).await {
            Ok(found) => strays.extend(found),
            Err(reason) => tracing::debug!(cluster, reason, "cannot look for stray tasks"),
        }
    }
    strays
}

async fn strays_in(
    runner: &EcsRunner,
    prefix: &str,
    region_name: Option<&str>,
    cluster: &str,
) -> Result<Vec<Stray>, String> {
    let region = runner.regions.get(region_name).await?;
    let mut unknown = Vec::new();
    let mut token = None;
    loop {
        region.read.wait().await;
        let answer = region.ecs.list_tasks().cluster(cluster).set_next_token(token).send().await;
        let answer = learn(&region.read, "ListTasks", answer).map_err(|fault| fault.to_string())?;
        let arns = answer.task_arns().iter();
        unknown
            .extend(arns.filter(|arn| !runner.follow.follows(arn) && !runner.foreign.is_known(arn)).cloned());
        token = answer.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let mut strays = Vec::new();
    for arns in unknown.chunks(BATCH) {
        region.read.wait().await;
        let answer = region.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns.to_vec())).send().await;
        let answer = learn(&region.read, "DescribeTasks", answer).map_err(|fault| fault.to_string())?;
        for task in answer.tasks() {
            let Some(arn) = task.task_arn() else { continue };
            match task.started_by().filter(|key| key.starts_with(prefix)) {
                None => runner.foreign.add(arn),
                // On its way out already.
                Some(_) if task.desired_status() == Some("STOPPED") => {}
                Some(key) => strays.push(Stray {
                    launch_key: key.to_owned(),
                    place: format!("{} {cluster} {arn}", region_name.unwrap_or_default()),
                }),
            }
        }
    }
    Ok(strays)
}

/// Stops a task whose attempt is over, or says that it would.
pub async fn discard(runner: &EcsRunner, stray: &Stray) {
    let mut parts = stray.place.splitn(3, ' ');
    let (Some(region), Some(cluster), Some(arn)) = (parts.next(), parts.next(), parts.next()) else { return };
    let launch_key = stray.launch_key.as_str();
    if !runner.settings.stop_strays {
        tracing::warn!(
            arn,
            launch_key,
            "this task runs although its attempt is over (runners.ecs.stop_strays is off)"
        );
        return;
    }
    let region = match runner.regions.get(Some(region).filter(|name| !name.is_empty())).await {
        Ok(region) => region,
        Err(reason) => {
            return tracing::warn!(arn, reason, "a task of an attempt that is over cannot be stopped");
        }
    };
    match runner.stop_task(&region, cluster, arn, "Rowcall: its attempt is over").await {
        Ok(()) => tracing::warn!(arn, launch_key, "stopped a task that ran although its attempt was over"),
        Err(fault) => tracing::warn!(arn, %fault, "a task of an attempt that is over cannot be stopped"),
    }
}
