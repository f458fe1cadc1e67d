//! What a test does to clusters, definitions and tasks.

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::super::{ScriptedAws, merge, text};
use super::Task;

impl ScriptedAws {
    /// A cluster besides `jobs`.
    pub fn add_cluster(&self, name: &str) {
        self.change(|state| state.ecs.clusters.insert(name.to_owned()));
    }

    /// Registers one more revision of a family and returns its ARN. Unless changed: awsvpc, Fargate, no roles,
    /// one essential container with the family's name.
    pub fn define(&self, family: &str, change: Value) -> String {
        self.change(|state| state.ecs.define(family, change))
    }

    /// A definition that can be described but no longer run.
    pub fn deactivate(&self, definition: &str) {
        self.change(|state| {
            state.ecs.definition_mut(definition).expect(definition)["status"] = json!("INACTIVE");
        });
    }

    /// Every task that ever really existed, in the order of their launches.
    pub fn tasks(&self) -> Vec<Task> {
        self.state().ecs.tasks.clone()
    }

    /// How many of them are so, without a copy.
    pub fn count_tasks(&self, so: impl Fn(&Task) -> bool) -> usize {
        self.state().ecs.tasks.iter().filter(|task| so(task)).count()
    }

    /// One of them.
    pub fn task(&self, arn: &str) -> Task {
        self.state().ecs.task_mut(arn).clone()
    }

    /// Moves a task to `PENDING`, `RUNNING`, `DEPROVISIONING`, ...
    pub fn advance_task(&self, arn: &str, state: &str) {
        self.change(|all| {
            let now = all.ecs.now;
            all.ecs.task_mut(arn).advance(state, now);
        });
    }

    /// Ends a task as its container's exit does.
    pub fn finish(&self, arn: &str, exit_code: i32) {
        self.change(|all| {
            let now = all.ecs.now;
            all.ecs.task_mut(arn).finish(exit_code, now);
        });
    }

    /// Ends a task in whatever way: stopped, without stop code, reason and exit code unless given.
    pub fn stop_task(&self, arn: &str, how: impl FnOnce(&mut Value)) {
        self.change(|all| {
            let now = all.ecs.now;
            let task = all.ecs.task_mut(arn);
            task.advance("STOPPED", now);
            how(&mut task.body);
        });
    }

    /// Ends a task before any of its containers ran.
    pub fn fail_to_start(&self, arn: &str, reason: &str) {
        self.stop_task(arn, |task| {
            task["stopCode"] = json!("TaskFailedToStart");
            task["stoppedReason"] = json!(reason);
            let task = task.as_object_mut().unwrap();
            for time in ["startedAt", "executionStoppedAt"] {
                task.remove(time);
            }
        });
    }

    /// Changes what is told of a task; null removes a member, lists are replaced.
    pub fn patch(&self, arn: &str, change: Value) {
        self.change(|state| merge(&mut state.ecs.task_mut(arn).body, change));
    }

    /// So many `DescribeTasks` from now on answer MISSING.
    pub fn miss(&self, arn: &str, times: u32) {
        self.change(|state| state.ecs.task_mut(arn).missing = times);
    }

    /// So many `DescribeTasks` from now on have it in neither list.
    pub fn leave_out(&self, arn: &str, times: u32) {
        self.change(|state| state.ecs.task_mut(arn).absent = times);
    }

    /// So many `ListTasks` from now on do not list it.
    pub fn unlist(&self, arn: &str, times: u32) {
        self.change(|state| state.ecs.task_mut(arn).unlisted = times);
    }

    /// Whether tasks run from their first `DescribeTasks` on.
    pub fn auto_run(&self, yes: bool) {
        self.change(|state| state.ecs.auto_run = yes);
    }

    /// Whether tasks that were asked to stop wait for the test; if not, the next `DescribeTasks` finds them so.
    pub fn hold_stops(&self, yes: bool) {
        self.change(|state| state.ecs.hold_stops = yes);
    }

    /// All ghosts become tasks.
    pub fn let_ghosts_appear(&self) {
        self.change(|state| {
            for (_, ghost) in std::mem::take(&mut state.ecs.ghosts) {
                state.ecs.add(ghost);
            }
        });
    }

    /// The one body of all `RunTask` calls with a token, and how often it came; panics if they differ in a byte.
    pub fn repeated(&self, client_token: &str) -> (Bytes, usize) {
        let mut calls = self.calls("RunTask");
        calls.retain(|call| text(&call.json(), "clientToken") == client_token);
        let first = calls.first().unwrap_or_else(|| panic!("no RunTask with {client_token}")).body.clone();
        for call in &calls {
            assert_eq!(String::from_utf8_lossy(&call.body), String::from_utf8_lossy(&first));
        }
        (first, calls.len())
    }
}
