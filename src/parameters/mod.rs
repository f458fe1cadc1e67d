//! `rowcall.parameters` in the daemon: what a row says, kept in memory, rendered per job.

mod frozen;
mod render;
mod template;

use serde_json::Value;

use crate::job::{Completion, OnMoved, Policy, RunnerName};

pub use frozen::{Frozen, LaunchSpec, Unreadable, VERSION, WriteBack};
pub use render::{JobContext, render, render_key, unrendered};
pub use template::{Context, Template, literally};

/// One row of `rowcall.parameters`, its settings merged over the defaults of its runner.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The key.
    pub name: String,
    /// Counts its edits.
    pub version: i32,
    /// Whether new claims are allowed.
    pub enabled: bool,
    /// The source table, as an OID.
    pub source_table: u32,
    /// The status that asks for this task.
    pub on_status: String,
    /// Where the trigger announces that status.
    pub channel: String,
    /// Name of the runner.
    pub runner: RunnerName,
    /// What the runner shall run; its own form.
    pub target: String,
    /// The runner's own settings.
    pub settings: Value,
    /// Templates of the arguments.
    pub command: Vec<String>,
    /// Templates of environment variables, as an object.
    pub environment: Value,
    /// Free values for templates and for the task.
    pub values: Value,
    /// How hard to try.
    pub policy: Policy,
    /// What counts as success.
    pub completion: Completion,
    /// How long to wait for what.
    pub deadlines: Deadlines,
    /// Jobs of this task that may run at once, everywhere.
    pub max_running: Option<i32>,
    /// Higher is claimed first.
    pub priority: i16,
    /// Template of what jobs are counted by, beside the task.
    pub concurrency_key: Option<String>,
    /// Jobs with the same concurrency key that may run at once, everywhere.
    pub max_running_per_key: i32,
    /// The loop of statuses that it is part of: two edits at the same moment can close one that neither sees.
    pub status_loop: Option<String>,
    /// Where status and result go.
    pub write_back: WriteBackColumns,
    /// What of it this program cannot read, which its jobs are blocked for.
    pub unreadable: Option<String>,
}

impl Task {
    /// Whether its jobs are taken by one claimer after the other, because they are counted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.max_running.is_some() || self.concurrency_key.is_some()
    }
}

/// Deadlines of an attempt, in seconds; the database's clock measures them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deadlines {
    /// From launch to end.
    pub timeout: f64,
    /// From claim to launch.
    pub launch: f64,
    /// Between two heartbeats, once the task has begun to send them.
    pub heartbeat: Option<f64>,
}

/// The "write back" columns of a parameters row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct WriteBackColumns {
    pub running: Option<String>,
    /// `status_running_by` is `task`: the program writes it, and looks for its rows by `on_status`.
    pub running_by_task: bool,
    /// What becomes of the task when a user moves its row on.
    pub on_moved: OnMoved,
    pub succeeded: Option<String>,
    pub failed: Option<String>,
    pub runner_failed: Option<String>,
    pub result_column: Option<String>,
    /// Where written statuses are announced.
    pub notify_channel: Option<String>,
}

impl WriteBackColumns {
    /// Whether the task names no status at all: it runs beside the owner of its row, and writes results only.
    #[must_use]
    pub fn is_observer(&self) -> bool {
        [&self.running, &self.succeeded, &self.failed, &self.runner_failed].iter().all(|word| word.is_none())
    }
}
