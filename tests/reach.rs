//! An engine or a region is away: what it cannot take stays in the queue, for others and for later, and nothing else waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rowcall::job::End;
use rowcall::runners::LaunchError;

use crate::support::{FakeKind, Running, TestDatabase, World, hear_beats, settings};

/// More than there are calls at the same time.
const ROWS: usize = 40;

fn away() -> LaunchError {
    LaunchError::Away("connection refused".to_owned())
}

async fn insert(db: &TestDatabase, rows: usize) {
    db.run(&format!("insert into rowcall.files select from generate_series(1, {rows})")).await;
}

async fn all_are_back(db: &TestDatabase) {
    db.until(&format!(
        "select count(*) = {ROWS} and bool_and(state = 'pending' and attempt_count = 0) from rowcall.jobs"
    ))
    .await;
}

async fn all_succeed(db: &TestDatabase, running: &mut Running) {
    for _ in 0..ROWS {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    db.until("select bool_and(outcome = 'SUCCEEDED' and attempt_count = 1) from rowcall.history").await;
}

#[tokio::test]
async fn jobs_wait_in_the_queue_while_their_engine_is_away() {
    let db = TestDatabase::new().await;
    // None of it is spent.
    db.task("task", "REGISTERED", ("launch_timeout", "'2 seconds'")).await;
    let mut running = Running::start(&db).await;
    running.world.answer(|_| Err(away()));
    insert(&db, ROWS).await;
    all_are_back(&db).await;
    // Tries go on, with one job at a time.
    let tried = || running.world.launches.lock().unwrap().len();
    let before = tried();
    running.world.asked_more_than(before).await;
    assert!(tried() < before + 4, "{before} calls, then {}", tried());
    running.world.answer(|_| Ok(()));
    all_succeed(&db, &mut running).await;
    running.stop().await;
}

#[tokio::test]
async fn jobs_that_one_dispatcher_cannot_launch_run_by_another() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("launch_timeout", "'1 hour'")).await;
    let cut_off = Running::start(&db).await;
    cut_off.world.answer(|_| Err(away()));
    insert(&db, ROWS).await;
    all_are_back(&db).await;
    let mut other = Running::with(settings(&db.url), Arc::<World>::default()).await;
    all_succeed(&db, &mut other).await;
    // Those that come while both are there, too.
    insert(&db, ROWS).await;
    all_succeed(&db, &mut other).await;
    other.stop().await;
    cut_off.stop().await;
}

#[tokio::test]
async fn tasks_out_of_reach_do_not_hold_up_others_of_their_runner() {
    let db = TestDatabase::new().await;
    db.task("far", "FAR", ("priority", "10")).await;
    db.task("near", "REGISTERED", ("", "")).await;
    // Fewer slots than there are jobs out of reach.
    let kind = FakeKind { capacity: 4, ..FakeKind::default() };
    let mut running = Running::made(settings(&db.url), Arc::default(), kind).await;
    running.world.answer(|attempt| if attempt.task == "far" { Err(away()) } else { Ok(()) });
    db.run(&format!("insert into rowcall.files (status) select 'FAR' from generate_series(1, {ROWS})")).await;
    all_are_back(&db).await;
    for _ in 0..3 {
        insert(&db, 1).await;
        let launched = running.launch().await;
        assert_eq!(launched.attempt.task, "near");
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 3 from rowcall.history where outcome = 'SUCCEEDED'").await;
    running.stop().await;
}

#[tokio::test]
async fn launches_in_doubt_stay_with_their_dispatcher() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("launch_timeout", "'1 hour'")).await;
    let mut running = Running::start(&db).await;
    // It begins, and the answer is lost; then the engine is away.
    running.world.lost_answers.store(3, Ordering::Relaxed);
    insert(&db, 3).await;
    let mut begun = Vec::new();
    for _ in 0..3 {
        begun.push(running.launch().await);
    }
    running.world.answer(|_| Err(away()));
    let asked = running.world.launches.lock().unwrap().len();
    running.world.asked_more_than(asked + 3).await;
    hear_beats(&db).await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.attempts where ended_at is null").await, 3);
    running.world.answer(|_| Ok(()));
    for launched in &begun {
        running.end(launched, End::exited(0));
    }
    db.until(
        "select count(*) = 3 and bool_and(outcome = 'SUCCEEDED' and attempt_count = 1) from rowcall.history",
    )
    .await;
    assert_eq!(running.world.distinct_launches(), 3);
    assert!(!running.launched_more());
    running.stop().await;
}

#[tokio::test]
async fn tries_come_before_the_backlog_of_others() {
    let db = TestDatabase::new().await;
    db.task("far", "FAR", ("", "")).await;
    db.task("near", "REGISTERED", ("priority", "10")).await;
    let kind = FakeKind { capacity: 1, ..FakeKind::default() };
    let mut running = Running::made(settings(&db.url), Arc::default(), kind).await;
    running.world.answer(|attempt| if attempt.task == "far" { Err(away()) } else { Ok(()) });
    db.run("insert into rowcall.files (status) select 'FAR' from generate_series(1, 5)").await;
    db.until("select count(*) = 5 and bool_and(state = 'pending') from rowcall.jobs").await;
    running.world.asked_more_than(2).await;
    running.world.answer(|_| Ok(()));
    // There is always one more of these.
    insert(&db, 2).await;
    let coming = async {
        loop {
            let launched = running.launch().await;
            if launched.attempt.task == "far" {
                return launched;
            }
            insert(&db, 1).await;
            running.end(&launched, End::exited(0));
        }
    };
    let far = tokio::time::timeout(Duration::from_secs(40), coming).await.expect("it is tried");
    running.end(&far, End::exited(0));
    db.until("select exists (select from rowcall.history where task = 'far')").await;
    running.stop().await;
}

#[tokio::test]
async fn tasks_that_are_edited_are_tried_at_once() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    running.world.answer(|attempt| if attempt.request.target == "fake" { Err(away()) } else { Ok(()) });
    insert(&db, ROWS).await;
    all_are_back(&db).await;
    db.run("update rowcall.parameters set target = 'elsewhere'").await;
    all_succeed(&db, &mut running).await;
    running.stop().await;
}
