//! The request of an attempt: frozen before any runner hears of it, and read by whichever dispatcher goes on with it.
//!
//! The table `terms` holds what it has in common with others, each different one once, the column `attempts.rendered` the rest, and
//! `rowcall.attempts.request` shows the whole. A change of any struct here makes a new version: raise [`VERSION`], keep the
//! golden file of the old one in `tests/frozen`, and let [`Frozen::read`] turn the old form into the new.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::job::{Completion, OnMoved, Outcome, Policy, RunnerName};

/// The form that this program writes.
pub const VERSION: u64 = 1;

/// Everything that is known of an attempt when its job is claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// [`VERSION`] of the program that wrote it.
    pub version: u64,
    /// For the runner.
    pub launch: LaunchSpec,
    /// For the settler: how hard to try.
    pub policy: Policy,
    /// For the settler: where status and result go.
    pub write_back: WriteBack,
}

/// What a runner is asked to run: the same bytes at every repetition of a launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// Where it runs.
    pub runner: RunnerName,
    /// Program, image, task definition, function.
    pub target: String,
    /// The runner's own settings.
    pub settings: Value,
    /// Arguments.
    pub command: Vec<String>,
    /// Variables, without the contract's own.
    pub environment: BTreeMap<String, String>,
    /// Free values: returned by `task_start`, and part of a function's event.
    pub values: Value,
    /// What counts as success; a runner that cannot wait for a report refuses to promise one.
    pub completion: Completion,
}

impl LaunchSpec {
    /// Of an attempt of which nothing but its runner is known. It cannot be launched; a program under its launch key can
    /// still be ended and forgotten.
    #[must_use]
    pub fn unread(runner: RunnerName) -> Self {
        Self {
            runner,
            target: String::new(),
            settings: Value::Object(serde_json::Map::new()),
            command: Vec::new(),
            environment: BTreeMap::new(),
            values: Value::Null,
            completion: Completion::Report,
        }
    }
}

/// What the write-back needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteBack {
    /// A jsonb column, if results are written.
    #[serde(deserialize_with = "Option::deserialize")]
    pub result_column: Option<String>,
    /// The task owns no status: its result goes into the row whatever the row's status, under `results.<task>`.
    pub observer: bool,
    /// Statuses in which the row is still this attempt's to write.
    pub expected: Vec<String>,
    /// Status after success; none leaves it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub status_succeeded: Option<String>,
    /// Status after final failure; none leaves it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub status_failed: Option<String>,
    /// The same where the failure is not the task's; none takes `status_failed`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub status_runner_failed: Option<String>,
    /// The program finds its rows by their status, and sets the running one itself.
    pub running_by_task: bool,
    /// What becomes of the attempt when a user moves its row on.
    pub on_moved: OnMoved,
    /// Where the statuses written are announced.
    #[serde(deserialize_with = "Option::deserialize")]
    pub notify_channel: Option<String>,
}

/// Why a frozen request cannot be read. Ends the sentence "its frozen request cannot be read: ".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Written by nothing that this program knows.
    #[error("it has no version")]
    NoVersion,
    /// Written by a newer program.
    #[error("it has version {0}, and this dispatcher reads version {VERSION}")]
    Version(u64),
    /// It has the right version and another form.
    #[error("{place}: {reason}")]
    Form {
        /// The member.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Frozen {
    /// Reads what was written down, also by an earlier version of this program.
    pub fn read(request: &Value) -> Result<Self, Unreadable> {
        match request.get("version").and_then(Value::as_u64) {
            None => Err(Unreadable::NoVersion),
            Some(VERSION) => read(request),
            Some(other) => Err(Unreadable::Version(other)),
        }
    }

    /// What it has in common with the requests of other attempts of its task: all but what is rendered with a row. That is left empty, so
    /// that the terms can be read as a request. `renders_settings`: whether the settings are, too.
    #[must_use]
    pub fn terms(&self, renders_settings: bool) -> Value {
        // Maps with string keys, and nothing that could fail. If it did, reading it back would say so.
        let mut terms = serde_json::to_value(self).unwrap_or_default();
        let launch = &mut terms["launch"];
        launch["command"] = json!([]);
        launch["environment"] = json!({});
        if renders_settings {
            launch["settings"] = json!({});
        }
        terms
    }

    /// The rest: members of the launch that replace the empty ones of the terms. None where that changes nothing.
    #[must_use]
    pub fn rendered(&self, renders_settings: bool) -> Option<Value> {
        let LaunchSpec { command, environment, settings, .. } = &self.launch;
        let mut rendered = Map::new();
        if !command.is_empty() {
            rendered.insert("command".to_owned(), json!(command));
        }
        if !environment.is_empty() {
            rendered.insert("environment".to_owned(), json!(environment));
        }
        if renders_settings {
            rendered.insert("settings".to_owned(), settings.clone());
        }
        (!rendered.is_empty()).then_some(Value::Object(rendered))
    }
}

impl WriteBack {
    /// Writes nothing: there is no status in which the row would be this attempt's.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            result_column: None,
            observer: false,
            expected: Vec::new(),
            status_succeeded: None,
            status_failed: None,
            status_runner_failed: None,
            running_by_task: false,
            on_moved: OnMoved::Finish,
            notify_channel: None,
        }
    }

    /// The status that tells of a failure of this kind.
    #[must_use]
    pub fn status_of(&self, failure: Outcome) -> Option<&String> {
        let by_runner = matches!(failure, Outcome::RunnerFailed | Outcome::Lost);
        self.status_runner_failed.as_ref().filter(|_| by_runner).or(self.status_failed.as_ref())
    }

    /// That of a request which cannot be read as a whole, if at least this part can.
    #[must_use]
    pub fn read(request: &Value) -> Option<Self> {
        read(request.get("write_back")?).ok()
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Unreadable> {
    serde_path_to_error::deserialize(value)
        .map_err(|e| Unreadable::Form { place: e.path().to_string(), reason: e.into_inner().to_string() })
}
