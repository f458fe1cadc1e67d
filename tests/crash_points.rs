//! A daemon may be killed at any statement. One test per place, each with what it has committed by then; in all
//! of them there is one launch in the world and the right end.

use std::sync::Arc;
use std::time::Duration;

use rowcall::job::End;
use tokio::sync::Semaphore;

use crate::support::{Launched, Running, TestDatabase, World, log_to, rowcall, settings};

const HOUR: Duration = Duration::from_hours(1);

struct Crash {
    db: TestDatabase,
    world: Arc<World>,
}

impl Crash {
    async fn new(more: (&str, &str)) -> Self {
        let db = TestDatabase::new().await;
        db.task("task", "REGISTERED", more).await;
        db.run("insert into rowcall.files default values").await;
        Self { db, world: Arc::default() }
    }

    /// A dispatcher that sees no end by itself, up to its launch, as the database knows it.
    async fn doomed(&self) -> (Running, Launched) {
        let mut blind = settings(&self.db.url);
        blind.dispatcher.watch_interval = HOUR;
        let mut running = Running::with(blind, Arc::clone(&self.world)).await;
        let launched = running.launch().await;
        self.db.until("select launched_at is not null from rowcall.attempts").await;
        (running, launched)
    }

    async fn next(&self) -> Running {
        Running::with(settings(&self.db.url), Arc::clone(&self.world)).await
    }

    /// Waits until the next dispatcher follows the attempt.
    async fn adopted(&self, next: &Running) {
        self.db
            .until(&format!("select dispatcher_id = {} from rowcall.attempts", next.dispatcher.id()))
            .await;
    }

    /// The history's outcome and attempts, the row's status; after the end, with one launch in the world.
    async fn ended(&self, next: Running) -> String {
        self.db.until("exists (select from rowcall.history) and not exists (select from rowcall.jobs)").await;
        next.stop().await;
        assert_eq!(self.world.distinct_launches(), 1, "launches in the world");
        let told = "select concat_ws(' ', h.outcome, h.attempt_count, f.status) from rowcall.history h, rowcall.files f";
        self.db.one(told).await
    }
}

#[tokio::test]
async fn after_the_claim_before_the_launch() {
    let crash = Crash::new(("", "")).await;
    let gate = Arc::new(Semaphore::new(0));
    *crash.world.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let doomed = crash.next().await;
    crash.db.until("exists (select from rowcall.attempts)").await;
    doomed.dispatcher.abandon();
    *crash.world.gate.lock().unwrap() = None;
    let mut next = crash.next().await;
    let launched = next.launch().await;
    next.end(&launched, End::exited(0));
    assert_eq!(crash.ended(next).await, "SUCCEEDED 1 PROCESSED");
    drop(gate);
}

#[tokio::test]
async fn an_adopted_launch_is_held_against_the_rails() {
    let crash = Crash::new(("backoff, backoff_max", "'1 ms', '1 ms'")).await;
    *crash.world.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let doomed = crash.next().await;
    crash.db.until("exists (select from rowcall.attempts)").await;
    doomed.dispatcher.abandon();
    crash
        .db
        .run("update rowcall_internal.terms set terms = jsonb_set(terms, '{launch,target}', '\"forbidden\"')")
        .await;
    *crash.world.gate.lock().unwrap() = None;
    let mut next = crash.next().await;
    let launched = next.launch().await;
    assert_eq!((launched.attempt.number, launched.attempt.request.target.as_str()), (2, "fake"));
    next.end(&launched, End::exited(0));
    assert_eq!(crash.ended(next).await, "SUCCEEDED 2 PROCESSED");
    let told: String =
        crash.db.one("select concat_ws(' ', outcome, reason) from rowcall.attempts where number = 1").await;
    assert_eq!(told, "RUNNER_FAILED target forbidden is not among the images this dispatcher may run");
}

#[tokio::test]
async fn a_launch_key_of_another_making_reaches_no_runner() {
    let crash = Crash::new(("backoff, backoff_max", "'1 ms', '1 ms'")).await;
    let first = crash.next().await;
    crash.db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    first.dispatcher.abandon();
    crash.db.run("update rowcall_internal.attempts set launch_key = '../../etc'").await;
    let next = crash.next().await;
    crash.db.until("exists (select from rowcall.attempts where outcome = 'LOST')").await;
    next.stop().await;
    let reason: String = crash.db.one("select reason from rowcall.attempts where number = 1").await;
    assert_eq!(reason, "../../etc is no launch key of this attempt");
    assert!(crash.world.launches.lock().unwrap().iter().all(|key| key.starts_with("rowcall-")));
}

#[tokio::test]
async fn after_the_launch_before_it_is_written_down() {
    let crash = Crash::new(("", "")).await;
    let (doomed, launched) = crash.doomed().await;
    doomed.dispatcher.abandon();
    crash.db.run("update rowcall_internal.attempts set launched_at = null, external_id = null").await;
    let next = crash.next().await;
    crash.db.until("select launched_at is not null from rowcall.attempts").await;
    let key = &launched.attempt.launch_key;
    assert_eq!(*crash.world.launches.lock().unwrap(), [key.clone(), key.clone()]);
    // The token of the first launch still speaks for the attempt.
    let start = "select attempt from rowcall.task_start($1)";
    assert_eq!(crash.db.one_with::<i32>(start, &[&launched.token]).await, 1);
    next.end(&launched, End::exited(0));
    assert_eq!(crash.ended(next).await, "SUCCEEDED 1 PROCESSED");
}

