//! Jobs beside each other whose tasks are not, or no longer, alike: edited, without statuses of their own, asked for by hand.

use rowcall::job::End;

use super::{ONCE, end, launched, row};
use crate::support::{Running, TestDatabase};

/// A task that says nothing about the row's status.
const SILENT: (&str, &str) = (
    "max_attempts, status_running, status_succeeded, status_failed, result_column",
    "1, null, null, null, null",
);

/// Two tasks, of which b may not start yet, and a row for which a runs.
async fn a_runs_and_b_waits() -> (TestDatabase, Running, crate::support::Launched) {
    let db = TestDatabase::new().await;
    db.task("a", "REGISTERED", ONCE).await;
    db.task("b", "REGISTERED", ("enabled, max_attempts", "false, 1")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let a = running.launch().await;
    (db, running, a)
}

#[tokio::test]
async fn nobody_waits_for_a_task_that_was_deleted() {
    let (db, running, a) = a_runs_and_b_waits().await;
    db.run("delete from rowcall.parameters where name = 'b'").await;
    end(&db, &running, &a, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_task_deleted_with_a_queue_leaves_no_row_running() {
    let db = TestDatabase::new().await;
    db.task("a", "REGISTERED", ONCE).await;
    db.task("b", "REGISTERED", ONCE).await;
    db.run("insert into rowcall.files (id) values (1); delete from rowcall.parameters where name = 'b'")
        .await;
    let mut running = Running::start(&db).await;
    let a = running.launch().await;
    end(&db, &running, &a, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_task_moved_to_another_status_still_does_the_jobs_it_has() {
    let (db, mut running, a) = a_runs_and_b_waits().await;
    db.run("update rowcall.parameters set on_status = 'ELSEWHERE' where name = 'b'").await;
    end(&db, &running, &a, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSING {}");
    db.run("update rowcall.parameters set enabled = true where name = 'b'").await;
    let b = running.launch().await;
    end(&db, &running, &b, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_job_made_for_a_row_that_another_task_has_in_hand_runs() {
    let db = TestDatabase::new().await;
    db.task("a", "REGISTERED", ONCE).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let a = running.launch().await;
    // What a rescan does that had looked at the row before.
    db.task("b", "REGISTERED", ONCE).await;
    db.run("insert into rowcall.jobs (task, source_table, row_key, on_status) values ('b', 'rowcall.files', '{\"id\": 1}', 'REGISTERED')")
        .await;
    running.wake(&db).await;
    let b = running.launch().await;
    for done in [&a, &b] {
        end(&db, &running, done, End::exited(0)).await;
    }
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_silent_task_and_another_end_in_any_order() {
    for (first, second, wanted) in [(0, 1, "PROCESSED {}"), (1, 0, "PROCESSED {}")] {
        let (db, running, launched) = launched(&[("a", ONCE), ("z", SILENT)]).await;
        end(&db, &running, &launched[first], End::exited(0)).await;
        end(&db, &running, &launched[second], End::exited(0)).await;
        assert_eq!(row(&db).await, wanted, "{first} first");
        running.stop().await;
    }
    let (db, running, launched) = launched(&[("a", ONCE), ("z", SILENT)]).await;
    end(&db, &running, &launched[0], End::exited(0)).await;
    end(&db, &running, &launched[1], End::exited(1)).await;
    assert_eq!(row(&db).await, "PROCESSED {}", "its failure has no status of its own");
    running.stop().await;
}

#[tokio::test]
async fn a_silent_task_that_starts_first_may_write_its_row_where_the_other_has_put_it() {
    let db = TestDatabase::new().await;
    db.task("silent", "REGISTERED", ("max_attempts, status_running", "1, null")).await;
    db.task("b", "REGISTERED", ("enabled, max_attempts", "false, 1")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let silent = running.launch().await;
    assert_eq!(row(&db).await, "REGISTERED");
    db.run("update rowcall.parameters set enabled = true where name = 'b'").await;
    let b = running.launch().await;
    assert_eq!(row(&db).await, "PROCESSING");
    end(&db, &running, &b, End::exited(0)).await;
    db.run(&format!("select rowcall.task_succeed('{}')", silent.token)).await;
    end(&db, &running, &silent, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_task_that_finds_its_rows_by_status_does_not_share_it() {
    let db = TestDatabase::new().await;
    db.task("old", "REGISTERED", ("status_running_by", "'task'")).await;
    let refused = db.refused("insert into rowcall.parameters (name, on_status, runner, target) values ('new', 'REGISTERED', 'docker', 'x')").await;
    let said = "parameters.status_running_by: new and old cannot share on_status \"REGISTERED\": one of them finds its rows by it";
    assert!(refused.contains(said), "{refused}");
    // As two edits at the same moment do.
    db.run("set session_replication_role = replica").await;
    db.task("new", "REGISTERED", ("", "")).await;
    db.run("set session_replication_role = origin").await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    assert_eq!(running.launch().await.attempt.task, "new");
    db.until("select reason like 'parameters.status_running_by: a task that finds its rows by their status cannot share%' from rowcall.jobs where task = 'old'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_failure_is_not_forgotten_when_the_other_is_renewed() {
    let (db, mut running, launched) = launched(&[("a", ONCE), ("b", ONCE)]).await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    end(&db, &running, &launched[0], End::exited(0)).await;
    let a = running.launch().await;
    end(&db, &running, &a, End::exited(3)).await;
    end(&db, &running, &launched[1], End::exited(0)).await;
    let b = running.launch().await;
    end(&db, &running, &b, End::exited(0)).await;
    assert_eq!(row(&db).await, r#"ERROR {"message": "exit code 3", "outcome": "TASK_FAILED"}"#);
    running.stop().await;
}

#[tokio::test]
async fn what_failed_and_was_retried_by_hand_with_success_is_no_failure_any_more() {
    let (db, mut running, launched) = launched(&[("a", ONCE), ("b", ONCE)]).await;
    end(&db, &running, &launched[0], End::exited(3)).await;
    db.run(&format!("select rowcall.retry({})", launched[0].attempt.job_id)).await;
    let again = running.launch().await;
    end(&db, &running, &again, End::exited(0)).await;
    end(&db, &running, &launched[1], End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn both_asked_for_by_hand_mark_their_row_as_running() {
    let (db, mut running, launched) = launched(&[("a", ONCE), ("b", ONCE)]).await;
    for done in &launched {
        end(&db, &running, done, End::exited(1)).await;
    }
    assert!(row(&db).await.starts_with("ERROR "));
    db.run("select rowcall.retry_failed()").await;
    let (one, other) = (running.launch().await, running.launch().await);
    assert!(row(&db).await.starts_with("PROCESSING "), "{}", row(&db).await);
    for done in [&one, &other] {
        end(&db, &running, done, End::exited(0)).await;
    }
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_row_run_by_hand_and_moved_by_its_user_between_two_tries_is_left_alone() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff, backoff_max", "'1 hour', '1 hour'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id, status) values (1, 'ARCHIVED'); select rowcall.run('loader', 'rowcall.files', 1)").await;
    let first = running.launch().await;
    assert_eq!(row(&db).await, "PROCESSING");
    running.end(&first, End::exited(1));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    db.run("update rowcall.files set status = 'ARCHIVED'; update rowcall.jobs set due = now(); select pg_notify('rowcall_control', '')").await;
    db.until("select outcome = 'OBSOLETE' from rowcall.history").await;
    assert_eq!((row(&db).await.as_str(), running.world.distinct_launches()), ("ARCHIVED", 1));
    running.stop().await;
}

#[tokio::test]
async fn a_run_by_hand_whose_row_somebody_holds_is_put_off_and_not_lost() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ONCE).await;
    db.run("insert into rowcall.files (id, status) values (1, 'ARCHIVED'); select rowcall.run('loader', 'rowcall.files', 1)").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.files for update").await.unwrap();
    let mut running = Running::start(&db).await;
    db.until("select state = 'waiting' and reason like 'somebody%' from rowcall.jobs").await;
    holder.batch_execute("commit").await.unwrap();
    let launched = running.launch().await;
    end(&db, &running, &launched, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}
