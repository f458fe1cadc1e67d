//! How hard a job is tried, and what ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rowcall::job::End;
use rowcall::runners::LaunchError;
use tokio::sync::Semaphore;

use crate::support::{Launched, Running, TestDatabase, World, settings};

async fn insert(db: &TestDatabase) {
    db.run("insert into rowcall.files default values").await;
}

/// A task, a dispatcher, a row, and its first launch.
async fn launched(more: (&str, &str)) -> (TestDatabase, Running, Launched) {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", more).await;
    let mut running = Running::start(&db).await;
    insert(&db).await;
    let launched = running.launch().await;
    (db, running, launched)
}

async fn report(db: &TestDatabase, call: &str, token: &str) {
    db.client.execute(&format!("select rowcall.{call}"), &[&token]).await.unwrap();
}

/// Status, outcome and message of the one row.
async fn row(db: &TestDatabase) -> String {
    db.until("exists (select from rowcall.history)").await;
    db.one("select concat_ws(' ', status, attributes->>'outcome', attributes->>'message') from rowcall.files")
        .await
}

async fn attempts(db: &TestDatabase) -> String {
    db.one("select string_agg(concat_ws(' ', number, outcome, reason), '; ' order by number) from rowcall.attempts")
        .await
}

#[tokio::test]
async fn retries_wait_twice_as_long_each_time_with_jitter_up_to_a_cap() {
    let more = ("max_attempts, backoff, backoff_max", "5, '10 seconds', '35 seconds'");
    let (db, mut running, mut launched) = launched(more).await;
    let mut shares = Vec::new();
    for (number, full) in [(1, 10.0), (2, 20.0), (3, 35.0), (4, 35.0)] {
        assert_eq!(launched.attempt.number, number);
        running.end(&launched, End::exited(1));
        db.until("select state = 'waiting' from rowcall.jobs").await;
        let wait = "select extract(epoch from j.due_at - a.ended_at)::float8 from rowcall.jobs j
            join rowcall.attempts a on a.job_id = j.id order by a.number desc limit 1";
        let wait: f64 = db.one(wait).await;
        assert!((full / 2.0 - 0.5..=full + 0.5).contains(&wait), "attempt {number}: {wait} of {full} s");
        shares.push(wait / full);
        db.run("update rowcall.jobs set due_at = now()").await;
        running.wake(&db).await;
        launched = running.launch().await;
    }
    let spread = |a: &f64| (a - shares[0]).abs() > 0.001;
    assert!(shares.iter().any(spread), "no jitter: {shares:?}");
    running.end(&launched, End::exited(1));
    assert_eq!(row(&db).await, "ERROR TASK_FAILED exit code 1 (attempt 5 of 5)");
    assert_eq!(db.one::<i32>("select attempt_count from rowcall.history").await, 5);
    assert!(!running.launched_more());
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_by_the_runner_spends_no_attempt() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("max_attempts, backoff", "1, '1 millisecond'")).await;
    let mut running = Running::start(&db).await;
    running.world.answer(|attempt| match attempt.number {
        1..=3 => Err(LaunchError::refused("no capacity", true)),
        _ => Ok(()),
    });
    insert(&db).await;
    let launched = running.launch().await;
    assert_eq!(launched.attempt.number, 4);
    running.end(&launched, End::exited(0));
    assert_eq!(row(&db).await, "PROCESSED");
    let refused = "1 RUNNER_FAILED no capacity; 2 RUNNER_FAILED no capacity; 3 RUNNER_FAILED no capacity";
    assert_eq!(attempts(&db).await, format!("{refused}; 4 SUCCEEDED"));
    // Its end may be written before its launch is.
    db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    let launched = "select array_agg(number) from rowcall.attempts where launched_at is not null";
    assert_eq!(db.one::<Vec<i32>>(launched).await, [4]);
    // A definite refusal gets a new key.
    let keys = running.world.launches.lock().unwrap().clone();
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn refusals_do_not_go_on_for_ever() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("backoff", "'1 millisecond'")).await;
    let mut settings = settings(&db.url);
    settings.dispatcher.max_runner_failures = 3;
    let running = Running::with(settings, Arc::default()).await;
    running.world.answer(|_| Err(LaunchError::refused("no capacity", true)));
    insert(&db).await;
    assert_eq!(row(&db).await, "ERROR RUNNER_FAILED no capacity");
    assert_eq!(db.one::<i32>("select attempt_count from rowcall.history").await, 3);
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_for_good_ends_the_job() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let running = Running::start(&db).await;
    running.world.answer(|_| Err(LaunchError::refused("no such image", false)));
    insert(&db).await;
    assert_eq!(row(&db).await, "ERROR RUNNER_FAILED no such image");
    assert_eq!(attempts(&db).await, "1 RUNNER_FAILED no such image");
    running.stop().await;
}

