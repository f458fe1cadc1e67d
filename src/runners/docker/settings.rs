//! `parameters.settings` of a task on Docker: read strictly, so that a mistyped key is named and never ignored.
//!
//! `cpu` and `memory` are counted as on ECS, so that a row can move there and back.

use serde::Deserialize;
use serde_json::Value;

use crate::runners::read_settings;

/// What a parameters row (merged over `runner_defaults`) says about how its container runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TaskSettings {
    pub cpu: Option<Units>,
    pub memory: Option<Units>,
    pub pids_limit: Option<i64>,
    pub entrypoint: Vec<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub read_only: bool,
    pub mounts: Vec<MountSetting>,
    pub tmpfs: Vec<String>,
    pub network: Option<String>,
    pub extra_hosts: Vec<String>,
    pub init: Option<bool>,
    pub pull: Option<Pull>,
    pub stop_timeout: Option<i64>,
}

/// Something of the engine's machine, seen in the container.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct MountSetting {
    pub source: String,
    pub target: String,
    #[serde(default)]
    pub read_only: bool,
}

impl MountSetting {
    /// A directory or file, not a volume.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.source.starts_with('/')
    }
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// If the engine does not have it.
    Missing,
    /// Before each attempt.
    Always,
    /// The engine has it, or the attempt fails.
    Never,
}

impl Pull {
    /// From the daemon's settings, which know no other word.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        match word {
            "always" => Self::Always,
            "never" => Self::Never,
            _ => Self::Missing,
        }
    }
}

/// CPU units or MiB, as a number or, as on ECS, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Units(pub u32);

impl TryFrom<Value> for Units {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match text.parse::<u32>() {
            // "+1" is a number for Rust, but not for AWS, Docker and our SQL.
            Ok(number) if text.starts_with(|c: char| c.is_ascii_digit()) => Ok(Self(number)),
            _ => Err(format!("{value} is not a whole number of CPU units (1024 are one CPU) or MiB")),
        }
    }
}

/// The keys; `sql/functions/api/inspect/settings_keys.sql` has the same.
pub const KEYS: [&str; 14] = [
    "cpu",
    "memory",
    "pids_limit",
    "entrypoint",
    "user",
    "working_dir",
    "read_only",
    "mounts",
    "tmpfs",
    "network",
    "extra_hosts",
    "init",
    "pull",
    "stop_timeout",
];

/// The address of the engine to which an attempt was handed first. Only the dispatcher writes it: it is not among the
/// keys that a user may set.
const ENGINE: &str = "engine";

/// What Docker takes as the least memory, in MiB.
const LEAST_MEMORY: u32 = 6;

/// Seconds a task may take to stop; as on Fargate.
pub const LONGEST_STOP: i64 = 120;

impl TaskSettings {
    /// Reads and checks. A key set to null counts as absent, so that a row can take back what the defaults say.
    pub fn read(settings: &Value) -> Result<Self, String> {
        let read: Self = read_settings::read(settings, "docker", &KEYS, None)?;
        read.check()?;
        Ok(read)
    }

    /// Those of a frozen request.
    pub fn frozen(settings: &Value) -> Result<Self, String> {
        let mut settings = settings.clone();
        if let Some(map) = settings.as_object_mut() {
            map.remove(ENGINE);
        }
        Self::read(&settings)
    }

