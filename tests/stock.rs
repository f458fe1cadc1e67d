//! Attempts of short tasks are claimed ahead of the slots of their runner, and given back where that does not help.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rowcall::job::End;

use crate::sleeping::{asleep, deaf_to_time};
use crate::support::{FakeKind, Launched, Running, TestDatabase, World};

const AHEAD: &str = "select count(*) = 4 and count(launched_at) = 2 from rowcall_internal.attempts";

const GIVEN_BACK: &str = "select not exists (select from rowcall_internal.attempts where launched_at is null)
    and (select count(*) = 4 from rowcall_internal.jobs where state = 'pending' and attempt_count = 0 and attempt_id is null)";

const HOUR: Duration = Duration::from_hours(1);

/// A runner with two slots that takes two ahead. Only wake-ups can explain that a job runs.
async fn narrow(db: &TestDatabase, world: Arc<World>, stock_wait: Duration) -> Running {
    // A slow machine makes no task a long one, but where a test is about that.
    let short = if stock_wait == HOUR { HOUR } else { Duration::from_secs(1) };
    let kind = FakeKind { capacity: 2, stock: 2, short, stock_wait, ..FakeKind::default() };
    Running::made(deaf_to_time(db), world, kind).await
}

/// A database with one task, and a dispatcher that knows it for a short one.
async fn taught(more: (&str, &str), stock_wait: Duration) -> (TestDatabase, Running) {
    let db = TestDatabase::new().await;
    db.task("brief", "REGISTERED", more).await;
    let mut running = narrow(&db, Arc::default(), stock_wait).await;
    db.run("insert into rowcall.files (id) select generate_series(1, 6)").await;
    run_some(&mut running, 6).await;
    db.until("select not exists (select from rowcall.jobs)").await;
    (db, running)
}

/// The same with six more rows, of which two run and two wait for a slot.
async fn ahead() -> (TestDatabase, Running, [Launched; 2]) {
    ahead_beside(("", "")).await
}

/// The same with another task of a higher priority, for rows that are URGENT. An edit later on would give back what waits.
async fn ahead_beside(urgent: (&str, &str)) -> (TestDatabase, Running, [Launched; 2]) {
    let (db, mut running) = taught(("", ""), HOUR).await;
    let (columns, values) = urgent;
    let comma = if columns.is_empty() { "" } else { ", " };
    db.task("urgent", "URGENT", (&format!("priority{comma}{columns}"), &format!("9{comma}{values}"))).await;
    db.run("insert into rowcall.files (id) select generate_series(11, 16)").await;
    let running_now = [running.launch().await, running.launch().await];
    db.until(AHEAD).await;
    (db, running, running_now)
}

/// Lets the next launches end at once.
async fn run_some(running: &mut Running, count: usize) {
    for _ in 0..count {
        let launched = running.launch().await;
        running.announce(&launched, End::exited(0));
    }
}

/// Tells a dispatcher of these ends.
fn announce(running: &Running, ended: &[Launched]) {
    for launched in ended {
        running.announce(launched, End::exited(0));
    }
}

/// Ends these and all that follow them, and waits until nothing is left.
async fn run_out(db: &TestDatabase, running: &mut Running, now: &[Launched], more: usize) {
    announce(running, now);
    run_some(running, more).await;
    db.until("select not exists (select from rowcall.jobs)").await;
    let once =
        "select count(*) = 12 and bool_and(outcome = 'SUCCEEDED' and attempt_count = 1) from rowcall.history";
    assert!(db.one::<bool>(once).await, "each job ran once");
    assert_eq!(running.world.distinct_launches(), 12);
}

#[tokio::test]
async fn a_slot_that_is_freed_has_its_next_attempt_already() {
    let (db, mut running, [one, other]) = ahead().await;
    let waiting: Vec<i64> =
        db.one("select array_agg(id) from rowcall_internal.attempts where launched_at is null").await;
    let why: String = db
        .one("select string_agg(e, ' ') from rowcall_internal.attempts a, rowcall.explain('rowcall.files', a.row_key) e where a.launched_at is null")
        .await;
    assert!(why.contains("claimed, waits for a slot of docker"), "{why}");
    // Nothing can be settled now: only what was claimed ahead can start.
    let held = db.connect().await;
    held.batch_execute("begin; lock table rowcall_internal.history in exclusive mode").await.unwrap();
    running.announce(&one, End::exited(0));
    let next = running.launch().await;
    assert!(waiting.contains(&next.attempt.id.get()), "{waiting:?}");
    drop(held);
    run_out(&db, &mut running, &[other, next], 3).await;
    running.stop().await;
}

