//! Every attempt says in one word why it ended, in its own table, in the history, and to whoever asks.

use rowcall::job::{Cause, End};
use rowcall::runners::LaunchError;

use crate::support::{Launched, Running, TestDatabase};

/// The causes of the one attempt and of its job.
async fn causes(db: &TestDatabase) -> String {
    db.until("exists (select from rowcall.history)").await;
    db.one("select concat_ws(' ', a.outcome, a.cause, h.cause) from rowcall.attempts a, rowcall.history h")
        .await
}

/// One attempt, running.
async fn running(more: (&str, &str)) -> (TestDatabase, Running, Launched) {
    let db = TestDatabase::new().await;
    let (columns, values) = (format!("max_attempts, {}", more.0), format!("1, {}", more.1));
    db.task("task", "REGISTERED", (&columns, &values)).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    (db, running, launched)
}

const PLAIN: (&str, &str) = ("priority", "0");

#[tokio::test]
async fn a_runner_tells_the_cause_and_explain_shows_it() {
    let (db, running, launched) = running(PLAIN).await;
    running.end(&launched, End::failed("out of memory (exit code 137)").because(Cause::OutOfMemory));
    assert_eq!(causes(&db).await, "TASK_FAILED out_of_memory out_of_memory");
    let said: String =
        db.one("select string_agg(line, e'\\n') from rowcall.explain('rowcall.files', 1) line").await;
    assert!(said.contains("TASK_FAILED (out_of_memory), out of memory (exit code 137)"), "{said}");
    running.stop().await;
}

#[tokio::test]
async fn a_report_outweighs_the_cause_of_the_end() {
    let (db, running, launched) = running(PLAIN).await;
    for call in ["task_start($1)", "task_fail($1, 'no such file', retry => false)"] {
        db.client.execute(&format!("select rowcall.{call}"), &[&launched.token]).await.unwrap();
    }
    running.end(&launched, End::exited(1));
    assert_eq!(causes(&db).await, "TASK_FAILED reported reported");
    running.stop().await;
}

#[tokio::test]
async fn a_stop_has_the_cause_for_which_it_was_ordered() {
    for (column, value, outcome) in [
        ("timeout", "'100 milliseconds'", "TIMED_OUT timed_out timed_out"),
        ("heartbeat_timeout", "'1 second'", "TIMED_OUT no_heartbeat no_heartbeat"),
    ] {
        let (db, running, launched) = running((column, value)).await;
        if column == "heartbeat_timeout" {
            db.client.execute("select rowcall.task_start($1)", &[&launched.token]).await.unwrap();
        }
        assert_eq!(causes(&db).await, outcome);
        running.stop().await;
    }
    let (db, running, launched) = running(PLAIN).await;
    db.run(&format!("select rowcall.cancel({}, 'by hand')", launched.attempt.job_id)).await;
    assert_eq!(causes(&db).await, "CANCELLED cancelled cancelled");
    running.stop().await;
}

#[tokio::test]
async fn a_refused_launch_keeps_the_cause_of_its_refusal() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", PLAIN).await;
    let running = Running::start(&db).await;
    running.world.answer(|_| {
        let reason = "image loader:7 cannot be pulled: not found".to_owned();
        Err(LaunchError::Refused { reason, retryable: false, cause: Cause::Image })
    });
    db.run("insert into rowcall.files default values").await;
    assert_eq!(causes(&db).await, "RUNNER_FAILED image image");
    running.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_without_an_attempt_has_a_cause_too() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", PLAIN).await;
    db.run("insert into rowcall.files default values").await;
    db.run("select rowcall.cancel(id, 'not today') from rowcall.jobs").await;
    let settled: String = db.one("select concat_ws(' ', outcome, cause) from rowcall.history").await;
    assert_eq!(settled, "CANCELLED cancelled");
}
