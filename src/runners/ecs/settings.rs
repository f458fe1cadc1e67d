//! `parameters.settings` of an ECS task: read strictly, and refused where AWS would refuse it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::runners::read_settings;
use crate::settings::either;

/// What a parameters row (merged over `runner_defaults`) says about a RunTask call. Limits are those of the ECS
/// service model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TaskSettings {
    pub cluster: String,
    pub region: Option<String>,
    pub container: Option<String>,
    pub launch_type: Option<String>,
    pub capacity_provider_strategy: Vec<Provider>,
    pub platform_version: Option<String>,
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: Option<bool>,
    pub cpu: Option<Units>,
    pub memory: Option<Units>,
    pub ephemeral_storage_gib: Option<i32>,
    pub container_cpu: Option<i32>,
    pub container_memory: Option<i32>,
    pub container_memory_reservation: Option<i32>,
    pub gpu: Option<i32>,
    pub environment_files: Vec<String>,
    pub task_role: Option<String>,
    pub execution_role: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub propagate_tags: bool,
    pub group: Option<String>,
    pub enable_execute_command: bool,
    pub placement_constraints: Vec<Constraint>,
    pub placement_strategy: Vec<Placement>,
}

/// One item of a capacity provider strategy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
// The names are those of the API.
#[allow(missing_docs, clippy::struct_field_names)]
pub struct Provider {
    pub capacity_provider: String,
    #[serde(default)]
    pub weight: i32,
    #[serde(default)]
    pub base: i32,
}

/// Where a task may be placed (EC2).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Constraint {
    #[serde(rename = "type")]
    pub kind: String,
    pub expression: Option<String>,
}

/// Where a task should be placed (EC2).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Placement {
    #[serde(rename = "type")]
    pub kind: String,
    pub field: Option<String>,
}

/// CPU units or MiB of the whole task, which AWS wants as text and people write as a number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Units(pub String);

impl TryFrom<Value> for Units {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match text.parse::<u32>() {
            // "+1" is a number for Rust, not for AWS.
            Ok(1..) if text.starts_with(|c: char| c.is_ascii_digit()) => Ok(Self(text)),
            _ => Err(format!("{value} is not a whole number of CPU units (1024 are one vCPU) or MiB")),
        }
    }
}

/// The keys, to suggest the one that was probably meant; `sql/functions/api/inspect/settings_keys.sql` has the same.
pub const KEYS: [&str; 25] = [
    "cluster",
    "region",
    "container",
    "launch_type",
    "capacity_provider_strategy",
    "platform_version",
    "subnets",
    "security_groups",
    "assign_public_ip",
    "cpu",
    "memory",
    "ephemeral_storage_gib",
    "container_cpu",
    "container_memory",
    "container_memory_reservation",
    "gpu",
    "environment_files",
    "task_role",
    "execution_role",
    "tags",
    "propagate_tags",
    "group",
    "enable_execute_command",
    "placement_constraints",
    "placement_strategy",
];

/// Tags of ours on every task, besides those of the settings.
pub const OWN_TAGS: usize = 3;

