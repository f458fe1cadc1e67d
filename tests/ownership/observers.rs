//! Observers: tasks without status words. They run beside the owner, and write results only.

use rowcall::job::End;

use super::{ONCE, end, row};
use crate::support::{Launched, Running, TestDatabase};

/// A task without status words, that does not retry.
const OBSERVER: (&str, &str) =
    ("max_attempts, status_running, status_succeeded, status_failed", "1, null, null, null");

/// An owner, an observer, and a row for which both run.
async fn both() -> (TestDatabase, Running, Launched, Launched) {
    let db = TestDatabase::new().await;
    db.task("file_loader", "REGISTERED", ONCE).await;
    db.task("broadcast", "REGISTERED", OBSERVER).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let (one, other) = (running.launch().await, running.launch().await);
    let (loader, broadcast) = if one.attempt.task == "file_loader" { (one, other) } else { (other, one) };
    assert_eq!((broadcast.attempt.task.as_str(), row(&db).await.as_str()), ("broadcast", "PROCESSING"));
    (db, running, loader, broadcast)
}

async fn succeed(db: &TestDatabase, launched: &Launched, result: &str) -> String {
    db.one(&format!("select rowcall.task_succeed('{}', '{result}')", launched.token)).await
}

#[tokio::test]
async fn a_loader_and_a_broadcast_on_one_status_end_in_any_order() {
    for broadcast_first in [true, false] {
        let (db, running, loader, broadcast) = both().await;
        let mut ends = [(&loader, r#"{"rows": 3}"#), (&broadcast, r#"{"sent": 2}"#)];
        if broadcast_first {
            ends.reverse();
        }
        for (launched, result) in ends {
            assert_eq!(succeed(&db, launched, result).await, "written");
            end(&db, &running, launched, End::exited(0)).await;
        }
        let wanted = r#"PROCESSED {"result": {"rows": 3}, "results": {"broadcast": {"sent": 2}}}"#;
        assert_eq!(row(&db).await, wanted);
        running.stop().await;
    }
}

#[tokio::test]
async fn ends_that_come_together_are_all_written() {
    let (db, running, loader, broadcast) = both().await;
    running.end(&loader, End::exited(0));
    running.end(&broadcast, End::exited(1));
    db.until("select count(*) = 2 from rowcall.history").await;
    let wanted =
        r#"PROCESSED {"results": {"broadcast": {"message": "exit code 1", "outcome": "TASK_FAILED"}}}"#;
    assert_eq!(row(&db).await, wanted, "its failure is not the row's");
    running.stop().await;
}

#[tokio::test]
async fn an_observer_runs_after_the_owner_moved_the_row_on() {
    let db = TestDatabase::new().await;
    db.task("file_loader", "REGISTERED", ONCE).await;
    db.task("broadcast", "REGISTERED", OBSERVER).await;
    db.run("update rowcall.parameters set enabled = false where name = 'broadcast'").await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let loader = running.launch().await;
    end(&db, &running, &loader, End::exited(0)).await;
    db.run("update rowcall.files set status = 'ARCHIVED'; update rowcall.parameters set enabled = true")
        .await;
    let broadcast = running.launch().await;
    end(&db, &running, &broadcast, End::exited(0)).await;
    assert_eq!(row(&db).await, "ARCHIVED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_success_that_says_nothing_does_not_touch_the_row() {
    let db = TestDatabase::new().await;
    db.task("broadcast", "REGISTERED", OBSERVER).await;
    db.run("insert into rowcall.files (id) values (1), (2)").await;
    let untouched = "select string_agg(concat(xmin, xmax, status, attributes), ' ') from rowcall.files";
    let before: String = db.one(untouched).await;
    let mut running = Running::start(&db).await;
    for _ in 0..2 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    let ends =
        "select count(*) = 2 and bool_and(outcome = 'SUCCEEDED' and write_back is null) from rowcall.history";
    db.until(ends).await;
    assert_eq!(db.one::<String>(untouched).await, before);
    running.stop().await;
}

#[tokio::test]
async fn an_observer_of_a_deleted_row_ends_obsolete() {
    let db = TestDatabase::new().await;
    db.task("broadcast", "REGISTERED", OBSERVER).await;
    db.run("insert into rowcall.files (id) values (1); delete from rowcall.files").await;
    let running = Running::start(&db).await;
    db.until("select outcome = 'OBSOLETE' and message = 'the row was deleted' from rowcall.history").await;
    running.stop().await;
}

#[tokio::test]
async fn an_observer_runs_once_more_for_a_row_that_asks_again() {
    let (db, mut running, loader, broadcast) = both().await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    for launched in [&loader, &broadcast] {
        end(&db, &running, launched, End::exited(0)).await;
    }
    let mut tasks = [running.launch().await.attempt.task, running.launch().await.attempt.task];
    tasks.sort();
    assert_eq!(tasks, ["broadcast", "file_loader"]);
    running.stop().await;
}

#[tokio::test]
async fn a_wish_of_an_observer_outlives_a_move_of_the_row() {
    let (db, mut running, loader, broadcast) = both().await;
    db.run("update rowcall.files set status = 'REGISTERED'; update rowcall.files set status = 'ARCHIVED'")
        .await;
    for launched in [&loader, &broadcast] {
        end(&db, &running, launched, End::exited(0)).await;
    }
    assert_eq!(running.launch().await.attempt.task, "broadcast");
    running.beats(&db).await;
    assert!(!running.launched_more(), "the owner's wish is gone with the status");
    running.stop().await;
}

#[tokio::test]
async fn a_result_replaces_an_older_failure_and_leaves_other_results() {
    let (db, mut running, loader, broadcast) = both().await;
    db.run(r#"update rowcall.files set attributes = '{"results": {"other": 1}}'"#).await;
    end(&db, &running, &broadcast, End::exited(1)).await;
    end(&db, &running, &loader, End::exited(0)).await;
    db.run(&format!("select rowcall.retry({})", broadcast.attempt.job_id)).await;
    let again = running.launch().await;
    assert_eq!(again.attempt.task, "broadcast");
    end(&db, &running, &again, End::exited(0)).await;
    assert_eq!(row(&db).await, r#"PROCESSED {"results": {"other": 1}}"#);
    running.stop().await;
}

#[tokio::test]
async fn a_users_own_results_are_not_overwritten() {
    let db = TestDatabase::new().await;
    let own = r#"{"results": {"broadcast": {"outcome": "fine"}}}"#;
    let merged: String = db
        .one_with("select rowcall_internal.merge_results($1::text::jsonb, 'broadcast', '{}')::text", &[&own])
        .await;
    assert_eq!(merged, own, "no outcome of ours");

    let (db, running, loader, broadcast) = both().await;
    db.run(r#"update rowcall.files set attributes = '{"results": "mine"}'"#).await;
    end(&db, &running, &broadcast, End::exited(1)).await;
    let said: String = db.one("select write_back from rowcall.history").await;
    assert!(said.contains(r#"the result column holds a string as "results""#), "{said}");
    end(&db, &running, &loader, End::exited(0)).await;
    assert_eq!(row(&db).await, r#"PROCESSED {"results": "mine"}"#);
    running.stop().await;
}

#[tokio::test]
async fn what_a_trigger_writes_within_our_write_is_a_users_move() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ONCE).await;
    db.run(
        "create function take() returns trigger language plpgsql as
             $$ begin update rowcall.files set status = 'TAKEN' where id = new.id; return null; end $$;
         create trigger take after update on rowcall.files for each row when (new.status = 'PROCESSING') execute function take()",
    )
    .await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    assert_eq!(db.one::<String>("select moved_to from rowcall.jobs").await, "TAKEN");
    end(&db, &running, &launched, End::exited(0)).await;
    assert_eq!(row(&db).await, "TAKEN");
    running.stop().await;
}
