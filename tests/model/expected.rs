//! The model: which jobs there must be, in as few words as possible.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{Step, Task};

/// A job's state and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub on_status: String,
    pub state: &'static str,
    pub again: bool,
    pub attempts: i32,
    /// A user moved the row on since, and that asked for no run of this task.
    pub moved: bool,
}

/// Everything that decides which jobs there are.
#[derive(Debug, Default)]
pub struct Model {
    rows: BTreeMap<i32, (Option<String>, Option<i32>)>,
    tasks: BTreeMap<String, Task>,
    pub jobs: BTreeMap<(String, i32), Job>,
    /// Tasks and rows that have a past run; a rescan leaves them alone.
    ran: BTreeSet<(String, i32)>,
}

impl Model {
    /// What a step does.
    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Insert(rows) => {
                let new: Vec<_> = rows.iter().filter(|(key, ..)| !self.rows.contains_key(key)).collect();
                for (key, status, size) in &new {
                    self.rows.insert(*key, (status.clone(), *size));
                }
                for (key, ..) in new {
                    self.ask(*key);
                }
            }
            Step::Upsert(key, status) => {
                if self.rows.contains_key(key) {
                    self.take(&Step::SetStatus(vec![*key], status.clone()));
                } else {
                    self.take(&Step::Insert(vec![(*key, status.clone(), None)]));
                }
            }
            Step::SetStatus(keys, status) => {
                for key in keys {
                    if let Some(row) = self.rows.get_mut(key)
                        && row.0 != *status
                    {
                        row.0.clone_from(status);
                        self.moved(*key);
                        self.ask(*key);
                    }
                }
            }
            Step::SetSize(key, size) => {
                if let Some(row) = self.rows.get_mut(key) {
                    row.1 = *size;
                }
            }
            Step::Rekey(from, to) => {
                if from != to
                    && !self.rows.contains_key(to)
                    && let Some(row) = self.rows.remove(from)
                {
                    self.rows.insert(*to, row);
                    self.moved(*to);
                    self.ask(*to);
                }
            }
            Step::Delete(key) => {
                self.rows.remove(key);
            }
            Step::RolledBack(_) => {}
            Step::PutTask(task) => {
                if !self.leaves_one_unreachable(task) {
                    self.tasks.insert(task.name.clone(), task.clone());
                }
            }
            Step::DropTask(name) => {
                self.tasks.remove(name);
            }
            Step::Claim => self.claim(),
            Step::Finish(n) => {
                if let Some(id) = self.nth_running(*n) {
                    self.ran.insert(id.clone());
                    match self.jobs.get_mut(&id) {
                        Some(job) if job.again => {
                            (job.state, job.again, job.attempts, job.moved) = ("pending", false, 0, false);
                        }
                        _ => drop(self.jobs.remove(&id)),
                    }
                }
            }
            Step::Retry(n) => {
                if let Some(job) = self.nth_running(*n).and_then(|id| self.jobs.get_mut(&id)) {
                    job.state = "waiting";
                }
            }
            Step::Cancel(n) => {
                if let Some(id) = self.nth(*n, |job| job.state != "running")
                    && self.jobs.remove(&id).is_some()
                {
                    // What was cancelled stays cancelled.
                    self.ran.insert(id);
                }
            }
            Step::Rescan => {
                for (key, wish) in self
                    .rows
                    .keys()
                    .flat_map(|key| self.wishes(*key).into_iter().map(|w| (*key, w)))
                    .collect::<Vec<_>>()
                {
                    let id = (wish.0, key);
                    if !self.ran.contains(&id) && !self.owned_by_another(&id.0, key, &wish.1) {
                        self.jobs.entry(id).or_insert_with(|| fresh(wish.1));
                    }
                }
            }
        }
    }

    /// The nth running job that may be settled: one whose row asked again is finished, never retried.
    pub fn nth_running(&self, n: usize) -> Option<(String, i32)> {
        self.nth(n, |job| job.state == "running")
    }

    /// The nth job of some kind.
    pub fn nth(&self, n: usize, kind: impl Fn(&Job) -> bool) -> Option<(String, i32)> {
        let such: Vec<_> = self.jobs.iter().filter(|(_, job)| kind(job)).map(|(id, _)| id.clone()).collect();
        such.get(n % such.len().max(1)).cloned()
    }

    /// A user gave the row another status: what runs is no longer asked for, unless it is asked for anew.
    fn moved(&mut self, key: i32) {
        for ((task, row), job) in &mut self.jobs {
            if *row == key {
                // An observer runs whatever the status.
                job.again &= self.tasks.get(task).is_none_or(|task| task.observer);
                job.moved = true;
            }
        }
    }

    /// The tasks that a row asks for as it is now: its observers, and one owner.
    fn wishes(&self, key: i32) -> Vec<(String, String)> {
        let (status, size) = &self.rows[&key];
        let wanted = |task: &&Task| {
            status.as_ref() == Some(&task.on_status)
                && task.larger_than.is_none_or(|least| size.is_some_and(|size| size > least))
        };
        let (mut asked, mut owners): (Vec<_>, Vec<_>) =
            self.tasks.values().filter(wanted).partition(|task| task.observer);
        owners.sort_by_key(|task| (!task.enabled, task.route_order, &task.name));
        asked.extend(owners.first());
        asked.iter().map(|task| (task.name.clone(), task.on_status.clone())).collect()
    }

    /// Everything that may start starts.
    fn claim(&mut self) {
        for ((task, _), job) in &mut self.jobs {
            if job.state == "pending" && self.tasks.get(task).is_some_and(|t| t.enabled) {
                (job.state, job.again, job.moved) = ("running", false, false);
                job.attempts += 1;
            }
        }
    }

    /// Whether the edit is refused: the first of two owners on a status takes every row that the other could have.
    fn leaves_one_unreachable(&self, task: &Task) -> bool {
        let shadows = |first: &Task, later: &Task| {
            (first.route_order, &first.name) < (later.route_order, &later.name)
                && (first.larger_than.is_none() || first.larger_than == later.larger_than)
        };
        let others =
            self.tasks.values().filter(|other| other.name != task.name && other.on_status == task.on_status);
        task.enabled
            && !task.observer
            && others
                .filter(|other| other.enabled && !other.observer)
                .any(|other| shadows(other, task) || shadows(task, other))
    }

    /// Whether a rescan leaves a row to another owner's job.
    fn owned_by_another(&self, task: &str, key: i32, status: &str) -> bool {
        let owner = |name: &str| self.tasks.get(name).is_some_and(|task| !task.observer);
        owner(task)
            && self.jobs.iter().any(|((other, row), job)| {
                *row == key && other != task && job.on_status == status && owner(other)
            })
    }

    fn ask(&mut self, key: i32) {
        for (task, status) in self.wishes(key) {
            let job = self.jobs.entry((task, key)).or_insert_with(|| fresh(status.clone()));
            job.on_status = status;
            if job.state == "running" {
                job.again = true;
            } else {
                (job.state, job.again, job.moved) = ("pending", false, false);
            }
        }
    }
}

fn fresh(on_status: String) -> Job {
    Job { on_status, state: "pending", again: false, attempts: 0, moved: false }
}