impl TaskSettings {
    /// Reads and checks. A key set to null counts as absent, so that a row can take back what the defaults say.
    pub fn read(settings: &Value) -> Result<Self, String> {
        let read: Self = read_settings::read(settings, "ecs", &KEYS, None)?;
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<(), String> {
        let wrong = |key: &str, what: &str| Err(format!("settings.{key} {what}"));
        if self.cluster.is_empty() {
            return wrong("cluster", "is missing: the name or ARN of an ECS cluster");
        }
        let short = self.cluster.strip_prefix("arn:").map_or(Some(self.cluster.as_str()), |_| None);
        if short.is_some_and(|name| name.len() > 255 || !name.chars().all(is_name_char)) {
            return wrong("cluster", "must be a name of letters, digits, - and _, or an ARN");
        }
        if let Some(launch_type) = &self.launch_type {
            if !["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"].contains(&launch_type.as_str()) {
                return wrong("launch_type", "must be EC2, FARGATE, EXTERNAL or MANAGED_INSTANCES");
            }
            if !self.capacity_provider_strategy.is_empty() {
                return wrong(
                    "launch_type",
                    "and settings.capacity_provider_strategy exclude each other; set one of them to null",
                );
            }
        }
        self.check_providers()?;
        if self.subnets.len() > 16 || self.subnets.iter().any(|s| !s.starts_with("subnet-")) {
            return wrong("subnets", "must be up to 16 ids that begin with subnet-");
        }
        if self.security_groups.len() > 5 || self.security_groups.iter().any(|s| !s.starts_with("sg-")) {
            return wrong("security_groups", "must be up to 5 ids that begin with sg-");
        }
        if self.subnets.is_empty() && (!self.security_groups.is_empty() || self.assign_public_ip.is_some()) {
            return wrong("subnets", "is missing: security_groups and assign_public_ip need it");
        }
        if self.ephemeral_storage_gib.is_some_and(|gib| !(21..=200).contains(&gib)) {
            return wrong("ephemeral_storage_gib", "must be from 21 to 200");
        }
        let numbers = [
            ("container_cpu", self.container_cpu),
            ("container_memory", self.container_memory),
            ("container_memory_reservation", self.container_memory_reservation),
            ("gpu", self.gpu),
        ];
        if let Some((key, _)) = numbers.iter().find(|(_, n)| n.is_some_and(|n| n < 1)) {
            return wrong(key, "must be at least 1");
        }
        if self
            .environment_files
            .iter()
            .any(|file| !file.starts_with("arn:") || file.strip_suffix(".env").is_none())
        {
            return wrong("environment_files", "must be S3 ARNs of files whose names end in .env");
        }
        let texts = [
            ("container", &self.container),
            ("platform_version", &self.platform_version),
            ("region", &self.region),
            ("group", &self.group),
            ("task_role", &self.task_role),
            ("execution_role", &self.execution_role),
        ];
        if let Some((key, _)) = texts.iter().find(|(_, text)| text.as_deref() == Some("")) {
            return wrong(key, "must not be empty");
        }
        self.check_placement()?;
        self.check_tags()
    }

    fn check_placement(&self) -> Result<(), String> {
        let lists = [
            (
                "placement_constraints",
                10,
                &["distinctInstance", "memberOf"][..],
                self.placement_constraints.iter().map(|item| &item.kind).collect::<Vec<_>>(),
            ),
            (
                "placement_strategy",
                5,
                &["random", "spread", "binpack"],
                self.placement_strategy.iter().map(|item| &item.kind).collect(),
            ),
        ];
        for (key, limit, words, kinds) in lists {
            if kinds.len() > limit {
                return Err(format!("settings.{key} may have {limit} items at most"));
            }
            if let Some(i) = kinds.iter().position(|kind| !words.contains(&kind.as_str())) {
                return Err(format!(
                    "settings.{key}[{i}].type must be {}, and is {:?}",
                    either(words),
                    kinds[i]
                ));
            }
        }
        Ok(())
    }

    fn check_providers(&self) -> Result<(), String> {
        let items = &self.capacity_provider_strategy;
        let wrong = |what: &str| Err(format!("settings.capacity_provider_strategy: {what}"));
        if items.is_empty() {
            return Ok(());
        }
        if items.len() > 20 {
            return wrong("20 items at most");
        }
        if items.iter().any(|item| item.capacity_provider.is_empty()) {
            return wrong("capacity_provider must not be empty");
        }
        if items.iter().any(|item| !(0..=1000).contains(&item.weight)) {
            return wrong("weight must be from 0 to 1000");
        }
        if items.len() > 1 && items.iter().all(|item| item.weight == 0) {
            return wrong("at least one of several weights must be greater than 0");
        }
        if items.iter().any(|item| !(0..=100_000).contains(&item.base)) {
            return wrong("base must be from 0 to 100000");
        }
        if items.iter().filter(|item| item.base > 0).count() > 1 {
            return wrong("only one item may have a base");
        }
        Ok(())
    }

    fn check_tags(&self) -> Result<(), String> {
        if self.tags.len() > 50 - OWN_TAGS {
            return Err(format!("settings.tags: {} at most, beside those of Rowcall", 50 - OWN_TAGS));
        }
        let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c));
        for (key, value) in &self.tags {
            let length = key.chars().count();
            if !(1..=128).contains(&length) || value.chars().count() > 256 {
                return Err(format!(
                    "settings.tags.{key}: a key has 1 to 128 characters and a value up to 256"
                ));
            }
            if !allowed(key) || !allowed(value) {
                return Err(format!("settings.tags.{key}: letters, digits, spaces and + - = . _ : / @ only"));
            }
            if key.to_lowercase().starts_with("aws:") || key.starts_with("rowcall:") {
                return Err(format!("settings.tags.{key}: keys that begin with aws: or rowcall: are taken"));
            }
        }
        Ok(())
    }

    /// The region that the settings name, by themselves or in the cluster's ARN.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        let in_arn = || self.cluster.strip_prefix("arn:")?.split(':').nth(2).filter(|r| !r.is_empty());
        self.region.as_deref().or_else(in_arn)
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Refuses a target that is neither family, family:revision nor ARN.
pub fn check_target(target: &str) -> Result<(), String> {
    let (family, revision) = target.split_once(':').map_or((target, None), |(f, r)| (f, Some(r)));
    let plain = !family.is_empty()
        && family.len() <= 255
        && family.chars().all(is_name_char)
        && revision.is_none_or(|r| r.parse::<u32>().is_ok() && !r.starts_with('+'));
    if plain || (target.starts_with("arn:") && target.contains(":task-definition/")) {
        return Ok(());
    }
    Err(format!("target {target:?} must be a task definition: family, family:revision or ARN"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(mut settings: Value) -> String {
        if settings.get("cluster").is_none() {
            settings["cluster"] = json!("jobs");
        }
        TaskSettings::read(&settings).unwrap_err()
    }

    #[test]
    fn wrong_settings_name_the_key_and_the_allowed_form() {
        let cases = [
            (json!({"cluster": null}), "settings.cluster is missing: the name or ARN"),
            (json!({"cluster": "a b"}), "settings.cluster must be a name"),
            (
                json!({"clustr": "x"}),
                "settings.clustr: the ecs runner has no such setting; did you mean cluster?",
            ),
            (
                json!({"subnets": "subnet-1"}),
                "settings.subnets: invalid type: string \"subnet-1\", expected a sequence",
            ),
            (json!({"subnets": ["eni-1"]}), "settings.subnets must be up to 16 ids"),
            (json!({"security_groups": ["sg-1"]}), "settings.subnets is missing"),
            (json!({"launch_type": "fargate"}), "settings.launch_type must be EC2, FARGATE"),
            (
                json!({"launch_type": "FARGATE", "capacity_provider_strategy": [{"capacity_provider": "FARGATE_SPOT", "weight": 1}]}),
                "exclude each other",
            ),
            (
                json!({"capacity_provider_strategy": [{"capacity_provider": "A"}, {"capacity_provider": "B"}]}),
                "at least one of several weights",
            ),
            (
                json!({"capacity_provider_strategy": [{"weight": 1}]}),
                "settings.capacity_provider_strategy[0]: missing field `capacity_provider`",
            ),
            (json!({"cpu": "lots"}), "settings.cpu: \"lots\" is not a whole number of CPU units"),
            (json!({"ephemeral_storage_gib": 20}), "settings.ephemeral_storage_gib must be from 21 to 200"),
            (json!({"tags": {"a*": "b"}}), "settings.tags.a*: letters, digits"),
            (json!({"tags": {"aws:x": "b"}}), "are taken"),
            (
                json!({"placement_strategy": [{"type": "spreed"}]}),
                "settings.placement_strategy[0].type must be",
            ),
            (json!({"environment_files": ["x.env"]}), "settings.environment_files must be S3 ARNs"),
        ];
        for (settings, expected) in cases {
            let error = error(settings.clone());
            assert!(error.contains(expected), "{settings}: {error}");
        }
    }

    #[test]
    fn null_takes_back_a_default_and_numbers_may_be_numbers() {
        let read = TaskSettings::read(&json!({
            "cluster": "arn:aws:ecs:eu-west-1:1:cluster/jobs", "launch_type": null, "cpu": 1024, "memory": "2048",
            "capacity_provider_strategy": [{"capacity_provider": "FARGATE_SPOT", "weight": 3, "base": 1}]
        }))
        .unwrap();
        assert_eq!(read.launch_type, None);
        assert_eq!((read.cpu.unwrap().0.as_str(), read.memory.unwrap().0.as_str()), ("1024", "2048"));
        assert_eq!(
            TaskSettings { cpu: None, memory: None, ..read_of("arn:aws:ecs:eu-west-1:1:cluster/jobs") }
                .region(),
            Some("eu-west-1")
        );
    }

    fn read_of(cluster: &str) -> TaskSettings {
        TaskSettings::read(&json!({"cluster": cluster})).unwrap()
    }

    #[test]
    fn every_key_is_known() {
        for key in KEYS {
            assert!(!error(json!({key: [[1]]})).contains("no such setting"), "{key}");
        }
    }

    #[test]
    fn targets_are_families_revisions_and_arns() {
        for good in ["loader", "loader:7", "arn:aws:ecs:eu-west-1:1:task-definition/loader:7"] {
            check_target(good).unwrap();
        }
        for bad in ["", "a b", "loader:x", "arn:aws:ecs:eu-west-1:1:cluster/x", "image/name:tag"] {
            assert!(check_target(bad).is_err(), "{bad}");
        }
    }
}