#[tokio::test]
async fn a_slot_that_nothing_waits_for_is_filled_by_the_next_row() {
    let (db, mut running) = taught(("", ""), HOUR).await;
    db.run("insert into rowcall.files (id) select generate_series(11, 12)").await;
    let now = [running.launch().await, running.launch().await];
    // Woken by one row, it claims that ahead, and has no room then for a claim that is worth its while.
    asleep(&db).await;
    db.run("insert into rowcall.files (id) values (13)").await;
    db.until("select count(*) = 3 from rowcall_internal.attempts").await;
    announce(&running, &now);
    run_some(&mut running, 1).await;
    db.run("insert into rowcall.files (id) select generate_series(14, 16)").await;
    run_out(&db, &mut running, &[], 3).await;
    running.stop().await;
}

#[tokio::test]
async fn a_pause_gives_back_what_was_claimed_ahead() {
    let (db, mut running, now) = ahead().await;
    db.run("select rowcall.pause('to see')").await;
    db.until(GIVEN_BACK).await;
    db.run("select rowcall.resume()").await;
    run_out(&db, &mut running, &now, 4).await;
    running.stop().await;
}

#[tokio::test]
async fn an_edit_counts_for_what_was_claimed_ahead() {
    let (db, mut running, now) = ahead().await;
    db.run("update rowcall.parameters set enabled = false").await;
    db.until(GIVEN_BACK).await;
    db.run("update rowcall.parameters set enabled = true, command = '{edited}'").await;
    announce(&running, &now);
    let next = running.launch().await;
    assert_eq!(next.attempt.request.command, ["edited"]);
    run_out(&db, &mut running, &[next], 3).await;
    running.stop().await;
}

#[tokio::test]
async fn a_job_cancelled_while_it_waits_for_a_slot_never_starts() {
    let (db, mut running, now) = ahead().await;
    db.run("select rowcall.cancel(job_id) from rowcall_internal.attempts where launched_at is null").await;
    db.until("select count(*) = 2 from rowcall.history where outcome = 'CANCELLED'").await;
    announce(&running, &now);
    run_some(&mut running, 2).await;
    db.until("select not exists (select from rowcall.jobs)").await;
    assert_eq!(running.world.distinct_launches(), 10);
    running.stop().await;
}

#[tokio::test]
async fn a_long_run_keeps_nothing_waiting_behind_it() {
    let (db, mut running) = taught(("", ""), Duration::from_millis(500)).await;
    db.run("insert into rowcall.files (id) select generate_series(11, 16)").await;
    let now = [running.launch().await, running.launch().await];
    // Two more had their numbers, and are gone.
    let ten = "pg_sequence_last_value('rowcall_internal.attempts_id_seq') >= 10";
    db.until(&format!("({GIVEN_BACK}) and {ten}")).await;
    let mut other = narrow(&db, Arc::clone(&running.world), HOUR).await;
    let there = [other.launch().await, other.launch().await];
    announce(&other, &there);
    run_some(&mut other, 2).await;
    run_out(&db, &mut running, &now, 0).await;
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_drain_gives_back_what_was_claimed_ahead() {
    let (db, running, now) = ahead().await;
    let world = Arc::clone(&running.world);
    running.dispatcher.drain();
    db.until(GIVEN_BACK).await;
    // In the world, so that the next one sees them, too: a drain does not wait long.
    for launched in &now {
        running.end(launched, End::exited(0));
    }
    running.stop().await;
    let mut next = narrow(&db, world, HOUR).await;
    run_out(&db, &mut next, &[], 4).await;
    next.stop().await;
}

#[tokio::test]
async fn what_a_dead_dispatcher_had_claimed_ahead_starts_once() {
    let (db, running, now) = ahead().await;
    let world = Arc::clone(&running.world);
    for launched in &now {
        running.end(launched, End::exited(0));
    }
    running.dispatcher.abandon();
    let mut next = narrow(&db, world, HOUR).await;
    run_out(&db, &mut next, &[], 4).await;
    next.stop().await;
}

#[tokio::test]
async fn what_was_claimed_ahead_is_adopted_without_a_slot() {
    let (db, running, now) = ahead().await;
    let world = Arc::clone(&running.world);
    running.dispatcher.abandon();
    // It has two free slots until it has adopted the others.
    db.run("update rowcall.parameters set enabled = false").await;
    let mut next = narrow(&db, Arc::clone(&world), HOUR).await;
    let mine = format!(
        "select count(*) = 4 from rowcall_internal.attempts where dispatcher_id = {}",
        next.dispatcher.id()
    );
    db.until(&mine).await;
    next.beats(&db).await;
    assert_eq!(world.distinct_launches(), 8, "two programs run, as many as there are slots");
    db.run("update rowcall.parameters set enabled = true").await;
    run_out(&db, &mut next, &now, 4).await;
    next.stop().await;
}

#[tokio::test]
async fn a_row_that_asks_again_while_it_waits_for_a_slot_is_not_lost() {
    let (db, mut running, now) = ahead().await;
    db.run(
        "update rowcall.files set status = 'REGISTERED' where status = 'PROCESSING' and id not in (
        select (row_key->>'id')::bigint from rowcall_internal.attempts where launched_at is not null)",
    )
    .await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall_internal.jobs where run_again").await, 2);
    db.run("select rowcall.pause('to see')").await;
    db.until(GIVEN_BACK).await;
    db.run("select rowcall.resume()").await;
    run_out(&db, &mut running, &now, 4).await;
    assert!(db.one::<bool>("select bool_and(status = 'PROCESSED') from rowcall.files").await);
    running.stop().await;
}

