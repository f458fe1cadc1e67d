//! Walks of the model of launches (`tests/protocol`) on Postgres, each step by the statements that do it in the daemon: after each the database
//! must say what the model says.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rowcall::database::{
    Choice, ClaimedJob, Database, EndedAttempt, FinishedJob, NewAttempt, NewDispatcher, RetriedJob,
    RowWriting, Session, Statements, Wish, Writing, Written, claim, dispatcher_seen, load_parameters,
    lock_for_settling, mark_launched, mark_obsolete, promote_waiting, register_dispatcher, rescue_attempts,
    retry_jobs, settle_attempts, start_jobs, write_back,
};
use rowcall::job::{
    AttemptId, Completion, DispatcherId, End, Facts, Launched, Next, Policy, RetryOn, RowWrite, RunnerName,
    settle,
};
use rowcall::parameters::{Deadlines, Frozen};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{TestDatabase, settings_as_owner};

/// Those of the model with the most attempts.
const MAX_ATTEMPTS: i32 = 2;
const MAX_RUNNER_FAILURES: i32 = 2;

const LEASE: Duration = Duration::from_secs(45);

/// One walk.
struct Replay<'a> {
    db: &'a TestDatabase,
    pool: &'a Database,
    terms_id: &'a str,
    row: i64,
    dispatchers: [DispatcherId; 2],
    attempts: Vec<AttemptId>,
}

#[tokio::test]
async fn postgres_is_where_the_model_is_after_every_step() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let pool = Database::new(&settings_as_owner(&db.url).database).unwrap();
    let terms_id = keep_terms(&db).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol/walks.txt");
    let walks = std::fs::read_to_string(file).unwrap();
    let (mut replay, mut number, mut steps) = (None, "", 0);
    for line in walks.lines() {
        if line.starts_with("walk ") {
            replay = Some(Replay::begin(&db, &pool, &terms_id).await);
            number = line;
            continue;
        }
        let (step, wanted) = line.split_once(": ").unwrap();
        let replay = replay.as_mut().unwrap();
        replay.step(step).await;
        assert_eq!(replay.picture().await, wanted, "{number}, after {step}");
        steps += 1;
    }
    assert!(steps > 500, "{steps} steps");
}

/// The terms of all attempts here; returns their id.
async fn keep_terms(db: &TestDatabase) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/v1.json");
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut terms = Frozen::read(&all["process"]).unwrap().terms(false);
    let words = &mut terms["write_back"];
    for (name, value) in [
        ("expected", json!(["PROCESSING"])),
        ("status_succeeded", json!("PROCESSED")),
        ("status_failed", json!("ERROR")),
        ("result_column", json!("attributes")),
    ] {
        words[name] = value;
    }
    let keep = "select rowcall_internal.keep_terms(array[$1::jsonb])";
    db.client.execute(keep, &[&terms]).await.unwrap();
    db.one_with("select id::text from rowcall_internal.terms where terms = $1", &[&terms]).await
}

async fn register(client: &Session) -> DispatcherId {
    let new = NewDispatcher {
        host: "here",
        runners: &[RunnerName::Docker],
        places: &[String::new()],
        dead_after: LEASE,
        lost_after: LEASE,
    };
    register_dispatcher(client, &new).await.unwrap().id
}

/// As a runner that finds out the token would have it.
fn token(id: AttemptId) -> String {
    format!("{id}.of-the-test")
}

impl<'a> Replay<'a> {
    async fn begin(db: &'a TestDatabase, pool: &'a Database, terms_id: &'a str) -> Self {
        db.run(
            "truncate rowcall_internal.jobs, rowcall_internal.attempts, rowcall_internal.ended_attempts, rowcall_internal.history;
             delete from rowcall_internal.dispatchers",
        )
        .await;
        let row = db.one("insert into rowcall.files default values returning id::bigint").await;
        let client = pool.get().await.unwrap();
        let dispatchers = [register(&client).await, register(&client).await];
        Self { db, pool, terms_id, row, dispatchers, attempts: Vec::new() }
    }

