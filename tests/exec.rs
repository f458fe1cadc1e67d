//! `rowcall-task exec`: a program that knows nothing of Rowcall gets a start, heartbeats, and a report.

mod calls;
mod database_away;
mod documented;
mod first_process_on_docker;
mod left_behind;
mod on_ecs;
mod stopping;
mod telling;

use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowcall::job::End;
use serde_json::Value;
use tokio::process::Child;

use crate::conformance::{Case, Process};
use crate::support::{Fifo, Launched, Running, TestDatabase, rowcall_task, settings};

/// An attempt that waits for its executor.
struct Attempt {
    db: TestDatabase,
    running: Running,
    launched: Launched,
    place: tempfile::TempDir,
}

impl Attempt {
    async fn new(more: (&str, &str)) -> Self {
        let db = TestDatabase::new().await;
        db.task("task", "REGISTERED", more).await;
        let mut settings = settings(&db.url);
        // Calls after the report are what some tests are about.
        settings.dispatcher.report_grace = Duration::from_mins(1);
        let mut running = Running::with(settings, Arc::default()).await;
        db.run("insert into rowcall.files default values").await;
        let launched = running.launch().await;
        db.until("select launched_at is not null from rowcall.attempts").await;
        Self { db, running, launched, place: tempfile::tempdir().unwrap() }
    }

    fn spawn_at(&self, url: &str, options: &[&str], program: &[&str]) -> Child {
        rowcall_task(&self.launched.token, url, options, program).spawn().unwrap()
    }

    /// Starts a shell script under `rowcall-task exec`.
    fn spawn(&self, options: &[&str], script: &str) -> Child {
        self.spawn_at(&self.db.url, options, &["sh", "-c", script])
    }

    async fn run(&self, script: &str) -> Output {
        self.spawn(&[], script).wait_with_output().await.unwrap()
    }

    fn fifo(&self, name: &str) -> Fifo {
        Fifo::new(self.place.path(), name)
    }

    /// What the database heard: report, retry, message.
    async fn report(&self) -> String {
        self.db
            .one("select concat_ws(' ', report, 'retry ' || retry, message) from rowcall.attempts order by id limit 1")
            .await
    }

