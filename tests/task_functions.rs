//! The task's side: what a token allows, and what it no longer allows.

use crate::support::{Launched, Running, TestDatabase};
use rowcall::job::End;

/// A launched attempt for a file with id 1.
async fn launched(more: (&str, &str)) -> (TestDatabase, Running, Launched) {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", more).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    // Written down a moment later; that must not look like a change made by a refused call.
    db.until("select launched_at is not null from rowcall.attempts").await;
    (db, running, launched)
}

/// Calls a task function whose first argument is the token; code and message where it refuses.
async fn call(db: &TestDatabase, launched: &Launched, call: &str) -> Result<String, String> {
    let sql =
        format!("select x::text from rowcall.{} x", call.replace("$1", &format!("'{}'", launched.token)));
    match db.client.query_one(&sql, &[]).await {
        Ok(row) => Ok(row.get::<_, Option<String>>(0).unwrap_or_default()),
        Err(error) => {
            let error = error.as_db_error().unwrap();
            Err(format!("{} {}", error.code().code(), error.message()))
        }
    }
}

/// Every call that a token allows.
const CALLS: [&str; 5] = [
    "task_start($1)",
    "task_progress($1, 0.5)",
    "task_succeed($1, '{}')",
    "task_fail($1, 'no')",
    "task_snooze($1, '1 s')",
];

/// All that a stale caller could change, as text.
async fn state(db: &TestDatabase) -> String {
    db.one(
        "select concat((select string_agg(a::text, ' ' order by id) from rowcall.attempts a),
            (select string_agg(j::text, ' ') from rowcall.jobs j), (select string_agg(f::text, ' ') from rowcall.files f))",
    )
    .await
}

async fn refused_everywhere(db: &TestDatabase, launched: &Launched, code: &str) {
    let before = state(db).await;
    for function in CALLS {
        let error = call(db, launched, function).await.expect_err(function);
        assert!(error.starts_with(code), "{function}: {error}");
    }
    assert_eq!(state(db).await, before);
}

