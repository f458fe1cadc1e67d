//! A cancelled job leaves no row behind in a status that nobody will ever end.

use crate::support::{Running, TestDatabase};
use rowcall::job::{End, JobId};

/// A job that waits for its retry, its row in PROCESSING.
async fn between_two_attempts() -> (TestDatabase, Running, JobId) {
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
             from rowcall.history h order by settled_at desc limit 1)) from rowcall.files f",
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
    db.run("update rowcall.jobs set state = 'blocked', reason = 'x', blocked_at = now()").await;
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
async fn many_are_cancelled_at_once_with_a_line_for_each() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; update rowcall.files set status = 'X' where id = 3").await.unwrap();
    let cancelled: String = db
        .one("select string_agg(concat_ws(' ', cancelled::text, problem), ', ' order by cancelled, problem) from rowcall.cancel(
              array(select id from rowcall.jobs where row_key->>'id' <> '2') || 999::bigint, 'enough')")
        .await;
    assert_eq!(cancelled, "false another session holds the job or its row; try again, false, true");
    holder.batch_execute("rollback").await.unwrap();
    let rest = "select count(*) from rowcall.cancel(array(select id from rowcall.jobs where row_key->>'id' <> '2'), 'enough') where cancelled";
    assert_eq!(db.one::<i64>(rest).await, 1);
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
