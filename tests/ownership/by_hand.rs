//! Jobs that a person asked for: they find their row in the status that it had then.

use rowcall::job::End;

use super::{ONCE, end, row};
use crate::support::{Running, TestDatabase};

#[tokio::test]
async fn a_row_run_by_hand_and_moved_between_tries_is_left_alone() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff, backoff_max", "'1 hour', '1 hour'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id, status) values (1, 'ARCHIVED'); select rowcall.run('loader', 'rowcall.files', 1)").await;
    let first = running.launch().await;
    assert_eq!(row(&db).await, "PROCESSING");
    running.end(&first, End::exited(1));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    db.run("update rowcall.files set status = 'ARCHIVED'; update rowcall.jobs set due_at = now(); select pg_notify('rowcall_control', '')").await;
    db.until("select outcome = 'OBSOLETE' from rowcall.history").await;
    assert_eq!((row(&db).await.as_str(), running.world.distinct_launches()), ("ARCHIVED", 1));
    running.stop().await;
}

#[tokio::test]
async fn a_run_by_hand_of_a_held_row_is_put_off_and_not_lost() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ONCE).await;
    db.run("insert into rowcall.files (id, status) values (1, 'ARCHIVED'); select rowcall.run('loader', 'rowcall.files', 1)").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.files for update").await.unwrap();
    let mut running = Running::start(&db).await;
    db.until("select state = 'waiting' and reason = 'another session holds the row' from rowcall.jobs").await;
    holder.batch_execute("commit").await.unwrap();
    let launched = running.launch().await;
    end(&db, &running, &launched, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_run_by_hand_is_refused_while_another_owner_runs() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ONCE).await;
    db.task("other", "ELSEWHERE", ("", "")).await;
    db.task("observer", "ELSEWHERE", ("status_running, status_succeeded, status_failed", "null, null, null"))
        .await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let loader = running.launch().await;
    let refused = db.refused("select rowcall.run('other', 'rowcall.files', 1)").await;
    let said = r#"RC014 loader runs for the row {"id": 1} of rowcall.files now, and owns its status"#;
    assert!(refused.starts_with(said) && refused.contains("rowcall.cancel("), "{refused}");
    db.run("select rowcall.run('observer', 'rowcall.files', 1)").await;
    assert_eq!(running.launch().await.attempt.task, "observer");
    end(&db, &running, &loader, End::exited(0)).await;
    db.run("select rowcall.run('other', 'rowcall.files', 1)").await;
    let other = running.launch().await;
    assert_eq!((other.attempt.task.as_str(), row(&db).await.as_str()), ("other", "PROCESSING {}"));
    running.stop().await;
}

#[tokio::test]
async fn of_two_runs_by_hand_the_first_takes_the_row() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ONCE).await;
    db.task("other", "ELSEWHERE", ("priority", "-1")).await;
    db.run("insert into rowcall.files (id, status) values (1, 'ARCHIVED');
            select rowcall.run('loader', 'rowcall.files', 1); select rowcall.run('other', 'rowcall.files', 1)").await;
    let mut running = Running::start(&db).await;
    let loader = running.launch().await;
    db.until("select task = 'other' and outcome = 'OBSOLETE' from rowcall.history").await;
    end(&db, &running, &loader, End::exited(0)).await;
    assert_eq!((row(&db).await.as_str(), running.world.distinct_launches()), ("PROCESSED {}", 1));
    running.stop().await;
}

#[tokio::test]
async fn a_run_by_hand_is_refused_while_a_retry_has_the_row() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff, backoff_max", "'1 hour', '1 hour'")).await;
    db.task("other", "ELSEWHERE", ONCE).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let first = running.launch().await;
    running.end(&first, End::exited(1));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    assert_eq!(row(&db).await, "PROCESSING");
    let refused = db.refused("select rowcall.run('other', 'rowcall.files', 1)").await;
    let said = r#"RC014 loader waits to be tried again for the row {"id": 1} of rowcall.files now, and owns its status"#;
    assert!(refused.starts_with(said), "{refused}");
    // The row is another's by then.
    db.run("update rowcall.files set status = 'ARCHIVED'; select rowcall.run('other', 'rowcall.files', 1)")
        .await;
    assert_eq!(running.launch().await.attempt.task, "other");
    running.stop().await;
}

/// Owners whose row does not show that they run, both asked for by hand.
async fn two_quiet_owners() -> TestDatabase {
    let db = TestDatabase::new().await;
    let quiet = ("status_running, status_succeeded, priority", "null, null, 0");
    db.task("first", "REGISTERED", (quiet.0, "null, null, 1")).await;
    db.task("second", "ELSEWHERE", quiet).await;
    db.run("insert into rowcall.files (id, status) values (1, 'ARCHIVED');
            select rowcall.run('first', 'rowcall.files', 1); select rowcall.run('second', 'rowcall.files', 1)").await;
    db
}

#[tokio::test]
async fn a_second_owner_waits_though_the_row_shows_no_first() {
    let db = two_quiet_owners().await;
    let mut running = Running::start(&db).await;
    let first = running.launch().await;
    assert_eq!(first.attempt.task, "first");
    let waits =
        "select state = 'waiting' and reason = 'another task owns the status of the row until it ends'
        from rowcall.jobs where task = 'second'";
    db.until(waits).await;
    // A claim of its own finds the same, also of another dispatcher.
    let mut other = Running::start(&db).await;
    for _ in 0..2 {
        db.run("update rowcall.jobs set state = 'pending', due_at = now() where task = 'second'").await;
        running.wake(&db).await;
        db.until(waits).await;
    }
    assert!(!running.launched_more() && !other.launched_more());
    end(&db, &running, &first, End::exited(0)).await;
    db.run("update rowcall.jobs set due_at = now(); select pg_notify('rowcall_control', '')").await;
    let launched = tokio::select! { one = running.launch() => one, one = other.launch() => one };
    assert_eq!(launched.attempt.task, "second");
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn of_two_claims_one_gets_the_row_of_two_owners() {
    let db = two_quiet_owners().await;
    let ids: Vec<i64> = db.one("select array_agg(id order by id) from rowcall.jobs").await;
    let (one, other) = (db.connect().await, db.connect().await);
    let without = "select array(select rowcall_internal.jobs_without_row($1))";
    one.batch_execute("begin").await.unwrap();
    let held: Vec<i64> = one.query_one(without, &[&vec![ids[0]]]).await.unwrap().get(0);
    assert_eq!(held, Vec::<i64>::new());
    let held: Vec<i64> = other.query_one(without, &[&vec![ids[1]]]).await.unwrap().get(0);
    assert_eq!(held, [ids[1]]);
}
