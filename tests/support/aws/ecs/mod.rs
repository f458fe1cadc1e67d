//! ECS in memory: what its documentation promises, and its refusals.

mod definitions;
mod hands;
mod launch;
mod task;
mod validation;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::wire::{Answer, Call, Refusal};
use super::{ACCOUNT, Fault, Outcome, REGION, text, unknown_action};

pub use task::Task;

/// Stopped tasks stay describable so long, and their tokens valid.
const REMEMBERED: Duration = Duration::from_hours(1);

#[derive(Default)]
pub struct Ecs {
    pub now: Duration,
    pub tasks: Vec<Task>,
    by_id: HashMap<String, usize>,
    clusters: BTreeSet<String>,
    definitions: BTreeMap<String, Vec<Value>>,
    /// By cluster and token.
    launches: HashMap<(String, String), launch::Launch>,
    /// Tasks that were refused and come all the same, after so many calls or when told.
    ghosts: Vec<(Option<u32>, Task)>,
    made: u128,
    auto_run: bool,
    hold_stops: bool,
}

impl Ecs {
    pub fn perform(&mut self, call: &Call, fault: &Fault, actions: &mut BTreeSet<String>) -> Outcome {
        let body = call.json();
        let answer = match call.action.as_str() {
            "RunTask" => self.run_task(&body, fault, actions)?,
            "DescribeTasks" => self.describe_tasks(&body)?,
            "ListTasks" => self.list_tasks(&body)?,
            "StopTask" => self.stop_task(&body)?,
            "DescribeTaskDefinition" => self.describe_task_definition(&body)?,
            "DescribeClusters" => self.describe_clusters(&body),
            _ => return unknown_action(call),
        };
        Ok(Answer::ok(&answer))
    }

    /// One more call has come: ghosts whose time this is become tasks.
    pub fn haunt(&mut self) {
        let ghosts = std::mem::take(&mut self.ghosts);
        for (left, ghost) in ghosts {
            match left {
                Some(0) => self.add(ghost),
                left => self.ghosts.push((left.map(|left| left - 1), ghost)),
            }
        }
    }

    fn add(&mut self, task: Task) {
        self.by_id.insert(task.id().to_owned(), self.tasks.len());
        self.tasks.push(task);
    }

    /// A cluster by name or ARN; `default` if nothing is said, as on AWS.
    fn cluster(&self, body: &Value) -> Result<String, Refusal> {
        let named = body["cluster"].as_str().unwrap_or("default");
        let name = named.rsplit('/').next().unwrap_or_default();
        let found = self.clusters.get(name).cloned();
        found.ok_or_else(|| Refusal::new(400, "ClusterNotFoundException", "Cluster not found."))
    }

    /// The place of a task in a cluster, by id or ARN.
    fn find(&self, cluster: &str, named: &str) -> Result<Option<usize>, Refusal> {
        if named.starts_with("arn:") && !named.contains(&format!(":task/{cluster}/")) {
            let theirs = named.split('/').nth(1).unwrap_or_default();
            return Err(Refusal::invalid(&format!(
                "Invalid identifier: Identifier is for cluster {theirs}. Your cluster is {cluster}"
            )));
        }
        let id = named.rsplit('/').next().unwrap_or_default();
        let found = self.by_id.get(id).copied();
        Ok(found
            .filter(|&index| self.tasks[index].cluster == cluster && !self.tasks[index].forgotten(self.now)))
    }

    fn describe_tasks(&mut self, body: &Value) -> Result<Value, Refusal> {
        let cluster = self.cluster(body)?;
        let named = validation::tasks(body)?;
        let tags = body["include"].as_array().is_some_and(|include| include.contains(&json!("TAGS")));
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for name in named {
            let Some(index) = self.find(&cluster, name)? else {
                failures.push(json!({ "arn": arn(&cluster, name), "reason": "MISSING" }));
                continue;
            };
            let task = &mut self.tasks[index];
            if task.absent > 0 {
                task.absent -= 1;
            } else if task.missing > 0 {
                task.missing -= 1;
                failures.push(json!({ "arn": task.arn, "reason": "MISSING" }));
            } else {
                task.looked_at(self.now, self.auto_run, self.hold_stops);
                tasks.push(task.told(tags));
            }
        }
        Ok(json!({ "tasks": tasks, "failures": failures }))
    }

    fn list_tasks(&mut self, body: &Value) -> Result<Value, Refusal> {
        let cluster = self.cluster(body)?;
        let desired = body["desiredStatus"].as_str().unwrap_or("RUNNING");
        let most = body["maxResults"].as_u64().unwrap_or(100) as usize;
        if !(1..=100).contains(&most) {
            return Err(Refusal::invalid("maxResults must be between 1 and 100."));
        }
        let start = match body["nextToken"].as_str() {
            Some(token) => token.parse().map_err(|_| Refusal::invalid("Invalid token."))?,
            None => 0,
        };
        let wanted = |asked: &str, has: &str| body[asked].as_str().is_none_or(|wanted| wanted == has);
        let (now, mut arns, mut next) = (self.now, Vec::new(), None);
        for (index, task) in self.tasks.iter_mut().enumerate().skip(start) {
            let matches = task.cluster == cluster
                && text(&task.body, "desiredStatus") == desired
                && wanted("startedBy", &task.started_by)
                && wanted("family", &task.family)
                && !task.forgotten(now);
            if !matches {
                continue;
            }
            if task.unlisted > 0 {
                task.unlisted -= 1;
                continue;
            }
            if arns.len() == most {
                next = Some(index);
                break;
            }
            arns.push(task.arn.clone());
        }
        let mut answer = json!({ "taskArns": arns });
        if let Some(next) = next {
            answer["nextToken"] = json!(next.to_string());
        }
        Ok(answer)
    }

    fn stop_task(&mut self, body: &Value) -> Result<Value, Refusal> {
        let cluster = self.cluster(body)?;
        let Some(index) = self.find(&cluster, text(body, "task"))? else {
            return Err(Refusal::invalid("The referenced task was not found."));
        };
        let task = &mut self.tasks[index];
        task.asked_to_stop(text(body, "reason"), self.now);
        Ok(json!({ "task": task.told(false) }))
    }

    fn describe_clusters(&self, body: &Value) -> Value {
        let named = body["clusters"].as_array().cloned().unwrap_or_else(|| vec![json!("default")]);
        let (mut clusters, mut failures) = (Vec::new(), Vec::new());
        for name in named.iter().filter_map(Value::as_str) {
            match self.cluster(&json!({ "cluster": name })) {
                Ok(name) => {
                    let running = |task: &&Task| task.cluster == name && task.state() == "RUNNING";
                    clusters.push(json!({
                        "clusterArn": cluster_arn(&name), "clusterName": name, "status": "ACTIVE",
                        "runningTasksCount": self.tasks.iter().filter(running).count(),
                    }));
                }
                Err(_) => failures.push(json!({ "arn": cluster_arn(name), "reason": "MISSING" })),
            }
        }
        json!({ "clusters": clusters, "failures": failures })
    }
}

fn cluster_arn(cluster: &str) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}")
}

/// A task's ARN in the long form, unless it is one already.
fn arn(cluster: &str, id: &str) -> String {
    if id.starts_with("arn:") {
        return id.to_owned();
    }
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{id}")
}