    /// Ends the attempt as its runner would see it.
    async fn end(self, exit_code: i32) -> TestDatabase {
        self.running.end(&self.launched, End::exited(exit_code));
        self.db.until("exists (select from rowcall.attempts where ended_at is not null)").await;
        self.running.stop().await;
        self.db
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_json_object_on_the_last_line_is_the_result() {
    let attempt = Attempt::new(("", "")).await;
    let done = attempt.run(r#"echo working; echo '{"n": 1}'; echo '{"n": 2, "ü": [null]}'; echo"#).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "working\n{\"n\": 1}\n{\"n\": 2, \"ü\": [null]}\n\n");
    assert_eq!(attempt.report().await, "succeeded");
    // Written at the report, before the runner has seen the end.
    let row: Value = attempt.db.one("select jsonb_build_array(status, attributes) from rowcall.files").await;
    assert_eq!(row, serde_json::json!(["PROCESSED", { "result": { "n": 2, "ü": [null] } }]));
    let db = attempt.end(0).await;
    assert_eq!(db.one::<String>("select outcome from rowcall.history").await, "SUCCEEDED");
}

#[tokio::test]
async fn success_needs_no_result() {
    let attempt = Attempt::new(("completion", "'report'")).await;
    let done = attempt.run("echo all is well").await;
    assert_eq!((done.status.code(), attempt.report().await.as_str()), (Some(0), "succeeded"));
    let db = attempt.end(0).await;
    let row: String = db.one("select concat_ws(' ', status, attributes->>'result') from rowcall.files").await;
    assert_eq!(row, "PROCESSED");
}

#[tokio::test]
async fn a_result_postgres_cannot_keep_is_a_failure_with_a_reason() {
    let attempt = Attempt::new(("", "")).await;
    let done = attempt.run(r#"echo '{"n": "\u0000"}'"#).await;
    assert_eq!(done.status.code(), Some(65));
    let report = attempt.report().await;
    assert!(report.starts_with("failed retry false the result was refused:"), "{report}");
}

#[tokio::test]
async fn a_failure_reports_the_last_line_and_passes_its_code_on() {
    let attempt = Attempt::new(("", "")).await;
    let done = attempt.run("echo out; echo 'no such bucket' >&2; exit 5").await;
    assert_eq!(done.status.code(), Some(5));
    assert_eq!((text(&done.stdout), text(&done.stderr)), ("out\n", "no such bucket\n"));
    let report = attempt.report().await;
    assert!(report.starts_with("failed retry true exit code 5: "), "{report}");
    let detail: Value = attempt.db.one("select detail from rowcall.attempts").await;
    assert_eq!(detail["exit_code"], 5);
    assert!(detail["output"].as_str().unwrap().contains("no such bucket"));
    let db = attempt.end(5).await;
    assert_eq!(db.one::<String>("select state from rowcall.jobs").await, "waiting");
}

#[tokio::test]
async fn secrets_in_a_failures_output_are_masked() {
    let attempt = Attempt::new(("", "")).await;
    attempt.run("echo $ROWCALL_DATABASE_URL $ROWCALL_TOKEN $PGPASSWORD; exit 1").await;
    assert_eq!(attempt.report().await, "failed retry true exit code 1: [masked] [masked] [masked]");
}

#[tokio::test]
async fn a_program_that_reports_by_itself_knows_best() {
    let attempt = Attempt::new(("", "")).await;
    let script = r#"psql -qAt "$ROWCALL_DATABASE_URL" -c "select rowcall.task_succeed('$ROWCALL_TOKEN', '{\"by\": \"itself\"}')" >&2
        echo '{"by": "exec"}'; exit 3"#;
    let done = attempt.run(script).await;
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(3), "written\n"));
    let db = attempt.end(3).await;
    let row: String =
        db.one("select concat_ws(' ', status, attributes->'result'->>'by') from rowcall.files").await;
    assert_eq!(row, "PROCESSED itself");

    let attempt = Attempt::new(("", "")).await;
    let script = r#"psql -qAt "$ROWCALL_DATABASE_URL" -c "select rowcall.task_fail('$ROWCALL_TOKEN', 'hopeless', null, false)""#;
    let done = attempt.run(script).await;
    assert_eq!(
        (done.status.code(), attempt.report().await.as_str()),
        (Some(0), "failed retry false hopeless")
    );
    let db = attempt.end(0).await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "ERROR");
}

#[tokio::test]
async fn heartbeats_arrive_while_the_program_runs() {
    let attempt = Attempt::new(("", "")).await;
    let gate = attempt.fifo("gate");
    let child = attempt.spawn(&["--heartbeat-interval", "50ms"], &format!("read x < {}", gate.path()));
    attempt
        .db
        .until("select heartbeat_at > started_at + interval '200 milliseconds' from rowcall.attempts")
        .await;
    gate.open().await;
    assert!(child.wait_with_output().await.unwrap().status.success());
}

#[tokio::test]
async fn a_frozen_executor_is_stopped_for_want_of_heartbeats() {
    let case = Case::<Process>::new().await;
    let (up, held) = (case.fifo("up"), case.fifo("held"));
    let gone = held.closed();
    let dispatcher = case.dispatcher().await;
    let script = format!("exec > {}; echo $PPID > {}; sleep 1000", held.path(), up.path());
    let command = ["exec", "--heartbeat-interval", "50ms", "--", "/bin/sh", "-c", &script].map(str::to_owned);
    let more = (", heartbeat_timeout", ", '1 second'");
    case.parameters(env!("CARGO_BIN_EXE_rowcall-task"), &command, more).await;
    case.db.run("insert into rowcall.files default values").await;
    let executor = Pid::from_raw(up.read().await.trim().parse().unwrap());
    kill(executor, Signal::SIGSTOP).unwrap();
    let told = case.ended().await;
    assert_eq!((told.outcome.as_str(), told.reason.as_str()), ("TIMED_OUT", "no heartbeat for 00:00:01"));
    gone.await;
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

#[tokio::test]
async fn output_passes_through_unchanged() {
    let attempt = Attempt::new(("", "")).await;
    let done = attempt.run(r"printf 'a\377\000\r\nb'; seq 1 200000; printf 'e\377' >&2").await;
    let mut expected = b"a\xff\0\r\nb".to_vec();
    expected.extend((1..=200_000).flat_map(|n| format!("{n}\n").into_bytes()));
    assert!(done.stdout == expected, "{} bytes of {}", done.stdout.len(), expected.len());
    assert_eq!(done.stderr, b"e\xff");
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_a_failure_with_a_reason() {
    for (program, code, reason) in
        [("/no/such/program", 127, "No such file"), ("/etc/passwd", 126, "Permission denied")]
    {
        let attempt = Attempt::new(("", "")).await;
        let child = attempt.spawn_at(&attempt.db.url, &[], &[program]);
        let done = child.wait_with_output().await.unwrap();
        assert_eq!(done.status.code(), Some(code));
        assert!(text(&done.stderr).contains(reason) && text(&done.stderr).contains(program));
        let report = attempt.report().await;
        assert!(report.starts_with(&format!("failed retry true cannot run {program}: {reason}")), "{report}");
    }
}
