//! A cancelled job leaves no row behind in a status that nobody will ever end.

use crate::support::{Running, TestDatabase};
use rowcall::job::End;

/// A job that waits for its retry, its row in PROCESSING.
async fn between_two_attempts() -> (TestDatabase, Running, i64) {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff, backoff_max", "'1 h', '1 h'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id, attributes) values (1, '{\"path\": \"x\"}')").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(3));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    (db, running, launched.attempt.job_id)
}

/// Status and attributes of the row, and what the history says of the write.
async fn became(db: &TestDatabase) -> String {
    db.one(
        "select concat_ws(' ', f.status, f.attributes, (select concat_ws(' ', h.outcome, h.message, h.write_back)
             from rowcall.history h order by settled desc limit 1)) from rowcall.files f",
    )
    .await
}

#[tokio::test]
async fn a_row_between_two_attempts_gets_the_failed_status() {
    let (db, running, job) = between_two_attempts().await;
    assert!(db.one::<bool>(&format!("select rowcall.cancel({job}, 'not wanted')")).await);
    assert_eq!(
        became(&db).await,
        r#"ERROR {"path": "x", "message": "not wanted", "outcome": "CANCELLED"} CANCELLED not wanted"#
    );
    assert!(!db.one::<bool>(&format!("select rowcall.cancel({job})")).await);
    running.stop().await;
}

