//! One task's life, told in AWS's form.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{ACCOUNT, REGION, text};
use super::{REMEMBERED, arn, cluster_arn};

/// A task that really existed.
#[derive(Debug, Clone)]
pub struct Task {
    pub arn: String,
    pub cluster: String,
    pub family: String,
    pub started_by: String,
    pub client_token: String,
    pub overrides: Value,
    /// As `DescribeTasks` tells it, without tags.
    pub body: Value,
    pub tags: Value,
    pub(super) stopped_at: Option<Duration>,
    pub(super) missing: u32,
    pub(super) absent: u32,
    pub(super) unlisted: u32,
    stopping: bool,
}

impl Task {
    pub(super) fn new(number: u128, cluster: &str, body: &Value, definition: &Value, now: Duration) -> Self {
        // An odd factor makes ids of all sizes, and no two alike.
        let id = format!("{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let arn = arn(cluster, &id);
        let family = text(definition, "family").to_owned();
        let containers = definition["containerDefinitions"].as_array().cloned().unwrap_or_default();
        let containers: Vec<_> = containers
            .iter()
            .enumerate()
            .map(|(index, container)| {
                json!({
                    "containerArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:container/{cluster}/{id}/{index}"),
                    "taskArn": arn, "name": container["name"], "image": container["image"],
                    "lastStatus": "PENDING", "networkInterfaces": [], "cpu": "0",
                })
            })
            .collect();
        let started_by = text(body, "startedBy").to_owned();
        let mut told = json!({
            "taskArn": arn, "clusterArn": cluster_arn(cluster),
            "taskDefinitionArn": definition["taskDefinitionArn"], "group": format!("family:{family}"),
            "lastStatus": "PROVISIONING", "desiredStatus": "RUNNING", "version": 1,
            "createdAt": seconds(now), "containers": containers, "overrides": body["overrides"],
            "launchType": body["launchType"].as_str().unwrap_or("FARGATE"), "attachments": [], "attributes": [],
            "cpu": definition["cpu"], "memory": definition["memory"], "enableExecuteCommand": false,
        });
        if !started_by.is_empty() {
            told["startedBy"] = json!(started_by);
        }
        if body["group"].is_string() {
            told["group"] = body["group"].clone();
        }
        Self {
            arn,
            cluster: cluster.to_owned(),
            family,
            started_by,
            client_token: text(body, "clientToken").to_owned(),
            overrides: body["overrides"].clone(),
            body: told,
            tags: if body["tags"].is_array() { body["tags"].clone() } else { json!([]) },
            stopped_at: None,
            missing: 0,
            absent: 0,
            unlisted: 0,
            stopping: false,
        }
    }

    /// The last part of the ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// `PROVISIONING`, `RUNNING`, `STOPPED`, ...
    pub fn state(&self) -> &str {
        text(&self.body, "lastStatus")
    }

    /// A variable that the launch gave to a container.
    pub fn environment(&self, name: &str) -> Option<&str> {
        let containers = self.overrides["containerOverrides"].as_array()?;
        let variables = containers.iter().filter_map(|container| container["environment"].as_array());
        variables.flatten().find(|variable| variable["name"] == name)?["value"].as_str()
    }

    /// Whether AWS has forgotten it.
    pub(super) fn forgotten(&self, now: Duration) -> bool {
        self.stopped_at.is_some_and(|stopped| now >= stopped + REMEMBERED)
    }

    pub(super) fn told(&self, tags: bool) -> Value {
        let mut told = self.body.clone();
        told["tags"] = if tags { self.tags.clone() } else { json!([]) };
        told
    }

    /// Moves to a state, with the times and the container states that belong to it.
    pub(super) fn advance(&mut self, state: &str, now: Duration) {
        let at = json!(seconds(now));
        let body = &mut self.body;
        body["lastStatus"] = json!(state);
        body["version"] = json!(body["version"].as_u64().unwrap_or_default() + 1);
        let times: &[&str] = match state {
            "PENDING" | "ACTIVATING" => &["connectivityAt", "pullStartedAt"],
            "RUNNING" => &["connectivityAt", "pullStartedAt", "pullStoppedAt", "startedAt"],
            "DEACTIVATING" | "STOPPING" | "DEPROVISIONING" => &["stoppingAt"],
            "STOPPED" => &["stoppingAt", "executionStoppedAt", "stoppedAt"],
            _ => &[],
        };
        for time in times {
            if body[time].is_null() {
                body[time] = at.clone();
            }
        }
        let containers = body["containers"].as_array_mut();
        for container in containers.into_iter().flatten().filter(|_| matches!(state, "RUNNING" | "STOPPED")) {
            container["lastStatus"] = json!(state);
        }
        if state.starts_with("STOP") || state.starts_with("DE") {
            body["desiredStatus"] = json!("STOPPED");
        }
        if state == "STOPPED" {
            self.stopped_at = Some(now);
        }
    }

    /// The container that counts ends with this code, and the task with it.
    pub(super) fn finish(&mut self, exit_code: i32, now: Duration) {
        if self.body["startedAt"].is_null() {
            self.advance("RUNNING", now);
        }
        self.advance("STOPPED", now);
        self.body["stopCode"] = json!("EssentialContainerExited");
        self.body["stoppedReason"] = json!("Essential container in task exited");
        self.body["containers"][0]["exitCode"] = json!(exit_code);
    }

    /// `StopTask`: what it asks for shows at once, what it achieves only later.
    pub(super) fn asked_to_stop(&mut self, reason: &str, now: Duration) {
        if self.stopped_at.is_some() {
            return;
        }
        self.stopping = true;
        self.tags = json!([]);
        self.body["desiredStatus"] = json!("STOPPED");
        self.body["stopCode"] = json!("UserInitiated");
        self.body["stoppedReason"] = json!(if reason.is_empty() { "Task stopped by user" } else { reason });
        self.body["stoppingAt"] = json!(seconds(now));
    }

    /// What time would have done by now.
    pub(super) fn looked_at(&mut self, now: Duration, auto_run: bool, hold_stops: bool) {
        if self.stopped_at.is_some() {
            return;
        }
        if self.stopping {
            if !hold_stops {
                self.advance("STOPPED", now);
                let ran = !self.body["startedAt"].is_null();
                let containers = self.body["containers"].as_array_mut();
                containers.into_iter().flatten().filter(|_| ran).for_each(|c| c["exitCode"] = json!(143));
            }
        } else if auto_run && self.body["startedAt"].is_null() {
            self.advance("RUNNING", now);
        }
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}
