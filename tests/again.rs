//! Rows that change while their job runs: asked again, moved on, deleted.

use crate::support::{Launched, Running, TestDatabase};
use rowcall::job::End;

/// A file with id 1 whose job runs.
async fn in_flight() -> (TestDatabase, Running, Launched) {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("max_attempts", "1")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    (db, running, launched)
}

/// Ends this run, sees the next one begin, and ends that too; nothing may follow.
async fn exactly_one_more(db: &TestDatabase, mut running: Running, launched: &Launched) {
    assert_eq!(db.one::<String>("select state || run_again from rowcall.jobs").await, "runningtrue");
    assert_eq!(running.world.distinct_launches(), 1, "never two at once");
    running.end(launched, End::exited(0));
    let second = running.launch().await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.attempts where ended_at is null").await, 1);
    running.end(&second, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    assert_eq!((db.jobs("loader").await, running.world.distinct_launches()), (0, 2));
    running.stop().await;
}

#[tokio::test]
async fn a_status_set_back_during_a_run_queues_one_more_run_after_it() {
    let (db, running, launched) = in_flight().await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    exactly_one_more(&db, running, &launched).await;
}

#[tokio::test]
async fn a_status_set_back_many_times_still_queues_one_run() {
    let (db, running, launched) = in_flight().await;
    for _ in 0..3 {
        db.run(
            "update rowcall.files set status = 'UPLOADED'; update rowcall.files set status = 'REGISTERED'",
        )
        .await;
    }
    db.run("insert into rowcall.files (id) values (1) on conflict (id) do update set status = 'REGISTERED'")
        .await;
    exactly_one_more(&db, running, &launched).await;
}

#[tokio::test]
async fn a_deleted_row_registered_anew_in_flight_runs_once_more() {
    let (db, running, launched) = in_flight().await;
    db.run("update rowcall.files set status = 'DELETED'").await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    exactly_one_more(&db, running, &launched).await;
}

#[tokio::test]
async fn a_row_deleted_and_inserted_anew_in_flight_runs_once_more() {
    let (db, running, launched) = in_flight().await;
    db.run("delete from rowcall.files; insert into rowcall.files (id) values (1)").await;
    exactly_one_more(&db, running, &launched).await;
}

#[tokio::test]
async fn a_wish_taken_back_while_the_job_runs_is_forgotten() {
    let (db, mut running, launched) = in_flight().await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    db.run("update rowcall.files set status = 'DELETED'").await;
    running.end(&launched, End::exited(0));
    db.until("select count(*) = 0 from rowcall.jobs").await;
    assert_eq!(db.one::<String>("select string_agg(outcome, ' ') from rowcall.history").await, "SUCCEEDED");
    db.run("insert into rowcall.files (id) values (2)").await;
    running.launch().await;
    assert_eq!(running.world.distinct_launches(), 2);
    assert_eq!(db.one::<String>("select status from rowcall.files where id = 1").await, "DELETED");
    running.stop().await;
}

#[tokio::test]
async fn a_wish_that_meets_a_snooze_or_a_failure_is_granted() {
    for report in ["select rowcall.task_snooze($1, '1 hour')", "select rowcall.task_fail($1, 'no')"] {
        let (db, mut running, launched) = in_flight().await;
        db.client.execute(report, &[&launched.token]).await.unwrap();
        db.run("update rowcall.files set status = 'REGISTERED'").await;
        running.end(&launched, End::exited(0));
        let second = running.launch().await;
        running.end(&second, End::exited(0));
        db.until("select status = 'PROCESSED' from rowcall.files").await;
        assert_eq!(db.one::<i64>("select count(*) from rowcall.history").await, 2);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_row_set_to_deleted_in_flight_stays_deleted() {
    let ways: [(&str, i32, &str); 4] = [
        ("", 0, "SUCCEEDED moved"),
        ("", 1, "TASK_FAILED moved"),
        ("select rowcall.task_succeed($1, '{\"rows\": 1}')::text", 0, "SUCCEEDED"),
        ("select rowcall.task_fail($1, 'no', retry => false)::text", 0, "TASK_FAILED moved"),
    ];
    for (report, code, end) in ways {
        let (db, running, launched) = in_flight().await;
        db.run("update rowcall.files set status = 'DELETED'").await;
        if !report.is_empty() {
            let became = db.client.query_one(report, &[&launched.token]).await.unwrap();
            assert!(["moved", ""].contains(&became.get(0)), "{became:?}");
        }
        running.end(&launched, End::exited(code));
        db.until("select count(*) = 0 from rowcall.jobs").await;
        let row: String = db.one("select concat_ws(' ', status, attributes) from rowcall.files").await;
        assert_eq!(row, "DELETED", "{report} {code}");
        assert_eq!(
            db.one::<String>("select concat_ws(' ', outcome, write_back) from rowcall.history").await,
            end
        );
        running.stop().await;
    }
}

#[tokio::test]
async fn a_row_set_to_deleted_between_two_attempts_is_not_tried_again() {
    let (db, mut running, launched) = in_flight().await;
    db.run("update rowcall.files set status = 'DELETED'").await;
    running.end(&launched, End::not_started("no capacity", true));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    db.run("update rowcall.jobs set due_at = now(); notify rowcall_control").await;
    db.until("select message = 'the row moved on to DELETED' and outcome = 'OBSOLETE' from rowcall.history")
        .await;
    db.run("insert into rowcall.files (id) values (2)").await;
    running.launch().await;
    assert_eq!(running.world.distinct_launches(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_row_deleted_in_flight_is_not_written_and_disturbs_nobody() {
    let (db, mut running, launched) = in_flight().await;
    db.run("delete from rowcall.files").await;
    running.end(&launched, End::exited(0));
    db.until("select outcome = 'SUCCEEDED' and write_back = 'deleted' from rowcall.history").await;
    db.run("begin; insert into rowcall.files (id) values (2); delete from rowcall.files; commit").await;
    db.run("insert into rowcall.files (id) values (3)").await;
    running.launch().await;
    db.until("select count(*) = 1 from rowcall.history where outcome = 'OBSOLETE' and message = 'the row was deleted'").await;
    assert_eq!(running.world.distinct_launches(), 2);
    running.stop().await;
}

#[tokio::test]
async fn rows_registered_anew_run_once_and_once_more_if_in_flight() {
    let (db, mut running, launched) = in_flight().await;
    db.run("insert into rowcall.files (id, status) values (2, 'PROCESSED'), (3, 'DELETED')").await;
    db.run("update rowcall.files set status = 'REGISTERED' where status <> 'DELETED'").await;
    let other = running.launch().await;
    running.end(&other, End::exited(0));
    running.end(&launched, End::exited(0));
    let again = running.launch().await;
    running.end(&again, End::exited(0));
    db.until("select count(*) = 0 from rowcall.jobs").await;
    let statuses: String = db.one("select string_agg(status, ' ' order by id) from rowcall.files").await;
    assert_eq!((statuses.as_str(), running.world.distinct_launches()), ("PROCESSED PROCESSED DELETED", 3));
    running.stop().await;
}

#[tokio::test]
async fn a_rescan_repeats_nothing_that_ends_while_it_looks() {
    let db = TestDatabase::new().await;
    // An observer runs whatever the status of its row is by then: only its history keeps it from running again.
    db.task("watcher", "REGISTERED", ("status_running, status_succeeded, status_failed", "null, null, null"))
        .await;
    db.run("alter table rowcall.files disable trigger rowcall_insert; insert into rowcall.files (id) values (1);
            alter table rowcall.files enable trigger rowcall_insert; insert into rowcall.files (id) values (2)")
        .await;
    db.run(
        "create function public.wait() returns trigger language plpgsql as $$ begin
            if session_user = 'postgres' then perform pg_advisory_xact_lock_shared(1, 77); end if; return new; end $$;
         create trigger wait before insert on rowcall_internal.jobs for each row execute function public.wait()",
    )
    .await;
    let mut running = Running::start(&db).await;
    let launched = running.launch().await;
    let (holder, operator) = (db.connect().await, db.connect().await);
    holder.batch_execute("select pg_advisory_lock(1, 77)").await.unwrap();
    let rescan = tokio::spawn(async move {
        operator.query_one("select rowcall.rescan('rowcall.files')", &[]).await.unwrap().get::<_, i64>(0)
    });
    let waits =
        "select exists (select from pg_locks where locktype = 'advisory' and objid = 77 and not granted)";
    while !db.one::<bool>(waits).await {}
    running.end(&launched, End::exited(0));
    db.until("exists (select from rowcall.history)").await;
    holder.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
    assert_eq!(rescan.await.unwrap(), 1);
    let second = running.launch().await;
    assert_eq!(db.one::<i64>("select (row_key->>'id')::bigint from rowcall.jobs").await, 1);
    running.end(&second, End::exited(0));
    db.until("not exists (select from rowcall.jobs)").await;
    assert_eq!(running.world.distinct_launches(), 2);
    running.stop().await;
}