#[tokio::test]
async fn after_the_end_before_anybody_saw_it() {
    let crash = Crash::new(("max_attempts", "1")).await;
    let (doomed, launched) = crash.doomed().await;
    crash.world.end(&launched.attempt, End::exited(4));
    doomed.dispatcher.abandon();
    let next = crash.next().await;
    assert_eq!(crash.ended(next).await, "TASK_FAILED 1 ERROR");
    assert_eq!(crash.db.one::<i32>("select exit_code from rowcall.attempts").await, 4);
}

#[tokio::test]
async fn after_a_report_of_failure_before_the_end() {
    let crash = Crash::new(("", "")).await;
    let (doomed, launched) = crash.doomed().await;
    let fail = "select rowcall.task_fail($1, 'hopeless', null, false)::text";
    crash.db.one_with::<String>(fail, &[&launched.token]).await;
    doomed.dispatcher.abandon();
    let next = crash.next().await;
    crash.adopted(&next).await;
    next.end(&launched, End::exited(0));
    assert_eq!(crash.ended(next).await, "TASK_FAILED 1 ERROR");
    let message: String = crash.db.one("select attributes->>'message' from rowcall.files").await;
    assert_eq!(message, "hopeless");
}

#[tokio::test]
async fn after_the_row_is_written_before_the_job_is_settled() {
    let crash = Crash::new(("", "")).await;
    let (doomed, launched) = crash.doomed().await;
    let succeed = r#"select rowcall.task_succeed($1, '{"n": 1}')"#;
    assert_eq!(crash.db.one_with::<String>(succeed, &[&launched.token]).await, "written");
    let version = "select concat_ws(' ', xmin, status, attributes) from rowcall.files";
    let written: String = crash.db.one(version).await;
    crash.world.end(&launched.attempt, End::exited(0));
    doomed.dispatcher.abandon();
    let next = crash.next().await;
    assert_eq!(crash.ended(next).await, "SUCCEEDED 1 PROCESSED");
    assert_eq!(crash.db.one::<String>(version).await, written, "written once");
}

#[tokio::test]
async fn after_a_stop_was_asked_for_before_it_is_done() {
    let crash = Crash::new(("", "")).await;
    let (doomed, launched) = crash.doomed().await;
    doomed.dispatcher.abandon();
    crash.db.run("select rowcall.cancel(id, 'not needed') from rowcall.jobs").await;
    let next = crash.next().await;
    assert_eq!(crash.ended(next).await, "CANCELLED 1 ERROR");
    let stops = crash.world.stops.lock().unwrap().clone();
    assert_eq!(stops, [(launched.attempt.id, "not needed".to_owned())]);
}

#[tokio::test]
async fn after_a_failure_before_the_retry() {
    let crash = Crash::new(("backoff", "'1 second'")).await;
    let (doomed, launched) = crash.doomed().await;
    doomed.announce(&launched, End::exited(1));
    crash.db.until("select state = 'waiting' from rowcall.jobs").await;
    doomed.dispatcher.abandon();
    let mut next = crash.next().await;
    let again = next.launch().await;
    assert_eq!(again.attempt.number, 2);
    next.end(&again, End::exited(0));
    crash
        .db
        .until("exists (select from rowcall.history where outcome = 'SUCCEEDED' and attempt_count = 2)")
        .await;
    assert_eq!(crash.world.launches.lock().unwrap().len(), 2);
    next.stop().await;
}

#[tokio::test]
async fn killed_again_and_again_every_program_runs_exactly_once() {
    const ROWS: i64 = 60;
    let db = TestDatabase::new().await;
    let place = tempfile::tempdir().unwrap();
    let ran = place.path().join("ran");
    // Each takes a moment, so that a kill finds some under way.
    let script = format!("sleep 0.1; echo $0 >> {}", ran.display());
    let insert = "insert into rowcall.parameters (name, on_status, runner, target, command)
        values ('task', 'REGISTERED', 'process', '/bin/sh', array['-c', $1, '{{ row.id }}'])";
    db.client.execute(insert, &[&script]).await.unwrap();
    db.run(&format!("insert into rowcall.files select from generate_series(1, {ROWS})")).await;
    let serve = || {
        let mut command = rowcall(&db.url, &place.path().join("state"));
        log_to(&mut command, place.path());
        command.args(["--log-level", "debug", "serve"]).spawn().unwrap()
    };
    let mut kills = 0;
    // The moments follow the work: a claim, a launch, an end, and what comes right after them.
    for moment in [
        "exists (select from rowcall.attempts)",
        "exists (select from rowcall.attempts where launched_at is not null and ended_at is null)",
        "(select count(*) from rowcall.history) >= 10",
        "exists (select from rowcall.attempts where launched_at is null and ended_at is null)",
        "(select count(*) from rowcall.history) >= 30",
        "(select count(*) from rowcall.history) >= 40",
    ] {
        let mut daemon = serve();
        db.until(&format!("select {moment} or not exists (select from rowcall.jobs)")).await;
        daemon.kill().await.unwrap();
        kills += i32::from(db.one::<bool>("select exists (select from rowcall.jobs)").await);
    }
    let mut last = serve();
    db.until(&format!("select count(*) = {ROWS} from rowcall.history")).await;
    last.kill().await.unwrap();
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    let mut rows: Vec<i64> =
        std::fs::read_to_string(&ran).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!(rows, (1..=ROWS).collect::<Vec<_>>(), "{log}");
    let processed = "select count(*) from rowcall.files where status = 'PROCESSED'";
    assert_eq!(db.one::<i64>(processed).await, ROWS);
    assert!(kills >= 4 && log.contains("adopted from a dispatcher that is gone"), "{kills} kills\n{log}");
}
