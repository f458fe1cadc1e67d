//! Several tasks on one status: each runs, and the last end writes the row's status.

mod apart;

use crate::support::{Launched, Running, TestDatabase};
use rowcall::job::End;

/// Tasks on REGISTERED with the default words, and one row.
pub async fn launched(tasks: &[(&str, (&str, &str))]) -> (TestDatabase, Running, Vec<Launched>) {
    let db = TestDatabase::new().await;
    for (name, more) in tasks {
        db.task(name, "REGISTERED", *more).await;
    }
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let mut launched = Vec::new();
    for _ in tasks {
        launched.push(running.launch().await);
    }
    launched.sort_by_key(|l| l.attempt.task.clone());
    (db, running, launched)
}

pub const ONCE: (&str, &str) = ("max_attempts", "1");

pub async fn row(db: &TestDatabase) -> String {
    db.one("select concat_ws(' ', status, attributes) from rowcall.files").await
}

/// Ends an attempt and waits until its job is settled.
pub async fn end(db: &TestDatabase, running: &Running, launched: &Launched, end: End) {
    running.end(launched, end);
    db.until(&format!("select count(*) = 1 from rowcall.history where job_id = {}", launched.attempt.job_id))
        .await;
}

#[tokio::test]
async fn each_runs_and_the_status_follows_the_last() {
    let (db, running, launched) = launched(&[("a", ONCE), ("b", ONCE), ("c", ONCE)]).await;
    assert_eq!(row(&db).await, "PROCESSING");
    for done in [&launched[1], &launched[0]] {
        end(&db, &running, done, End::exited(0)).await;
        assert_eq!(row(&db).await, "PROCESSING {}");
    }
    end(&db, &running, &launched[2], End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    assert_eq!(db.one::<i64>("select count(*) from rowcall.history where outcome = 'SUCCEEDED'").await, 3);
    running.stop().await;
}

#[tokio::test]
async fn one_that_failed_decides_whoever_ends_last() {
    for failing in [0, 1] {
        let (db, running, launched) =
            launched(&[("a", ("max_attempts, status_failed", "1, 'A_FAILED'")), ("b", ONCE)]).await;
        end(&db, &running, &launched[failing], End::exited(3)).await;
        assert!(row(&db).await.starts_with("PROCESSING {\"message\": \"exit code 3\""), "{}", row(&db).await);
        let good = &launched[1 - failing];
        db.run(&format!("select rowcall.task_succeed('{}', '{{\"n\": 1}}')", good.token)).await;
        assert!(row(&db).await.starts_with("PROCESSING "), "the other failed: {}", row(&db).await);
        end(&db, &running, good, End::exited(0)).await;
        let status = ["A_FAILED", "ERROR"][failing];
        let wanted = format!(
            r#"{status} {{"result": {{"n": 1}}, "message": "exit code 3", "outcome": "TASK_FAILED"}}"#
        );
        assert_eq!(row(&db).await, wanted);
        running.stop().await;
    }
}

#[tokio::test]
async fn ends_that_come_together_are_all_written() {
    let (db, running, launched) = launched(&[("a", ONCE), ("b", ONCE), ("c", ONCE), ("d", ONCE)]).await;
    for (i, done) in launched.iter().enumerate() {
        running.end(done, End::exited(i32::from(i == 2)));
    }
    db.until("select count(*) = 4 from rowcall.history").await;
    assert!(row(&db).await.starts_with("ERROR "), "{}", row(&db).await);
    assert_eq!(db.one::<i64>("select count(*) from rowcall.history where write_back is not null").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn one_that_starts_after_the_others_end_finds_its_row() {
    let db = TestDatabase::new().await;
    db.task("a", "REGISTERED", ONCE).await;
    db.task("b", "REGISTERED", ("enabled, status_running", "false, 'INDEXING'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let a = running.launch().await;
    end(&db, &running, &a, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSING {}", "b is still to come");
    db.run("update rowcall.parameters set enabled = true").await;
    let b = running.launch().await;
    assert_eq!(row(&db).await, "INDEXING {}");
    end(&db, &running, &b, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_retry_of_one_holds_the_status_until_it_ends() {
    let (db, mut running, launched) =
        launched(&[("a", ("backoff, status_running", "'10 ms', 'LOADING'")), ("b", ONCE)]).await;
    let marked = row(&db).await;
    running.end(&launched[0], End::exited(1));
    let again = running.launch().await;
    assert_eq!((again.attempt.task.as_str(), again.attempt.number), ("a", 2));
    end(&db, &running, &launched[1], End::exited(0)).await;
    assert_eq!(row(&db).await, format!("{marked} {{}}"));
    end(&db, &running, &again, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}");
    running.stop().await;
}

#[tokio::test]
async fn a_row_registered_anew_in_flight_runs_all_of_them_once_more() {
    let (db, mut running, launched) = launched(&[("a", ONCE), ("b", ONCE)]).await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    end(&db, &running, &launched[0], End::exited(0)).await;
    let a = running.launch().await;
    assert_eq!((a.attempt.task.as_str(), row(&db).await.as_str()), ("a", "PROCESSING"));
    end(&db, &running, &a, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSING {}", "b's old run goes on, and its new one is to come");
    end(&db, &running, &launched[1], End::exited(1)).await;
    let b = running.launch().await;
    assert_eq!(b.attempt.task, "b");
    end(&db, &running, &b, End::exited(0)).await;
    assert_eq!(row(&db).await, "PROCESSED {}", "what the old run came to is of no interest");
    assert_eq!(running.world.distinct_launches(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_row_moved_on_by_somebody_is_written_by_none_of_them() {
    let (db, running, launched) = launched(&[("a", ONCE), ("b", ONCE)]).await;
    db.run("update rowcall.files set status = 'DELETED'").await;
    for done in &launched {
        end(&db, &running, done, End::exited(0)).await;
    }
    assert_eq!(row(&db).await, "DELETED");
    running.stop().await;
}

#[tokio::test]
async fn two_dispatchers_run_both_tasks_of_every_row_once() {
    const ROWS: i64 = 60;
    let db = TestDatabase::new().await;
    for (name, more) in [("a", ("max_running", "7")), ("b", ("status_running", "'B_RUNS'"))] {
        db.task(name, "REGISTERED", more).await;
    }
    let mut first = Running::start(&db).await;
    let mut second =
        Running::with(crate::support::settings(&db.url), std::sync::Arc::clone(&first.world)).await;
    db.run(&format!("insert into rowcall.files select from generate_series(1, {ROWS})")).await;
    for _ in 0..2 * ROWS {
        let launched = tokio::select! { l = first.launch() => l, l = second.launch() => l };
        first.end(&launched, End::exited(0));
    }
    db.until(&format!("select count(*) = {ROWS} from rowcall.files where status = 'PROCESSED'")).await;
    let outcomes: String =
        db.one("select string_agg(concat_ws(' ', task, outcome, n), ', ' order by task) from (select task, outcome, count(*) n from rowcall.history group by task, outcome) x").await;
    assert_eq!(outcomes, format!("a SUCCEEDED {ROWS}, b SUCCEEDED {ROWS}"));
    first.stop().await;
    second.stop().await;
}
