//! Looking at tasks, a hundred at a time.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_ecs::types::Task;
use futures_util::StreamExt as _;

use super::EcsRunner;
use super::launch::log_place;
use super::log_tail;
use super::outcome::{Evidence, end};
use super::region::{Region, learn};
use super::settings::TaskSettings;
use crate::job::{End, How};
use crate::runners::{Attempt, Observation};

/// Calls under way at the same time: one slow answer is not waited for by the others, and many would only wait
/// for the pace.
const CALLS_AT_ONCE: usize = 4;

/// Region, cluster: what one call can be about.
type Place = (Option<String>, String);

/// Looks at the tasks that are due.
pub async fn look(runner: &EcsRunner, attempts: &[Arc<Attempt>]) {
    let mut places: Vec<Place> = Vec::new();
    let mut numbers: HashMap<Place, usize> = HashMap::new();
    let of: Vec<usize> = attempts
        .iter()
        .map(|attempt| {
            let place = place(attempt);
            *numbers.entry(place.clone()).or_insert_with(|| {
                places.push(place);
                places.len() - 1
            })
        })
        .collect();
    let calls = runner.follow.due(attempts, &runner.timing, |i| of[i]);
    futures_util::stream::iter(calls)
        .for_each_concurrent(CALLS_AT_ONCE, |call| {
            let place = &places[of[call[0]]];
            let batch: Vec<&Attempt> = call.iter().map(|i| attempts[*i].as_ref()).collect();
            describe(runner, place, batch)
        })
        .await;
}

/// Without reading all settings again, ten thousand times a second.
fn place(attempt: &Attempt) -> Place {
    let text = |key: &str| attempt.request.settings.get(key).and_then(|v| v.as_str());
    let cluster = text("cluster").unwrap_or_default();
    let settings = TaskSettings {
        cluster: cluster.to_owned(),
        region: text("region").map(str::to_owned),
        ..TaskSettings::default()
    };
    (settings.region().map(str::to_owned), settings.cluster)
}

async fn describe(runner: &EcsRunner, (region, cluster): &Place, batch: Vec<&Attempt>) {
    let (follow, timing) = (&runner.follow, &runner.timing);
    let described = async {
        let region = runner.regions.get(region.as_deref()).await?;
        region.read.wait().await;
        let arns = batch.iter().filter_map(|attempt| attempt.external_id.clone()).collect();
        let answer = region.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns)).send().await;
        let answer = learn(&region.read, "DescribeTasks", answer).map_err(|fault| fault.to_string())?;
        Ok::<_, String>((region, answer))
    };
    let (region, answer) = match described.await {
        Ok(described) => described,
        Err(reason) => {
            follow.troubled(&format!("DescribeTasks in cluster {cluster}: {reason}"));
            for attempt in batch {
                follow.unknown(attempt, &reason, timing);
            }
            return;
        }
    };
    follow.untroubled();
    let tasks: HashMap<&str, &Task> =
        answer.tasks().iter().filter_map(|task| Some((task.task_arn()?, task))).collect();
    for attempt in batch {
        // Unknown tasks are among the failures, or in neither list.
        match attempt.external_id.as_deref().and_then(|arn| tasks.get(arn)) {
            None => follow.missing(attempt, timing),
            Some(task) => understand(runner, &region, attempt, task),
        }
    }
}

/// What one task's description means for its attempt.
fn understand(runner: &EcsRunner, region: &Arc<Region>, attempt: &Attempt, task: &Task) {
    let (follow, timing) = (&runner.follow, &runner.timing);
    // Of what this runner has not launched itself, any task's name could stand in the table.
    let is_ours = match task.started_by() {
        Some(started_by) => started_by == attempt.launch_key,
        None => !attempt.in_doubt,
    };
    if !is_ours {
        let end = End::lost(format!("{} is another's task", task.task_arn().unwrap_or_default()));
        return follow.ended(attempt, Observation::Ended(end), false, timing);
    }
    match task.last_status().unwrap_or_default() {
        "STOPPED" | "DELETED" => {}
        // Also on its way out: a task whose image cannot be pulled never ran.
        stage if task.started_at().is_none() => {
            return follow.lives(attempt, Observation::Starting(stage.to_owned()), timing);
        }
        "DEPROVISIONING" => return follow.leaves(attempt, timing),
        // RUNNING, being stopped, or a stage of the future.
        _ => return follow.lives(attempt, Observation::Running, timing),
    }
    let named = container_name(attempt, task);
    let end = end(&Evidence::of(task, named.as_deref()));
    // A retried token is answered with bare tasks; the end must come from a whole description.
    let failed = end.how != How::Exited || end.exit_code != Some(0);
    let ran = !matches!(end.how, How::NotStarted { .. });
    if !(failed && ran) {
        return follow.ended(attempt, Observation::Ended(end), false, timing);
    }
    // Its log may take a while, which the others need not wait for. Should this daemon die meanwhile, the next one
    // sees the same end.
    follow.ended(attempt, Observation::Running, true, timing);
    let definition = task.task_definition_arn().unwrap_or_default().to_owned();
    let (region, ends, id) = (Arc::clone(region), runner.ends.clone(), attempt.id);
    let (limit, delay) = (runner.settings.output_limit, timing.log_delay);
    let arn = task.task_arn().unwrap_or_default().to_owned();
    tokio::spawn(async move {
        let mut end = end;
        if let Some(place) = log_place(&region, &definition, named.as_deref(), &arn).await {
            end.output = log_tail::tail(&region, &place, limit, delay).await;
        }
        // The receiver is gone when the daemon is on its way out.
        let _ = ends.send((id, end));
    });
}

/// The task's own container: the one that was launched with overrides.
fn container_name(attempt: &Attempt, task: &Task) -> Option<String> {
    let named = attempt.request.settings.get("container").and_then(|v| v.as_str()).map(str::to_owned);
    named.or_else(|| {
        let overrides = task.overrides()?.container_overrides();
        overrides.first()?.name().map(str::to_owned)
    })
}