#[tokio::test]
async fn start_admits_one_executor_and_hands_it_its_work() {
    let (db, running, launched) = launched(("\"values\"", r#"'{"bucket": "b"}'"#)).await;
    let work = db
        .client
        .query_one(
            "select *, row_data->>'status' as status from rowcall.task_start($1, 'host 7')",
            &[&launched.token],
        )
        .await
        .unwrap();
    assert_eq!(work.get::<_, i32>("attempt"), 1);
    assert_eq!(work.get::<_, &str>("source_table"), "rowcall.files");
    assert_eq!(work.get::<_, serde_json::Value>("row_key").to_string(), r#"{"id":1}"#);
    assert_eq!(work.get::<_, serde_json::Value>("values").to_string(), r#"{"bucket":"b"}"#);
    assert_eq!(work.get::<_, &str>("status"), "PROCESSING");
    call(&db, &launched, "task_start($1, 'host 7')").await.expect("the first answer may have been lost");
    for other in ["task_start($1, 'host 8')", "task_start($1)"] {
        let error = call(&db, &launched, other).await.unwrap_err();
        assert!(error.starts_with("RC003"), "{error}");
    }
    assert_eq!(db.one::<String>("select executor from rowcall.attempts").await, "host 7");
    running.stop().await;
}

#[tokio::test]
async fn an_executor_without_a_name_is_admitted_once() {
    let (db, _running, launched) = launched(("", "")).await;
    call(&db, &launched, "task_start($1)").await.unwrap();
    assert!(call(&db, &launched, "task_start($1)").await.unwrap_err().starts_with("RC003"));
}

#[tokio::test]
async fn a_wrong_token_changes_nothing() {
    let (db, running, mut launched) = launched(("", "")).await;
    for wrong in ["", "x", "' or true --", &launched.token.to_lowercase(), &format!("{} ", launched.token)] {
        launched.token = wrong.replace('\'', "''");
        refused_everywhere(&db, &launched, "RC001").await;
    }
    let null = db.refused("select rowcall.task_succeed(null)").await;
    assert!(null.starts_with("RC001"), "{null}");
    running.stop().await;
}

#[tokio::test]
async fn the_token_of_an_ended_attempt_changes_nothing() {
    let (db, running, launched) = launched(("", "")).await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    db.run("update rowcall.files set status = 'PROCESSING'").await;
    refused_everywhere(&db, &launched, "RC001").await;
    running.stop().await;
}

#[tokio::test]
async fn a_superseded_attempts_token_changes_nothing_of_its_successor() {
    let (db, mut running, launched) = launched(("backoff", "'1 ms'")).await;
    running.end(&launched, End::exited(1));
    let second = running.launch().await;
    assert_eq!(second.attempt.number, 2);
    assert_ne!(second.token, launched.token);
    db.until("select count(*) = 1 from rowcall.attempts where launched_at is not null and ended_at is null")
        .await;
    refused_everywhere(&db, &launched, "RC001").await;
    assert_eq!(call(&db, &second, "task_succeed($1)").await.unwrap(), "written");
    running.stop().await;
}

#[tokio::test]
async fn an_attempt_that_is_being_stopped_is_told_to_leave() {
    let (db, running, launched) = launched(("", "")).await;
    db.run("update rowcall_internal.attempts set stop_requested = 'by hand', stop_cause = 'cancelled', dispatcher_id = -1").await;
    refused_everywhere(&db, &launched, "RC002").await;
    running.dispatcher.abandon();
}

#[tokio::test]
async fn success_is_written_at_once_and_in_the_callers_transaction() {
    let (db, running, launched) = launched(("", "")).await;
    db.run(&format!(
        "begin; create table output (n int); select rowcall.task_succeed('{}', '{{\"n\": 1}}'); rollback",
        launched.token
    ))
    .await;
    assert_eq!(db.one::<String>("select concat(status, attributes) from rowcall.files").await, "PROCESSING");
    assert_eq!(call(&db, &launched, "task_succeed($1, '{\"n\": 2}')").await.unwrap(), "written");
    let row = "select concat_ws(' ', status, attributes) from rowcall.files";
    assert_eq!(db.one::<String>(row).await, r#"PROCESSED {"result": {"n": 2}}"#);
    assert_eq!(call(&db, &launched, "task_succeed($1, '{\"n\": 3}')").await.unwrap(), "written");
    for late in ["task_fail($1, 'no')", "task_snooze($1, '1 s')"] {
        assert!(call(&db, &launched, late).await.unwrap_err().starts_with("RC004"));
    }
    running.end(&launched, End::exited(9));
    db.until("select outcome = 'SUCCEEDED' and message = 'succeeded, then exit code 9' from rowcall.history")
        .await;
    assert_eq!(db.one::<String>(row).await, r#"PROCESSED {"result": {"n": 2}}"#);
    running.stop().await;
}

#[tokio::test]
async fn success_after_a_failure_is_refused() {
    let (db, running, launched) = launched(("", "")).await;
    call(&db, &launched, "task_fail($1, 'no', retry => false)").await.unwrap();
    call(&db, &launched, "task_fail($1, 'once more')").await.unwrap();
    let error = call(&db, &launched, "task_succeed($1)").await.unwrap_err();
    assert_eq!(error, "RC004 rowcall: this attempt has reported already: failed");
    running.end(&launched, End::exited(0));
    db.until("select status = 'ERROR' and attributes->>'message' = 'no' from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn results_are_bounded() {
    let (db, running, launched) = launched(("", "")).await;
    let deep = "task_succeed($1, (repeat('[', 102) || repeat(']', 102))::jsonb)";
    let error = call(&db, &launched, deep).await.unwrap_err();
    assert_eq!(
        error,
        "54000 rowcall.task_succeed: the result has more than 100 levels of arrays and objects"
    );
    let error = call(&db, &launched, "task_succeed($1, to_jsonb(repeat('x', 1048576)))").await.unwrap_err();
    assert_eq!(error, "54000 rowcall.task_succeed: the result has 1048578 bytes; 1048576 are allowed");
    assert_eq!(
        call(&db, &launched, "task_succeed($1, to_jsonb(repeat('x', 1048574)))").await.unwrap(),
        "written"
    );
    running.stop().await;
}

#[tokio::test]
async fn progress_is_a_heartbeat_with_bounds() {
    let (db, running, launched) = launched(("", "")).await;
    for fraction in ["-0.01", "1.01", "'NaN'"] {
        let error = call(&db, &launched, &format!("task_progress($1, {fraction})")).await.unwrap_err();
        assert!(error.starts_with("22023") && error.contains("is not from 0 to 1"), "{error}");
    }
    assert!(db.one::<bool>("select heartbeat_at is null from rowcall.attempts").await);
    for (function, seen) in [
        ("task_progress($1, 0, 'begun')", "0 begun"),
        ("task_progress($1)", "0 begun"),
        ("task_progress($1, 1)", "1 begun"),
        ("task_progress($1, null, repeat('y', 2000))", &format!("1 {}", "y".repeat(1000))),
    ] {
        call(&db, &launched, function).await.unwrap();
        assert_eq!(
            db.one::<String>("select progress || ' ' || progress_message from rowcall.attempts").await,
            seen
        );
    }
    assert!(db.one::<bool>("select heartbeat_at is not null from rowcall.attempts").await);
    running.stop().await;
}

#[tokio::test]
async fn a_failure_may_refuse_its_retry() {
    let (db, mut running, launched) = launched(("backoff", "'1 ms'")).await;
    call(&db, &launched, "task_fail($1, 'try again', '{\"line\": 3}')").await.unwrap();
    running.end(&launched, End::exited(0));
    let second = running.launch().await;
    assert_eq!(db.one::<String>("select concat(status, attributes) from rowcall.files").await, "PROCESSING");
    call(&db, &second, "task_fail($1, 'no such file', retry => false)").await.unwrap();
    running.end(&second, End::exited(0));
    db.until("select status = 'ERROR' from rowcall.files").await;
    let message: String = db.one("select attributes->>'message' from rowcall.files").await;
    assert_eq!(message, "no such file (attempt 2 of 3)");
    running.stop().await;
}

#[tokio::test]
async fn a_snooze_comes_back_without_spending_an_attempt() {
    let (db, mut running, launched) = launched(("max_attempts", "1")).await;
    for bad in ["'-1 second'", "'2 years'", "null"] {
        assert!(
            call(&db, &launched, &format!("task_snooze($1, {bad})")).await.unwrap_err().starts_with("22023")
        );
    }
    call(&db, &launched, "task_snooze($1, '10 ms', 'not there yet')").await.unwrap();
    running.end(&launched, End::exited(0));
    let second = running.launch().await;
    assert_eq!((second.attempt.number, db.one::<i32>("select failures from rowcall.jobs").await), (2, 0));
    running.end(&second, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn a_bare_update_by_the_task_settles_its_job() {
    for (status, code, outcome) in [("PROCESSED", 1, "SUCCEEDED"), ("ERROR", 0, "TASK_FAILED")] {
        let (db, running, launched) = launched(("", "")).await;
        db.run(&format!("update rowcall.files set status = '{status}', attributes = '{{\"mine\": 1}}'"))
            .await;
        running.end(&launched, End::exited(code));
        db.until("select count(*) = 1 from rowcall.history").await;
        assert_eq!(db.one::<String>("select outcome from rowcall.history").await, outcome);
        let row: String = db.one("select status || attributes from rowcall.files").await;
        assert_eq!(row, format!("{status}{{\"mine\": 1}}"));
        assert_eq!((db.jobs("loader").await, running.world.distinct_launches()), (0, 1));
        running.stop().await;
    }
}

#[tokio::test]
async fn success_for_a_held_row_is_written_when_the_row_is_free() {
    let (db, mut running, launched) = launched(("", "")).await;
    let holder = db.connect().await;
    holder.batch_execute("begin; update rowcall.files set last_update = now()").await.unwrap();
    db.run("set lock_timeout = '10s'").await;
    assert_eq!(call(&db, &launched, "task_succeed($1, '{\"n\": 1}')").await.unwrap(), "locked");
    running.end(&launched, End::exited(0));
    db.run("insert into rowcall.files (id) values (2)").await;
    let other = running.launch().await;
    running.end(&other, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files where id = 2").await;
    assert_eq!(db.one::<String>("select status from rowcall.files where id = 1").await, "PROCESSING");
    holder.batch_execute("commit").await.unwrap();
    db.until(
        "select status = 'PROCESSED' and attributes->'result'->>'n' = '1' from rowcall.files where id = 1",
    )
    .await;
    running.stop().await;
}

#[tokio::test]
async fn whatever_the_task_says_is_stored_as_it_was_said() {
    let text = "'); drop table rowcall.files; -- \"$1\" \\ %s {{ row.id }} $$ ü\u{1F600}\n\tend";
    let (db, mut running, launched) = launched(("max_attempts", "1")).await;
    let result = serde_json::json!({ text: text });
    db.one_with::<String>("select rowcall.task_succeed($1, $2)", &[&launched.token, &result]).await;
    assert_eq!(db.one::<serde_json::Value>("select attributes->'result' from rowcall.files").await, result);
    running.end(&launched, End::exited(0));
    db.run("insert into rowcall.files (id) values (2)").await;
    let second = running.launch().await;
    db.client.execute("select rowcall.task_progress($1, 0.1, $2)", &[&second.token, &text]).await.unwrap();
    db.client
        .execute("select rowcall.task_fail($1, $2, $3)", &[&second.token, &text, &result])
        .await
        .unwrap();
    running.end(&second, End::exited(1));
    db.until("select status = 'ERROR' from rowcall.files where id = 2").await;
    let said: Vec<String> = db
        .one(
            "select array[attributes->>'message', a.message, a.progress_message, h.message] from rowcall.files f,
             rowcall.attempts a, rowcall.history h where f.id = 2 and a.row_key = '{\"id\": 2}' and h.row_key = a.row_key",
        )
        .await;
    assert_eq!(said, [text; 4]);
    running.stop().await;
}

#[tokio::test]
async fn a_failure_beside_the_task_spends_no_attempt() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("max_attempts", "1")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    let call = |kind: &str| {
        format!(
            "select rowcall.task_fail('{}', 'the licence server is away', kind => {kind})",
            launched.token
        )
    };
    let refused = db.refused(&call("'server'")).await;
    assert!(refused.contains("kind must be task or runner, and is \"server\""), "{refused}");
    db.run(&call("'runner'")).await;
    // An answer may have been lost.
    db.run(&call("'runner'")).await;
    running.end(&launched, End::exited(1));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    let told: String = db
        .one("select concat_ws(' ', j.failures, j.runner_failures, a.outcome, a.cause, a.reason) from rowcall.jobs j join rowcall.attempts a on a.job_id = j.id")
        .await;
    assert_eq!(told, "0 1 RUNNER_FAILED reported the licence server is away");
    running.stop().await;
}