#[tokio::test]
async fn a_blocked_job_with_an_attempt_behind_it_does_so_too() {
    let (db, running, job) = between_two_attempts().await;
    db.run("update rowcall.jobs set state = 'blocked', reason = 'x', blocked = now()").await;
    db.run(&format!("select rowcall.cancel({job})")).await;
    assert_eq!(
        became(&db).await,
        r#"ERROR {"path": "x", "message": "cancelled", "outcome": "CANCELLED"} CANCELLED cancelled"#
    );
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_somebody_moved_on_stays_where_it_is() {
    let (db, running, job) = between_two_attempts().await;
    db.run("update rowcall.files set status = 'ARCHIVED'").await;
    db.run(&format!("select rowcall.cancel({job})")).await;
    assert_eq!(became(&db).await, r#"ARCHIVED {"path": "x"} CANCELLED cancelled moved"#);
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_was_never_started_stays_as_it_is() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files default values; select rowcall.cancel(id) from rowcall.jobs").await;
    assert_eq!(became(&db).await, "REGISTERED CANCELLED cancelled");
    // Nor one that somebody had run from another status.
    db.run(
        "update rowcall.files set status = 'PROCESSED'; select rowcall.run('loader', 'rowcall.files', id) from rowcall.files;
         select rowcall.cancel(id) from rowcall.jobs",
    )
    .await;
    assert_eq!(became(&db).await, "PROCESSED CANCELLED cancelled");
}

#[tokio::test]
async fn where_another_job_will_end_it_the_row_is_left_to_that() {
    for (sibling, ended) in [("'REGISTERED', 0", false), ("'OTHER', 1", false), ("'OTHER', 0", true)] {
        let (db, running, job) = between_two_attempts().await;
        db.run(&format!(
            r#"insert into rowcall.jobs (task, source_table, row_key, state, reason, on_status, attempts)
               values ('sibling', 'rowcall.files', '{{"id": 1}}', 'blocked', 'x', {sibling})"#
        ))
        .await;
        db.run(&format!("select rowcall.cancel({job})")).await;
        let now: String = db.one("select status from rowcall.files").await;
        assert_eq!(now, if ended { "ERROR" } else { "PROCESSING" }, "{sibling}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_row_that_a_sibling_started_gets_this_tasks_failed_status() {
    let (db, running, job) = between_two_attempts().await;
    // As two tasks on one status leave it: the sibling has ended, the row stands in its running status.
    db.task("second", "REGISTERED", ("status_failed", "'SECOND_FAILED'")).await;
    db.run(&format!(
        r#"insert into rowcall.history (job_id, task, source_table, row_key, on_status, outcome, attempts, created)
           values ({job}, 'loader', 'rowcall.files', '{{"id": 1}}', 'REGISTERED', 'SUCCEEDED', 1, now() - interval '1 minute');
           delete from rowcall.jobs;
           insert into rowcall.jobs (task, source_table, row_key, on_status, left_in)
           values ('second', 'rowcall.files', '{{"id": 1}}', 'REGISTERED', 'PROCESSING');
           select rowcall.cancel(id, 'enough') from rowcall.jobs"#
    ))
    .await;
    let now: String = db.one("select concat_ws(' ', status, attributes) from rowcall.files").await;
    assert_eq!(now, r#"SECOND_FAILED {"path": "x", "message": "enough", "outcome": "CANCELLED"}"#);
    running.stop().await;
}

#[tokio::test]
async fn many_are_cancelled_at_once_and_counted() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
    let cancelled: i64 = db.one("select rowcall.cancel(array(select id from rowcall.jobs where row_key->>'id' <> '2') || 999, 'enough')").await;
    assert_eq!(cancelled, 2);
    assert_eq!(
        db.one::<String>("select string_agg(message, ' ') from rowcall.history").await,
        "enough enough"
    );
    assert_eq!(db.jobs("loader").await, 1);
}

#[tokio::test]
async fn a_row_in_somebodys_hands_is_waited_for() {
    let (db, running, job) = between_two_attempts().await;
    let holder = db.connect().await;
    holder.batch_execute("begin; update rowcall.files set attributes = '{\"path\": \"y\"}'").await.unwrap();
    let refused =
        db.refused(&format!("set lock_timeout = '100ms'; select rowcall.cancel({job}, 'not wanted')")).await;
    assert!(refused.starts_with("55P03"), "{refused}");
    assert_eq!(db.jobs("loader").await, 1, "it waits for the row, and has done nothing yet");
    holder.batch_execute("commit").await.unwrap();
    db.run(&format!("select rowcall.cancel({job}, 'not wanted')")).await;
    assert_eq!(
        became(&db).await,
        r#"ERROR {"path": "y", "message": "not wanted", "outcome": "CANCELLED"} CANCELLED not wanted"#
    );
    running.stop().await;
}

#[tokio::test]
async fn the_last_of_several_tasks_writes_that_another_was_cancelled() {
    let db = TestDatabase::new().await;
    db.task(
        "first",
        "REGISTERED",
        ("backoff, backoff_max, priority, status_failed", "'1 h', '1 h', 5, 'FIRST_FAILED'"),
    )
    .await;
    db.task("second", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let (one, other) = (running.launch().await, running.launch().await);
    let (first, second) = if one.attempt.task == "first" { (one, other) } else { (other, one) };
    running.end(&first, End::exited(3));
    db.until("select state = 'waiting' from rowcall.jobs where task = 'first'").await;
    db.run("select rowcall.cancel(id, 'enough') from rowcall.jobs where task = 'first'").await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "PROCESSING");
    running.end(&second, End::exited(0));
    db.until("select count(*) = 0 from rowcall.jobs").await;
    let row: String = db.one("select concat_ws(' ', status, attributes) from rowcall.files").await;
    assert_eq!(row, r#"FIRST_FAILED {"message": "enough", "outcome": "CANCELLED"}"#);
    running.stop().await;
}

#[tokio::test]
async fn a_channel_hears_of_the_failed_status() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff, backoff_max, notify_channel", "'1 h', '1 h', 'files_done'"))
        .await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(3));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    let (listener, ear) = crate::ear::Ear::open(&db).await;
    listener.batch_execute("listen files_done").await.unwrap();
    db.run("select rowcall.cancel(id) from rowcall.jobs").await;
    ear.until("files_done").await;
    let heard = ear.payloads().concat();
    assert!(heard.contains(r#""status": "ERROR""#) && heard.contains(r#""task": "loader""#), "{heard}");
    running.stop().await;
}