/// Whatever an urgent task is, it has its turn beside short ones without end.
async fn urgent_has_its_turn(urgent: (&str, &str)) {
    let (db, mut running, now) = ahead_beside(urgent).await;
    db.run("insert into rowcall.files (id, status) values (1000, 'URGENT')").await;
    announce(&running, &now);
    for id in 100..200 {
        db.run(&format!("insert into rowcall.files (id) values ({id})")).await;
        let launched = running.launch().await;
        if launched.attempt.task == "urgent" {
            return running.stop().await;
        }
        running.announce(&launched, End::exited(0));
    }
    panic!("it never had a slot");
}

#[tokio::test]
async fn a_task_with_a_cap_has_its_turn_beside_short_ones() {
    urgent_has_its_turn(("max_running", "1")).await;
}

#[tokio::test]
async fn a_long_task_has_its_turn_beside_short_ones() {
    urgent_has_its_turn(("", "")).await;
}

/// Of these rows, six of which are there more, no more run than there are slots, and none is claimed ahead.
async fn none_ahead(db: &TestDatabase, mut running: Running) {
    db.run("insert into rowcall.files (id) select generate_series(11, 16)").await;
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let launched = running.launch().await;
        seen.insert(launched.attempt.id);
    }
    running.wake(db).await;
    running.beats(db).await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall_internal.attempts").await, 2);
    assert_eq!(seen.len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_task_with_a_cap_is_not_claimed_ahead() {
    let (db, running) = taught(("max_running", "5"), HOUR).await;
    none_ahead(&db, running).await;
}

#[tokio::test]
async fn a_task_of_which_little_is_known_is_not_claimed_ahead() {
    let db = TestDatabase::new().await;
    db.task("new", "REGISTERED", ("", "")).await;
    let running = narrow(&db, Arc::default(), HOUR).await;
    none_ahead(&db, running).await;
}

#[tokio::test]
async fn a_new_task_waits_for_a_free_slot_beside_short_ones() {
    let (db, mut running) = taught(("", ""), HOUR).await;
    db.task("new", "OTHER", ("", "")).await;
    db.run("insert into rowcall.files (id) select generate_series(11, 12)").await;
    let now = [running.launch().await, running.launch().await];
    db.run("insert into rowcall.files (id, status) values (21, 'OTHER')").await;
    running.wake(&db).await;
    running.beats(&db).await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall_internal.attempts").await, 2);
    announce(&running, &now[..1]);
    assert_eq!(running.launch().await.attempt.task, "new");
    running.stop().await;
}

#[tokio::test]
async fn a_short_task_does_not_overtake_another_that_is_next() {
    let (db, mut running, now) = ahead_beside(("", "")).await;
    db.run("insert into rowcall.files (id, status) select id, 'URGENT' from generate_series(21, 22) id")
        .await;
    // Two of the six were claimed before; the others come after the urgent ones.
    let mut order = Vec::new();
    announce(&running, &now);
    for _ in 0..6 {
        let launched = running.launch().await;
        running.announce(&launched, End::exited(0));
        order.push(launched.attempt.task.clone());
    }
    assert_eq!(order[2..4], ["urgent", "urgent"], "{order:?}");
    db.until("select not exists (select from rowcall.jobs)").await;
    running.stop().await;
}
