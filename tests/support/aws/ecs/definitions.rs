//! Task definitions, which tests register and clients only read.

use serde_json::{Value, json};

use super::super::{ACCOUNT, REGION, Refusal, merge, text};
use super::Ecs;

impl Ecs {
    /// One more revision: a Fargate definition with one container named as its family, changed by what is given.
    pub fn define(&mut self, family: &str, change: Value) -> String {
        let revisions = self.definitions.entry(family.to_owned()).or_default();
        let revision = revisions.len() + 1;
        let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{revision}");
        let mut definition = json!({
            "taskDefinitionArn": arn, "family": family, "revision": revision, "status": "ACTIVE",
            "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "containerDefinitions": [{ "name": family, "image": format!("{family}:1"), "essential": true }],
            "volumes": [], "placementConstraints": [],
        });
        merge(&mut definition, change);
        revisions.push(definition);
        arn
    }

    /// By family, `family:revision` or ARN.
    pub fn definition_mut(&mut self, named: &str) -> Option<&mut Value> {
        let short = named.rsplit_once('/').map_or(named, |(_, short)| short);
        match short.split_once(':') {
            Some((family, revision)) => {
                let revision: usize = revision.parse().ok()?;
                self.definitions.get_mut(family)?.get_mut(revision.checked_sub(1)?)
            }
            None => {
                let active = |definition: &&mut Value| text(definition, "status") == "ACTIVE";
                self.definitions.get_mut(short)?.iter_mut().rev().find(active)
            }
        }
    }

    /// One that may be run.
    pub fn runnable(&mut self, named: &str) -> Result<Value, Refusal> {
        let Some(definition) = self.definition_mut(named) else {
            return Err(Refusal::client("TaskDefinition not found."));
        };
        if text(definition, "status") != "ACTIVE" {
            return Err(Refusal::client("TaskDefinition is inactive"));
        }
        Ok(definition.clone())
    }

    /// Inactive ones too, as on AWS.
    pub fn describe_task_definition(&mut self, body: &Value) -> Result<Value, Refusal> {
        match self.definition_mut(text(body, "taskDefinition")) {
            Some(definition) => Ok(json!({ "taskDefinition": definition, "tags": [] })),
            None => Err(Refusal::client("Unable to describe task definition.")),
        }
    }
}