    async fn step(&mut self, step: &str) {
        let words: Vec<&str> = step.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        match words[0] {
            "claim" => self.claim(self.dispatchers[number(1)]).await,
            "note" => {
                let launched = [(self.attempts[number(2)], Launched::running("there"))];
                mark_launched(&self.pool.get().await.unwrap(), &launched).await.unwrap();
            }
            "start" => {
                let start = "select rowcall.task_start($1, executor => $2)";
                self.call(start, &[&token(self.attempts[number(1)]), &words[2]]).await;
            }
            "report" => {
                let succeed = "select rowcall.task_succeed($1, null)";
                self.call(succeed, &[&token(self.attempts[number(1)])]).await;
            }
            "settle" => {
                let end = End::exited(words[3].parse().unwrap());
                self.settle(self.dispatchers[number(1)], self.attempts[number(2)], &end).await;
            }
            "lose" => {
                let end = End::lost("it cannot be seen any more");
                self.settle(self.dispatchers[number(1)], self.attempts[number(2)], &end).await;
            }
            "beat" => {
                let client = self.pool.get().await.unwrap();
                let d = &mut self.dispatchers[number(1)];
                if dispatcher_seen(&client, *d, LEASE, false).await.unwrap().is_none() {
                    // Others were told that it is gone: it starts anew.
                    *d = register(&client).await;
                }
            }
            "adopt" => self.adopt(self.dispatchers[number(1)]).await,
            "move" => {
                self.db
                    .run(&format!("update rowcall.files set status = 'DELETED' where id = {}", self.row))
                    .await;
            }
            "silence" => self.silence(self.dispatchers[number(1)]).await,
            "die" => {
                self.silence(self.dispatchers[number(1)]).await;
                self.dispatchers[number(1)] = register(&self.pool.get().await.unwrap()).await;
            }
            other => panic!("no step {other}"),
        }
        // What waits to be tried again is due at once.
        let mut client = self.pool.get().await.unwrap();
        let transaction = client.transaction();
        transaction.begin().await.unwrap();
        promote_waiting(&transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// A call of a task; what it is refused is in the picture.
    async fn call(&self, sql: &str, values: &[&(dyn tokio_postgres::types::ToSql + Sync)]) {
        if let Err(error) = self.db.client.query(sql, values).await {
            let code = error.code().unwrap_or_else(|| panic!("{sql}: {error:?}")).code();
            assert!(code.starts_with("RC"), "{sql}: {error:?}");
        }
    }

    async fn silence(&self, dispatcher: DispatcherId) {
        let silence =
            "update rowcall_internal.dispatchers set seen_at = now() - interval '1 hour' where id = ";
        self.db.run(&format!("{silence}{dispatcher}")).await;
    }

    async fn claim(&mut self, dispatcher: DispatcherId) {
        let mut client = self.pool.get().await.unwrap();
        let tasks = load_parameters(&client).await.unwrap();
        let tasks: Vec<_> = tasks.iter().collect();
        let wish = Wish {
            limit: 10,
            ageing: Duration::from_mins(1),
            choice: Choice::Best,
            with_rows: false,
            since: (vec![f64::NEG_INFINITY], vec![0]),
        };
        let transaction = client.transaction();
        transaction.begin().await.unwrap();
        let claim = claim(&transaction, dispatcher, &tasks, &[0], wish).await.unwrap();
        let (mut started, mut obsolete) = (Vec::new(), Vec::new());
        for job in claim.taken {
            let mut expected = job.expected_before.clone();
            expected.push(job.on_status.clone());
            let row = writing(&job.row_key, &expected, "PROCESSING");
            let written = write_back(&transaction, job.source_table, None, &[row], Writing::Onward).await;
            match written.unwrap()[..] {
                [Written::Written] => started.push(self.attempt(job)),
                [Written::Moved] => obsolete.push((job.job_id, "the row moved on".to_owned())),
                ref other => panic!("{other:?}"),
            }
        }
        start_jobs(&transaction, dispatcher, &started).await.unwrap();
        mark_obsolete(&transaction, &obsolete).await.unwrap();
        transaction.commit_after_users().await.unwrap();
        self.attempts.extend(started.iter().map(|attempt| attempt.id));
    }

    fn attempt(&self, job: ClaimedJob) -> NewAttempt {
        NewAttempt {
            id: job.attempt_id,
            job_id: job.job_id,
            task: job.task,
            source_table: job.source_table,
            row_key: job.row_key,
            number: job.number,
            runner: RunnerName::Docker,
            launch_key: format!("key-{}", job.attempt_id),
            token_hash: Sha256::digest(token(job.attempt_id)).to_vec(),
            terms_id: self.terms_id.to_owned(),
            rendered: None,
            deadlines: Deadlines { timeout: 3600.0, launch: 3600.0, heartbeat: None },
            moved_to: job.moved_to,
            concurrency_key: None,
        }
    }

    /// As the settler does it, for one attempt.
    async fn settle(&self, dispatcher: DispatcherId, id: AttemptId, end: &End) {
        let mut client = self.pool.get().await.unwrap();
        let transaction = client.transaction();
        transaction.begin().await.unwrap();
        let open = lock_for_settling(&transaction, dispatcher, &[id]).await.unwrap();
        for open in open {
            let policy = Policy {
                max_attempts: MAX_ATTEMPTS,
                backoff: 0.0,
                backoff_max: 0.0,
                retry_on: RetryOn::default(),
            };
            let expected = ["PROCESSING".to_owned()];
            let facts = Facts {
                end,
                report: open.report.as_ref(),
                stop: None,
                moved_to: open.moved_to.as_deref(),
                moved_by_task: open.moved_by_task,
                expected: &expected,
                again: open.again,
                status_succeeded: Some("PROCESSED"),
                status_failed: Some("ERROR"),
                status_runner_failed: None,
                policy: &policy,
                completion: Completion::Exit,
                failures: open.failures,
                runner_failures: open.runner_failures,
                max_runner_failures: MAX_RUNNER_FAILURES,
            };
            let settlement = settle(&facts, 0.5);
            let status = match settlement.row {
                RowWrite::Succeeded => Some("PROCESSED"),
                RowWrite::Failed => Some("ERROR"),
                RowWrite::None => None,
            };
            if let Some(status) = status.filter(|_| !open.row_written) {
                let row = writing(&open.row_key, &expected, status);
                write_back(&transaction, open.source_table, None, &[row], Writing::Onward).await.unwrap();
            }
            let ended = EndedAttempt {
                id,
                outcome: settlement.outcome,
                cause: settlement.cause,
                exit_code: end.exit_code,
                reason: settlement.message.clone(),
                output: None,
                result: None,
                external_id: None,
                ago: Duration::ZERO,
                launched: None,
            };
            let (mut finished, mut retried) = (Vec::new(), Vec::new());
            match settlement.next {
                Next::Finish => finished.push(FinishedJob {
                    job_id: open.job_id,
                    attempt_id: id,
                    outcome: settlement.outcome,
                    cause: settlement.cause,
                    message: None,
                    write_back: None,
                }),
                Next::Retry(_) => retried.push(RetriedJob {
                    job_id: open.job_id,
                    attempt_id: id,
                    delay: Duration::ZERO,
                    failures: settlement.failures,
                    runner_failures: settlement.runner_failures,
                    reason: None,
                }),
            }
            retry_jobs(&transaction, &retried).await.unwrap();
            settle_attempts(&transaction, &[ended], &finished).await.unwrap();
        }
        transaction.commit_after_users().await.unwrap();
    }

    async fn adopt(&self, dispatcher: DispatcherId) {
        let client = self.pool.get().await.unwrap();
        let free = [RunnerName::Docker];
        // None of its own is to be adopted: those it follows.
        rescue_attempts(&client, dispatcher, LEASE, &free, (&[], &[]), &self.attempts, false).await.unwrap();
    }

    /// In the model's words.
    async fn picture(&self) -> String {
        let at = |id: Option<AttemptId>| {
            id.and_then(|id| self.attempts.iter().position(|known| *known == id)).unwrap_or(usize::MAX)
        };
        let client = self.pool.get().await.unwrap();
        let key = json!({ "id": self.row });
        let job = "select state::text, attempt_id from rowcall_internal.jobs where row_key = $1";
        let job = client.opt(job, &[&key]).await.unwrap();
        let job = match job.map(|row| (row.get::<_, String>(0), row.get::<_, Option<i64>>(1))) {
            None => "over".to_owned(),
            Some((state, id)) if state == "running" => format!("running {}", at(id.map(AttemptId::new))),
            Some((state, _)) => state,
        };
        let status: String =
            self.db.one_with("select status from rowcall.files where id = $1", &[&self.row]).await;
        let mut text = format!("{job}, row {status}");
        let attempts = "select ended_at is not null, dispatcher_id, executor is not null, report is not null
            from rowcall.attempts where row_key = $1 order by id";
        for row in client.rows(attempts, &[&key]).await.unwrap() {
            let by = row.get::<_, Option<i64>>(1).map(DispatcherId::new);
            let holder = match (row.get(0), self.dispatchers.iter().position(|d| Some(*d) == by)) {
                (true, _) => "ended".to_owned(),
                (false, Some(d)) => format!("of {d}"),
                (false, None) => "of one that is gone".to_owned(),
            };
            let admitted = if row.get(2) { ", admitted" } else { "" };
            let reported = if row.get(3) { ", reported" } else { "" };
            let _ = write!(text, "; {holder}{admitted}{reported}");
        }
        text
    }
}

fn writing(key: &Value, expected: &[String], status: &str) -> RowWriting {
    RowWriting {
        key: key.clone(),
        expected: expected.to_vec(),
        version: None,
        external_id: None,
        status: Some(status.to_owned()),
        merge: None,
        task: "task".to_owned(),
        notify_channel: None,
    }
}