    fn check(&self) -> Result<(), String> {
        let wrong = |key: &str, what: &str| Err(format!("settings.{key} must be {what}"));
        if self.cpu.is_some_and(|cpu| cpu.0 < 1) {
            return wrong("cpu", "a whole number of CPU units (1024 are one CPU)");
        }
        if self.memory.is_some_and(|memory| memory.0 < LEAST_MEMORY) {
            return wrong("memory", "a whole number of MiB, at least 6");
        }
        if self.pids_limit.is_some_and(|limit| !(1..=2_147_483_647).contains(&limit)) {
            return wrong("pids_limit", "an integer, at least 1");
        }
        if self.stop_timeout.is_some_and(|seconds| !(0..=LONGEST_STOP).contains(&seconds)) {
            return wrong("stop_timeout", "a whole number of seconds from 0 to 120");
        }
        if self
            .user
            .as_deref()
            .is_some_and(|user| !user.split(':').all(is_name) || user.matches(':').count() > 1)
        {
            return wrong("user", "a user, or user:group, by names or numbers");
        }
        if self.working_dir.as_deref().is_some_and(|dir| !dir.starts_with('/')) {
            return wrong("working_dir", "a full path");
        }
        if self.network.as_deref().is_some_and(|network| !is_name(network)) {
            return wrong("network", "the name of a network");
        }
        if self.mounts.len() > 50 {
            return wrong("mounts", "an array of up to 50 objects");
        }
        for (i, mount) in self.mounts.iter().enumerate() {
            let volume = mount.source.len() > 1 && is_name(&mount.source) && !mount.source.starts_with('_');
            if !volume && mount.source != "/" && !is_path(&mount.source) {
                return wrong(
                    &format!("mounts[{i}].source"),
                    "a full path without . and .., or the name of a volume",
                );
            }
            if !is_path(&mount.target) {
                return wrong(&format!("mounts[{i}].target"), "a full path without . and ..");
            }
        }
        if self.tmpfs.len() > 20 || !self.tmpfs.iter().all(|path| is_path(path)) {
            return wrong("tmpfs", "up to 20 full paths without . and ..");
        }
        let is_host = |entry: &String| {
            entry.split_once(':').is_some_and(|(name, address)| {
                !name.is_empty()
                    && !address.is_empty()
                    && !name.contains([' ', '='])
                    && !address.contains(' ')
            })
        };
        if self.extra_hosts.len() > 50 || !self.extra_hosts.iter().all(is_host) {
            return wrong("extra_hosts", "up to 50 strings such as name:address or name:host-gateway");
        }
        Ok(())
    }
}

/// Notes in a request to which engine it is handed.
pub fn freeze(settings: &mut Value, engine: &str) {
    if let Some(map) = settings.as_object_mut() {
        map.insert(ENGINE.to_owned(), engine.into());
    }
}

/// The engine to which a request was handed.
#[must_use]
pub fn handed_to(settings: &Value) -> Option<&str> {
    settings.get(ENGINE).and_then(Value::as_str)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// A full path below the root, in its shortest form.
fn is_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| !rest.split('/').any(|part| ["", ".", ".."].contains(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_settings_name_the_key_and_the_allowed_form() {
        let cases = [
            (json!({"privileged": true}), "settings.privileged: the docker runner has no such setting"),
            (json!({"memry": 1}), "did you mean memory?"),
            (
                json!({"engine": "tcp://elsewhere:2375"}),
                "settings.engine: the docker runner has no such setting",
            ),
            (json!({"memory": 5}), "settings.memory must be a whole number of MiB, at least 6"),
            (json!({"cpu": "lots"}), "settings.cpu: \"lots\" is not a whole number"),
            (
                json!({"mounts": [{"source": "/a/../etc", "target": "/b"}]}),
                "settings.mounts[0].source must be a full path",
            ),
            (json!({"mounts": [{"source": "/a"}]}), "settings.mounts[0]: missing field `target`"),
            (json!({"mounts": [{"source": "a", "target": "/b"}]}), "settings.mounts[0].source must be"),
            (json!({"mounts": [{"source": "/a", "target": "/"}]}), "settings.mounts[0].target must be"),
            (json!({"tmpfs": ["tmp"]}), "settings.tmpfs must be"),
            (json!({"network": "container:other"}), "settings.network must be the name of a network"),
            (json!({"pull": "sometimes"}), "settings.pull: unknown variant `sometimes`"),
            (json!({"stop_timeout": 121}), "settings.stop_timeout must be"),
            (json!({"user": "a:b:c"}), "settings.user must be"),
            (json!({"extra_hosts": ["db"]}), "settings.extra_hosts must be"),
            (json!([]), "settings must be an object"),
        ];
        for (settings, expected) in cases {
            let error = TaskSettings::read(&settings).unwrap_err();
            assert!(error.contains(expected), "{settings}: {error}");
        }
    }

    #[test]
    fn the_engine_is_noted_in_a_frozen_request_alone() {
        let mut settings = json!({"memory": "64", "init": null});
        freeze(&mut settings, "unix:///var/run/docker.sock");
        assert_eq!(handed_to(&settings), Some("unix:///var/run/docker.sock"));
        assert_eq!(TaskSettings::frozen(&settings).unwrap().memory, Some(Units(64)));
        assert!(TaskSettings::read(&settings).is_err());
    }

    #[test]
    fn every_key_is_known() {
        for key in KEYS {
            let error = TaskSettings::read(&json!({key: [[1]]})).unwrap_err();
            assert!(!error.contains("no such setting"), "{key}: {error}");
        }
    }
}
