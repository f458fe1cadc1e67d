//! RunTask: what a client token stands for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Fault, Ghost, Refusal, text};
use super::{Ecs, REMEMBERED, Task, validation};

/// A token is never good for longer.
const TOKEN_LIVES: Duration = Duration::from_hours(24);

/// What a token was first used for, and what came of it.
pub struct Launch {
    parameters: Value,
    at: Duration,
    arns: Vec<String>,
    failures: Vec<Value>,
}

impl Ecs {
    pub fn run_task(
        &mut self,
        body: &Value,
        fault: &Fault,
        actions: &mut BTreeSet<String>,
    ) -> Result<Value, Refusal> {
        let cluster = self.cluster(body)?;
        let definition = self.runnable(text(body, "taskDefinition"))?;
        validation::run_task(body, &definition)?;
        needs(body, &definition, actions);

        let token = text(body, "clientToken").to_owned();
        let key = (cluster.clone(), token.clone());
        let mut parameters = body.clone();
        parameters["clientToken"].take();
        if let Some(launch) = self.launches.get(&key).filter(|launch| !self.expired(launch)) {
            if launch.parameters == parameters {
                return Ok(self.replay(launch));
            }
            let message = "The client token was used before with other parameters.";
            let refusal = Refusal::new(400, "ConflictException", message);
            return Err(refusal.with("resourceIds", json!(launch.arns)));
        }

        let copies = body["count"].as_u64().unwrap_or(1);
        let tasks: Vec<Task> = (0..copies)
            .map(|_| {
                self.made += 1;
                Task::new(self.made, &cluster, body, &definition, self.now)
            })
            .collect();
        let mut launch = Launch { parameters, at: self.now, arns: Vec::new(), failures: Vec::new() };
        let mut told = Vec::new();
        for mut task in tasks {
            match fault {
                Fault::Failures { reason, detail, ghost } => {
                    let mut failure = json!({ "reason": reason });
                    if let Some(detail) = detail {
                        failure["detail"] = json!(detail);
                    }
                    launch.failures.push(failure);
                    match ghost {
                        Ghost::Never => {}
                        Ghost::AtOnce => self.add(task),
                        Ghost::AfterCalls(calls) => self.ghosts.push((Some(*calls), task)),
                        Ghost::WhenTold => self.ghosts.push((None, task)),
                    }
                    continue;
                }
                Fault::Missing(times) => task.missing = *times,
                Fault::Absent(times) => task.absent = *times,
                Fault::Unlisted(times) => task.unlisted = *times,
                _ => {}
            }
            launch.arns.push(task.arn.clone());
            told.push(task.told(true));
            self.add(task);
        }
        let answer = json!({ "tasks": told, "failures": launch.failures });
        if !token.is_empty() {
            self.launches.insert(key, launch);
        }
        Ok(answer)
    }

    /// A token ends a day after its use, and an hour after the last of its tasks.
    fn expired(&self, launch: &Launch) -> bool {
        let mut stops = launch.arns.iter().map(|arn| self.task(arn).and_then(|task| task.stopped_at));
        let all_stopped = stops.try_fold(None, |last, stop| stop.map(|stop| last.max(Some(stop))));
        self.now >= launch.at + TOKEN_LIVES
            || all_stopped.flatten().is_some_and(|stopped| self.now >= stopped + REMEMBERED)
    }

    /// The first result again. Of tasks that have stopped, little is told; of those long gone, nothing.
    fn replay(&self, launch: &Launch) -> Value {
        let tasks = launch.arns.iter().filter_map(|arn| self.task(arn)).filter(|t| !t.forgotten(self.now));
        let told = tasks.map(|task| match task.stopped_at {
            None => task.told(true),
            Some(_) => json!({
                "taskArn": task.arn, "lastStatus": task.body["lastStatus"],
                "desiredStatus": task.body["desiredStatus"],
            }),
        });
        json!({ "tasks": told.collect::<Vec<_>>(), "failures": launch.failures })
    }

    /// Any task that ever was, by ARN.
    pub fn task(&self, arn: &str) -> Option<&Task> {
        let id = arn.rsplit('/').next()?;
        self.by_id.get(id).map(|&index| &self.tasks[index])
    }

    pub fn task_mut(&mut self, arn: &str) -> &mut Task {
        let index = self.by_id.get(arn.rsplit('/').next().unwrap_or_default());
        &mut self.tasks[*index.unwrap_or_else(|| panic!("there never was a task {arn}"))]
    }
}

/// What a launch needs besides ecs:RunTask.
fn needs(body: &Value, definition: &Value, actions: &mut BTreeSet<String>) {
    let tagged = body["tags"].as_array().is_some_and(|tags| !tags.is_empty());
    if tagged || body["propagateTags"].is_string() || body["enableECSManagedTags"] == true {
        actions.insert("ecs:TagResource".to_owned());
    }
    let roles = ["taskRoleArn", "executionRoleArn"];
    if roles.iter().any(|role| definition[role].is_string() || body["overrides"][role].is_string()) {
        actions.insert("iam:PassRole".to_owned());
    }
}