#[tokio::test]
async fn a_launch_whose_answer_was_lost_is_repeated_with_the_same_key() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    running.world.lost_answers.store(2, Ordering::Relaxed);
    insert(&db).await;
    let launched = running.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    let key = &launched.attempt.launch_key;
    assert_eq!(*running.world.launches.lock().unwrap(), [key.clone(), key.clone(), key.clone()]);
    assert_eq!(running.world.distinct_launches(), 1);
    running.end(&launched, End::exited(0));
    assert_eq!(row(&db).await, "PROCESSED");
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_launched_in_time_is_the_runners_failure() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("launch_timeout, backoff, backoff_max", "'300 ms', '1 hour', '1 hour'"))
        .await;
    let running = Running::start(&db).await;
    running.world.answer(|_| Err(LaunchError::Ambiguous("no answer".to_owned())));
    insert(&db).await;
    db.until("select state = 'waiting' and failures = 0 and runner_failures = 1 from rowcall.jobs").await;
    assert_eq!(attempts(&db).await, "1 RUNNER_FAILED not launched within 00:00:00.3 (no answer)");
    running.stop().await;
}

#[tokio::test]
async fn a_launch_under_way_ends_before_its_attempt_is_given_up() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    let gate = Arc::new(Semaphore::new(0));
    *running.world.gate.lock().unwrap() = Some(Arc::clone(&gate));
    insert(&db).await;
    running.world.asked().await;
    db.run("select rowcall.cancel(id, 'not needed') from rowcall.jobs").await;
    assert_eq!(row(&db).await, "ERROR CANCELLED not needed");
    // The runner would do it now, and nobody wants it any more.
    gate.add_permits(1);
    running.beats(&db).await;
    assert!(!running.launched_more());
    running.stop().await;
}

#[tokio::test]
async fn what_a_launch_under_way_started_is_stopped_before_settlement() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    *running.world.answers.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    insert(&db).await;
    let launched = running.launch().await;
    db.run("select rowcall.cancel(id, 'not needed') from rowcall.jobs").await;
    assert_eq!(row(&db).await, "ERROR CANCELLED not needed");
    let stops = running.world.stops.lock().unwrap().clone();
    assert_eq!(stops, [(launched.attempt.id, "not needed".to_owned())]);
    running.stop().await;
}

