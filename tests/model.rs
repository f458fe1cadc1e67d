//! Random edits, rows and statuses, against a small model: which jobs there must be, and which not.

mod expected;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use expected::{Job, Model};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rowcall::database::{
    Choice, ClaimedJob, Database, FinishedJob, NewAttempt, RetriedJob, Statements as _, Wish, claim,
    load_parameters, retry_jobs, settle_attempts, start_jobs,
};
use rowcall::job::{Cause, DispatcherId, Outcome, RunnerName};
use rowcall::parameters::Deadlines;
use steps::{Step, step};

use crate::support::{TestDatabase, settings_as_owner};

/// Sequences of steps; each step is followed by a comparison.
const CASES: u32 = 192;

/// A source table as the steps see it: a key of one number, a status, a size.
#[derive(Debug, Clone, Copy)]
enum Table {
    Files,
    /// Another schema, a key of two columns, a status of another name that may be null.
    Orders,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Files => "rowcall.files",
            Self::Orders => "shop.orders",
        }
    }

    fn condition(self, least: i32) -> String {
        match self {
            Self::Files => format!("$.attributes.size > {least}"),
            Self::Orders => format!("$.size > {least}"),
        }
    }

    fn insert(self, rows: &[(i32, Option<String>, Option<i32>)], on_conflict: &str) -> String {
        let values = rows.iter().map(|(key, status, size)| {
            let status = status.as_ref().map_or("null".to_owned(), |s| format!("'{s}'"));
            let size = size.map_or("null".to_owned(), |s| s.to_string());
            match self {
                Self::Files => {
                    format!("({key}, coalesce({status}, 'null'), jsonb_build_object('size', {size}::int))")
                }
                Self::Orders => format!("({key}, 'eu', {status}, {size}::int)"),
            }
        });
        let columns = match self {
            Self::Files => "id, status, attributes",
            Self::Orders => "no, region, state, size",
        };
        format!(
            "insert into {} ({columns}) values {} {on_conflict}",
            self.name(),
            values.collect::<Vec<_>>().join(", ")
        )
    }

    fn set_status(self, status: Option<&String>) -> String {
        match (self, status) {
            (Self::Files, None) => "status = 'null'".to_owned(),
            (Self::Files, Some(status)) => format!("status = '{status}'"),
            (Self::Orders, None) => "state = null".to_owned(),
            (Self::Orders, Some(status)) => format!("state = '{status}'"),
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Files => "id",
            Self::Orders => "no",
        }
    }

    fn sql(self, step: &Step, model: &Model) -> String {
        let (table, key) = (self.name(), self.key());
        let conflict = match self {
            Self::Files => "(id)",
            Self::Orders => "(no, region)",
        };
        match step {
            Step::Insert(rows) => self.insert(rows, &format!("on conflict {conflict} do nothing")),
            Step::Upsert(k, status) => {
                let set = self.set_status(status.as_ref());
                self.insert(
                    &[(*k, status.clone(), None)],
                    &format!("on conflict {conflict} do update set {set}"),
                )
            }
            Step::SetStatus(keys, status) => {
                format!(
                    "update {table} set {} where {key} = any ('{}')",
                    self.set_status(status.as_ref()),
                    list(keys)
                )
            }
            Step::SetSize(k, size) => {
                let size = size.map_or("null".to_owned(), |s| s.to_string());
                match self {
                    Self::Files => format!(
                        "update {table} set attributes = jsonb_build_object('size', {size}::int) where id = {k}"
                    ),
                    Self::Orders => format!("update {table} set size = {size} where no = {k}"),
                }
            }
            Step::Rekey(from, to) => format!(
                "update {table} set {key} = {to} where {key} = {from} and not exists (select from {table} where {key} = {to})"
            ),
            Step::Delete(k) => format!("delete from {table} where {key} = {k}"),
            Step::RolledBack(step) => format!("begin; {}; rollback", self.sql(step, model)),
            Step::PutTask(task) => {
                let condition =
                    task.larger_than.map_or("null".to_owned(), |n| format!("'{}'", self.condition(n)));
                let words = if task.observer { "null, null, null" } else { "'RUNS', 'DONE', 'BAD'" };
                format!(
                    "do $do$ begin
                     insert into rowcall.parameters (name, source_table, on_status, runner, target, condition, enabled, result_column,
                         route_order, status_running, status_succeeded, status_failed)
                     values ('{}', '{table}', '{}', 'docker', 'fake', {condition}, {}, null, {}, {words})
                     on conflict (name) do update set on_status = excluded.on_status, condition = excluded.condition,
                         enabled = excluded.enabled, route_order = excluded.route_order,
                         status_running = excluded.status_running, status_succeeded = excluded.status_succeeded,
                         status_failed = excluded.status_failed;
                     exception when check_violation then end $do$",
                    task.name, task.on_status, task.enabled, task.route_order
                )
            }
            Step::DropTask(name) => format!("delete from rowcall.parameters where name = '{name}'"),
            Step::Cancel(n) => match model.nth(*n, |job| job.state != "running") {
                Some((task, key)) => format!(
                    "select rowcall.cancel(id) from rowcall.jobs where task = '{task}' and (row_key->>'{}')::int = {key}",
                    self.key()
                ),
                None => String::new(),
            },
            Step::Rescan => format!("select rowcall.rescan('{table}')"),
            Step::Claim | Step::Finish(_) | Step::Retry(_) => String::new(),
        }
    }
}