#[tokio::test]
async fn a_timeout_is_tried_again_and_counts() {
    let more = ("timeout, max_attempts, backoff", "'200 ms', 2, '1 ms'");
    let (db, running, _) = launched(more).await;
    assert_eq!(row(&db).await, "ERROR TIMED_OUT ran longer than its timeout of 00:00:00.2 (attempt 2 of 2)");
    assert_eq!(running.world.stops.lock().unwrap().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_task_that_falls_silent_is_stopped() {
    let (db, running, launched) = launched(("heartbeat_timeout, max_attempts", "'300 ms', 1")).await;
    report(&db, "task_start($1)", &launched.token).await;
    assert_eq!(row(&db).await, "ERROR TIMED_OUT no heartbeat for 00:00:00.3");
    let stops = running.world.stops.lock().unwrap().clone();
    assert_eq!(stops, [(launched.attempt.id, "no heartbeat for 00:00:00.3".to_owned())]);
    running.stop().await;
}

/// A session that holds an attempt, as a heartbeat does for as long as it is not committed.
async fn holding(db: &TestDatabase, launched: &Launched) -> tokio_postgres::Client {
    report(db, "task_start($1)", &launched.token).await;
    let holder = db.connect().await;
    holder.batch_execute("begin").await.unwrap();
    holder.execute("select rowcall.task_progress($1)", &[&launched.token]).await.unwrap();
    db.until("select heartbeat_at + interval '3 seconds' < clock_timestamp() from rowcall.attempts").await;
    holder
}

#[tokio::test]
async fn an_overdue_task_is_not_stopped_while_its_heartbeat_runs() {
    let (db, running, launched) = launched(("heartbeat_timeout, max_attempts", "'2 s', 1")).await;
    let holder = holding(&db, &launched).await;
    running.beats(&db).await;
    assert!(running.world.stops.lock().unwrap().is_empty(), "what it would be stopped for may be over");
    holder.batch_execute("commit").await.unwrap();
    assert_eq!(row(&db).await, "ERROR TIMED_OUT no heartbeat for 00:00:02");
    running.stop().await;
}

#[tokio::test]
async fn a_task_that_hangs_in_its_transaction_has_timed_out() {
    let (db, running, launched) = launched(("heartbeat_timeout, max_attempts", "'2 s', 1")).await;
    let holder = holding(&db, &launched).await;
    running.world.stopped(launched.attempt.id).await;
    // Its session ends with it.
    drop(holder);
    assert_eq!(row(&db).await, "ERROR TIMED_OUT no heartbeat for 00:00:02");
    running.stop().await;
}

#[tokio::test]
async fn a_cancel_outweighs_another_stop_under_way() {
    let (db, running, launched) = launched(("max_attempts", "2")).await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.files for update").await.unwrap();
    // In one transaction: once the stop can be seen, the attempt may soon be over.
    db.run(
        "begin; update rowcall_internal.attempts set stop_requested = 'ran too long', stop_cause = 'timed_out';
         select rowcall.cancel(id, 'not needed') from rowcall.jobs; commit",
    )
    .await;
    running.end(&launched, End::exited(1));
    holder.batch_execute("commit").await.unwrap();
    assert_eq!(row(&db).await, "ERROR CANCELLED not needed");
    running.stop().await;
}

#[tokio::test]
async fn a_task_that_lingers_after_its_report_is_stopped_and_succeeds() {
    let (db, running, launched) = launched(("", "")).await;
    report(&db, "task_succeed($1)", &launched.token).await;
    assert_eq!(row(&db).await, "PROCESSED");
    let told: String = db.one("select concat_ws(' ', outcome, message) from rowcall.history").await;
    assert_eq!(told, "SUCCEEDED succeeded, then killed by signal 15 SIGTERM");
    assert_eq!(running.world.stops.lock().unwrap().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn exit_code_0_is_no_success_where_a_report_is_asked_for() {
    let (db, running, launched) = launched(("completion, max_attempts", "'report', 1")).await;
    running.end(&launched, End::exited(0));
    assert_eq!(row(&db).await, "ERROR TASK_FAILED exited with code 0 without reporting a result");
    running.stop().await;
}

#[tokio::test]
async fn a_snoozed_task_comes_back_without_spending_an_attempt() {
    let (db, mut running, first) = launched(("max_attempts", "1")).await;
    report(&db, "task_snooze($1, '10 ms', 'not there yet')", &first.token).await;
    running.end(&first, End::exited(0));
    let second = running.launch().await;
    running.end(&second, End::exited(0));
    assert_eq!(row(&db).await, "PROCESSED");
    assert_eq!(attempts(&db).await, "1 SNOOZED not there yet; 2 SUCCEEDED");
    running.stop().await;
}

#[tokio::test]
async fn an_end_whose_words_postgres_cannot_keep_is_settled_anyway() {
    let (db, running, launched) = launched(("max_attempts", "1")).await;
    let mut end = End::exited(1);
    end.reason = Some("out\0of memory".to_owned());
    end.output = Some("\0".to_owned());
    running.end(&launched, end);
    assert!(row(&db).await.starts_with("ERROR TASK_FAILED out\u{fffd}of memory"));
    running.stop().await;
}

#[tokio::test]
async fn two_thousand_rows_are_launched_once_each_by_two_dispatchers() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let world = Arc::new(World::default());
    let (mut one, mut two) = tokio::join!(
        Running::with(settings(&db.url), Arc::clone(&world)),
        Running::with(settings(&db.url), Arc::clone(&world))
    );
    db.run("insert into rowcall.files select from generate_series(1, 2000)").await;
    for _ in 0..2000 {
        let launched = tokio::select! { l = one.launch() => l, l = two.launch() => l };
        world.end(&launched.attempt, End::exited(0));
    }
    db.until("select count(*) = 2000 from rowcall.history").await;
    let told =
        "select concat_ws(' ', count(*), count(distinct row_key), min(outcome), max(outcome), max(attempt_count))
        from rowcall.history";
    assert_eq!(db.one::<String>(told).await, "2000 2000 SUCCEEDED SUCCEEDED 1");
    assert_eq!((world.distinct_launches(), world.launches.lock().unwrap().len()), (2000, 2000));
    assert_eq!(db.one::<i64>("select count(*) from rowcall.files where status = 'PROCESSED'").await, 2000);
    let both: i64 = db.one("select count(distinct dispatcher_id) from rowcall.attempts").await;
    assert_eq!(both, 2, "one of them did all the work");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_task_is_stopped_when_its_row_moves_on_if_it_says_so() {
    let (db, running, launched) = launched(("on_moved", "'stop'")).await;
    db.run("update rowcall.files set status = 'DELETED'").await;
    running.world.stopped(launched.attempt.id).await;
    db.until("exists (select from rowcall.history)").await;
    let told: String =
        db.one("select concat_ws(' ', outcome, cause, message, write_back) from rowcall.history").await;
    assert_eq!(told, "CANCELLED moved_on the row moved on to DELETED moved");
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "DELETED");
    running.stop().await;
}

#[tokio::test]
async fn an_end_that_comes_at_once_brings_its_launch_along() {
    const ROWS: usize = 100;
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run(&format!("insert into rowcall.files select from generate_series(1, {ROWS})")).await;
    for _ in 0..ROWS {
        let launched = running.launch().await;
        running.announce(&launched, End::exited(0));
    }
    db.until(&format!("select count(*) = {ROWS} from rowcall.history")).await;
    let known = "select count(*) from rowcall.attempts
        where external_id is not null and created_at <= launched_at and launched_at <= begun_at and begun_at <= ended_at";
    db.until(&format!("({known}) = {ROWS}")).await;
    running.stop().await;
}

#[tokio::test]
async fn an_end_that_no_dispatcher_saw_has_its_own_time() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    // It cannot have ended before it began.
    running.end(&launched, End { ago: Some(std::time::Duration::from_hours(1)), ..End::exited(0) });
    db.until("select ended_at = greatest(created_at, begun_at, started_at) from rowcall.attempts").await;
    running.stop().await;
}

#[tokio::test]
async fn a_batch_of_rows_is_written_by_one_statement() {
    let db = TestDatabase::new().await;
    db.run(
        "insert into rowcall.files (status, attributes) select 'PROCESSING', '{}' from generate_series(1, 10);
         create table statements (rows bigint);
         create function note_statement() returns trigger language plpgsql security definer set search_path = public as $$
             begin insert into statements select count(*) from written; return null; end $$;
         create trigger note_statement after update on rowcall.files referencing new table as written
         for each statement execute function note_statement()",
    )
    .await;
    for result_column in ["null", "'attributes'"] {
        let write = format!(
            "select string_agg(distinct state, ',') from rowcall_internal.write_back('rowcall.files', {result_column},
                 array(select jsonb_build_object('id', id) from rowcall.files), array_fill('[\"PROCESSING\"]'::jsonb, array[10]),
                 array_fill('PROCESSING'::text, array[10]), array_fill('{{}}'::jsonb, array[10]))"
        );
        assert_eq!(db.one::<String>(&write).await, "written", "{result_column}");
    }
    assert_eq!(db.one::<Vec<i64>>("select array_agg(rows) from statements").await, [10, 10]);
}