fn list(keys: &[i32]) -> String {
    format!("{{{}}}", keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

/// A database and a pool of a daemon, for all cases.
struct World {
    db: TestDatabase,
    pool: Database,
}

impl World {
    async fn new() -> Self {
        let db = TestDatabase::new().await;
        db.run("create schema shop; create table shop.orders (no int, region text, state text, size int, primary key (region, no));
                select rowcall.watch('shop.orders', 'state'); select rowcall_internal.keep_terms(array['null'::jsonb])").await;
        let pool = Database::new(&settings_as_owner(&db.url).database).unwrap();
        Self { db, pool }
    }

    /// One sequence; the error says which step came out otherwise.
    async fn play(&self, table: Table, steps: &[Step]) -> Result<(), TestCaseError> {
        self.db
            .run("delete from rowcall.parameters; truncate rowcall.files, shop.orders, rowcall_internal.jobs, rowcall_internal.history")
            .await;
        let mut model = Model::default();
        for (i, step) in steps.iter().enumerate() {
            self.dispatch(table, step, &model).await;
            let sql = table.sql(step, &model);
            self.db.run(&sql).await;
            model.take(step);
            let jobs = self.jobs(table).await;
            prop_assert_eq!(&jobs, &model.jobs, "after step {}: {:?}\n{}", i, step, sql);
        }
        Ok(())
    }

    async fn jobs(&self, table: Table) -> BTreeMap<(String, i32), Job> {
        let sql = format!(
            "select task, (row_key->>'{}')::int, on_status, state, run_again, attempt_count, moved_at is not null from rowcall.jobs
                           where (select count(*) from rowcall.missed_rows) = 0",
            table.key()
        );
        let rows = self.db.client.query(&sql, &[]).await.unwrap();
        let states = ["pending", "waiting", "blocked", "running"];
        let job = |row: &tokio_postgres::Row| {
            let state: String = row.get(3);
            let state = states.into_iter().find(|s| *s == state).unwrap();
            (
                (row.get(0), row.get(1)),
                Job {
                    on_status: row.get(2),
                    state,
                    again: row.get(4),
                    attempts: row.get(5),
                    moved: row.get(6),
                },
            )
        };
        rows.iter().map(job).collect()
    }

    /// What dispatchers do, by their own statements.
    async fn dispatch(&self, table: Table, step: &Step, model: &Model) {
        let client = self.pool.get().await.unwrap();
        match step {
            Step::Claim => {
                let tasks = load_parameters(&client).await.unwrap();
                let tasks: Vec<_> = tasks.iter().filter(|task| task.enabled).collect();
                let ageing = Duration::from_mins(1);
                let since = (vec![f64::NEG_INFINITY; tasks.len()], vec![0; tasks.len()]);
                let wish = Wish { limit: 1000, ageing, choice: Choice::Best, with_rows: false, since };
                let mut client = self.pool.get().await.unwrap();
                let transaction = client.transaction();
                transaction.begin().await.unwrap();
                let claim = claim(&transaction, DispatcherId::new(1), &tasks, &vec![0; tasks.len()], wish)
                    .await
                    .unwrap();
                let attempts: Vec<_> = claim.taken.into_iter().map(attempt).collect();
                start_jobs(&transaction, DispatcherId::new(1), &attempts).await.unwrap();
                transaction.commit().await.unwrap();
            }
            Step::Finish(n) | Step::Retry(n) => {
                let Some((task, key)) = model.nth_running(*n) else { return };
                let sql = format!(
                    "select id, attempt_id from rowcall.jobs where task = $1 and (row_key->>'{}')::int = $2",
                    table.key()
                );
                let row = client.one(&sql, &[&task, &key]).await.unwrap();
                let (job_id, attempt_id) = (row.get(0), row.get(1));
                if matches!(step, Step::Finish(_)) {
                    let outcome = Outcome::Succeeded;
                    let finished = FinishedJob {
                        job_id,
                        attempt_id,
                        outcome,
                        cause: Cause::ExitCode,
                        message: None,
                        write_back: None,
                    };
                    settle_attempts(&client, &[], &[finished]).await.unwrap();
                } else {
                    let delay = Duration::from_hours(1);
                    let retried = RetriedJob {
                        job_id,
                        attempt_id,
                        delay,
                        failures: 1,
                        runner_failures: 0,
                        reason: None,
                    };
                    retry_jobs(&client, &[retried]).await.unwrap();
                }
            }
            _ => {}
        }
    }
}

/// The id of terms that say `null`.
const NO_TERMS: &str = "74234e98-afe7-498f-b5da-f1f36ac2d78a";

/// The attempt of a claimed job, of which nothing but the job matters here.
fn attempt(job: ClaimedJob) -> NewAttempt {
    NewAttempt {
        id: job.attempt_id,
        job_id: job.job_id,
        task: job.task,
        source_table: job.source_table,
        row_key: job.row_key,
        number: job.number,
        runner: RunnerName::Docker,
        launch_key: format!("key {}", job.attempt_id),
        token_hash: job.attempt_id.get().to_be_bytes().to_vec(),
        terms_id: NO_TERMS.to_owned(),
        rendered: None,
        deadlines: Deadlines { timeout: 1.0, launch: 1.0, heartbeat: None },
        moved_to: job.moved_to,
        concurrency_key: None,
    }
}

#[test]
fn jobs_are_those_of_the_model_after_every_step() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let tables = prop::sample::select(vec![Table::Files, Table::Orders]);
    let sequences = (tables, prop::collection::vec(step(), 1..40));
    let outcome =
        TestRunner::new(config).run(&sequences, |(table, steps)| runtime.block_on(world.play(table, &steps)));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
