//! A dispatcher may die, be replaced, be cut off, or hang: others go on, and nothing runs twice.

use std::sync::Arc;
use std::time::Duration;

use rowcall::job::{DispatcherId, End};
use tokio::sync::Semaphore;

use crate::support::{FakeKind, Launched, Running, TestDatabase, World, hear_beats, settings};

/// Longer than anything here takes, and shorter than an hour.
const LIMIT: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_hours(1);

async fn prepared() -> (TestDatabase, Arc<World>) {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    (db, Arc::default())
}

async fn insert(db: &TestDatabase) {
    db.run("insert into rowcall.files default values").await;
}

async fn succeeds(db: &TestDatabase, running: &mut Running) {
    insert(db).await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
}

#[tokio::test]
async fn jobs_run_by_polling_where_listen_is_off() {
    let (db, world) = prepared().await;
    let mut settings = settings(&db.url);
    settings.dispatcher.listen = false;
    settings.dispatcher.poll_interval_without_listen = Duration::from_millis(50);
    let mut running = Running::with(settings, world).await;
    succeeds(&db, &mut running).await;
    let listening = "select count(*) from pg_stat_activity where datname = current_database()
        and query ilike 'listen%rowcall_registered%'";
    assert_eq!(db.one::<i64>(listening).await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_killed_listener_listens_again() {
    let (db, world) = prepared().await;
    let mut settings = settings(&db.url);
    // Only a notification can explain a launch now.
    settings.dispatcher.poll_interval = HOUR;
    settings.dispatcher.poll_interval_without_listen = HOUR;
    settings.dispatcher.heartbeat_interval = HOUR;
    settings.dispatcher.dead_after = 2 * HOUR;
    settings.dispatcher.janitor_interval = HOUR;
    let mut running = Running::with(settings, world).await;
    succeeds(&db, &mut running).await;
    for _ in 0..2 {
        let kill =
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()
            and pid <> pg_backend_pid() and query ilike 'listen%rowcall_registered%'";
        // Not before it listens.
        let killed = async { while db.one::<i64>(kill).await == 0 {} };
        tokio::time::timeout(LIMIT, killed).await.expect("nobody listens");
        succeeds(&db, &mut running).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_drained_dispatcher_leaves_what_runs_to_the_next() {
    let (db, world) = prepared().await;
    let mut first = Running::with(settings(&db.url), Arc::clone(&world)).await;
    insert(&db).await;
    let launched = first.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    first.dispatcher.drain();
    first.dispatcher.finish().await.unwrap();
    insert(&db).await;
    // Stopped in good order: nobody waits for dead_after.
    let mut slow = settings(&db.url);
    slow.dispatcher.dead_after = HOUR;
    let mut next = Running::with(slow, Arc::clone(&world)).await;
    let second = next.launch().await;
    assert_ne!(second.attempt.id, launched.attempt.id);
    world.end(&launched.attempt, End::exited(0));
    world.end(&second.attempt, End::exited(0));
    db.until("select count(*) = 2 from rowcall.history where outcome = 'SUCCEEDED' and attempt_count = 1")
        .await;
    assert_eq!(world.launches.lock().unwrap().len(), 2);
    assert!(world.stops.lock().unwrap().is_empty());
    next.stop().await;
}

#[tokio::test]
async fn what_is_being_claimed_when_a_drain_begins_is_launched() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    db.run(
        "create function public.slow() returns trigger language plpgsql as $$ begin
            if new.status = 'PROCESSING' then perform pg_sleep(0.5); end if; return new; end $$;
         create trigger slow before update on rowcall.files for each row execute function public.slow()",
    )
    .await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let marks = "select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep')";
    while !db.one::<bool>(marks).await {}
    running.dispatcher.drain();
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    running.dispatcher.finish().await.unwrap();
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "PROCESSED");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_runner_that_does_not_answer() {
    let (db, world) = prepared().await;
    *world.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let running = Running::with(settings(&db.url), Arc::clone(&world)).await;
    insert(&db).await;
    world.asked().await;
    tokio::time::timeout(LIMIT, running.stop()).await.expect("it still waits for the launch");

    *world.gate.lock().unwrap() = None;
    let mut next = Running::with(settings(&db.url), Arc::clone(&world)).await;
    let launched = next.launch().await;
    next.end(&launched, End::exited(0));
    db.until("select count(*) = 1 from rowcall.history where attempt_count = 1").await;
    next.stop().await;
}

#[tokio::test]
async fn a_dead_dispatchers_attempts_are_adopted_after_dead_after() {
    let (db, world) = prepared().await;
    let mut first = Running::with(settings(&db.url), Arc::clone(&world)).await;
    insert(&db).await;
    let launched = first.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    let dead = first.dispatcher.id();
    first.dispatcher.abandon();
    let next = Running::with(settings(&db.url), Arc::clone(&world)).await;
    let id = next.dispatcher.id();
    db.until(&format!("select dispatcher_id = {id} from rowcall.attempts")).await;
    let silent: f64 = db
        .one(&format!("select extract(epoch from clock_timestamp() - seen_at)::float8 from rowcall.dispatchers where id = {dead}"))
        .await;
    assert!(silent >= 1.0, "adopted after {silent} s");
    next.end(&launched, End::exited(0));
    db.until("select count(*) = 1 from rowcall.history where outcome = 'SUCCEEDED'").await;
    assert_eq!(world.launches.lock().unwrap().len(), 1);
    next.stop().await;
}

/// One that lives and shows no sign of it, and that looks at its attempts only when it is told to; and what it has launched.
async fn silent_with_a_launch(db: &TestDatabase, world: &Arc<World>) -> (Running, Launched) {
    let mut silent = settings(&db.url);
    silent.dispatcher.heartbeat_interval = HOUR;
    silent.dispatcher.dead_after = 2 * HOUR;
    silent.dispatcher.watch_interval = HOUR;
    let mut first = Running::with(silent, Arc::clone(world)).await;
    insert(db).await;
    let launched = first.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    // Others go by what it has said of itself.
    db.run("update rowcall.dispatchers set dead_after = '1 second'").await;
    (first, launched)
}

#[tokio::test]
async fn a_late_end_seen_by_a_dispatcher_thought_dead_changes_nothing() {
    let (db, world) = prepared().await;
    let (mut first, launched) = silent_with_a_launch(&db, &world).await;
    let mut next = Running::with(settings(&db.url), Arc::clone(&world)).await;
    db.until(&format!("select dispatcher_id = {} from rowcall.attempts", next.dispatcher.id())).await;
    next.end(&launched, End::exited(3));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    // Now the first one hears of an end, and of another one than was settled.
    first.announce(&launched, End::exited(0));
    db.run("update rowcall.jobs set due_at = now()").await;
    next.wake(&db).await;
    let again = tokio::select! { l = next.launch() => l, l = first.launch() => l };
    assert_eq!(again.attempt.number, 2);
    world.end(&again.attempt, End::exited(0));
    first.announce(&again, End::exited(0));
    db.until("exists (select from rowcall.history)").await;
    let outcomes: Vec<String> =
        db.one("select array_agg(outcome::text order by number) from rowcall.attempts").await;
    assert_eq!(outcomes, ["TASK_FAILED", "SUCCEEDED"]);
    assert_eq!(db.one::<i64>("select count(*) from rowcall.history").await, 1);
    next.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn an_end_is_left_to_the_dispatcher_that_has_the_attempt() {
    let (db, world) = prepared().await;
    let (first, launched) = silent_with_a_launch(&db, &world).await;
    let next = Running::with(settings(&db.url), Arc::clone(&world)).await;
    db.until(&format!("select dispatcher_id = {} from rowcall.attempts", next.dispatcher.id())).await;
    // The first does not know yet that it has lost it. Were this settled, the runner would forget the key under which the other may call.
    first.announce(&launched, End::exited(3));
    next.beats(&db).await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.attempts where ended_at is null").await, 1);
    next.end(&launched, End::exited(0));
    db.until("select count(*) = 1 from rowcall.history where outcome = 'SUCCEEDED' and attempt_count = 1")
        .await;
    next.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn a_dispatcher_that_slept_launches_nothing_others_took_over() {
    let (db, world) = prepared().await;
    let gate = Arc::new(Semaphore::new(0));
    let mut first = settings(&db.url);
    // It can launch one at a time, and the runner keeps it waiting.
    first.dispatcher.launch_concurrency = 1;
    *world.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let first = Running::with(first, Arc::clone(&world)).await;
    db.run("insert into rowcall.files select from generate_series(1, 2)").await;
    db.until("select count(*) = 2 from rowcall.attempts").await;
    world.asked().await;
    // Meanwhile others take over, run and settle both.
    *world.gate.lock().unwrap() = None;
    db.run(
        "insert into rowcall.dispatchers (host, pid, version, runners) values ('other', 1, '0', '{docker}');
         update rowcall_internal.attempts set dispatcher_id = (select max(id) from rowcall.dispatchers),
             launched_at = now(), external_id = 'elsewhere'",
    )
    .await;
    db.run("select rowcall_internal.lose_attempts(array(select id from rowcall.attempts), 'over'); delete from rowcall.jobs")
        .await;
    first.beats(&db).await;
    gate.add_permits(2);
    first.stop().await;
    // The one under way when it fell asleep, and not the other.
    assert_eq!(world.launches.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_attempt_that_became_its_own_unheard_is_found_again() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let world = Arc::<World>::default();
    let mut first = Running::with(settings(&db.url), Arc::clone(&world)).await;
    db.run("insert into rowcall.files default values").await;
    let launched = first.launch().await;
    db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    first.dispatcher.abandon();
    let next = Running::with(settings(&db.url), Arc::clone(&world)).await;
    // As if the next one had taken it over, and the answer to that had been lost on the way.
    db.run(&format!("update rowcall_internal.attempts set dispatcher_id = {}", next.dispatcher.id())).await;
    next.end(&launched, End::exited(0));
    db.until("exists (select from rowcall.files where status = 'PROCESSED')").await;
    next.stop().await;
}

#[tokio::test]
async fn a_copy_with_an_identity_of_its_own_leaves_the_original_alone() {
    let (db, world) = prepared().await;
    let mut original = Running::with(settings(&db.url), Arc::clone(&world)).await;
    db.run("insert into rowcall.files default values").await;
    original.launch().await;
    let refused = db.refused("select rowcall.new_identity()").await;
    assert!(refused.starts_with("RC006"), "{refused}");
    original.dispatcher.abandon();
    db.run("update rowcall.dispatchers set seen_at = now() - interval '1 hour'").await;
    let before: String = db.one("select id::text from rowcall_internal.instance").await;
    assert_eq!(db.one::<i64>("select rowcall.new_identity()").await, 1);
    assert_ne!(db.one::<String>("select id::text from rowcall_internal.instance").await, before);
    let copy = Running::with(settings(&db.url), Arc::clone(&world)).await;
    copy.beats(&db).await;
    assert_eq!(world.launches.lock().unwrap().len(), 1);
    assert!(world.stops.lock().unwrap().is_empty());
    copy.stop().await;
}

#[tokio::test]
async fn after_an_outage_for_all_nobody_takes_the_others_for_dead() {
    let (db, world) = prepared().await;
    let settings = |url: &str| {
        let mut settings = settings(url);
        // On a busy machine a beat may be late by a second, which is not what this is about.
        settings.dispatcher.dead_after = Duration::from_millis(2500);
        settings
    };
    let mut one = Running::with(settings(&db.url), Arc::clone(&world)).await;
    db.run("insert into rowcall.files default values").await;
    let launched = one.launch().await;
    db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    let other = Running::with(settings(&db.url), Arc::clone(&world)).await;
    // Nobody can say that it lives, for longer than dead_after.
    db.run(
        "begin; lock table rowcall_internal.dispatchers in access exclusive mode; select pg_sleep(3.5);
         update rowcall.dispatchers set seen_at = now() - interval '1 minute'; commit",
    )
    .await;
    other.beats(&db).await;
    one.beats(&db).await;
    other.beats(&db).await;
    let follower: DispatcherId = db.one("select dispatcher_id from rowcall.attempts").await;
    assert_eq!(follower, one.dispatcher.id());
    one.end(&launched, End::exited(0));
    db.until("exists (select from rowcall.files where status = 'PROCESSED')").await;
    one.stop().await;
    other.stop().await;
}

/// It takes no silent dispatcher for dead for a while: that may only now come back, as it does. One that has said that it ends will not.
#[tokio::test]
async fn a_dispatcher_that_was_cut_off_adopts_what_another_leaves() {
    let (db, world) = prepared().await;
    hear_beats(&db).await;
    let mut patient = settings(&db.url);
    patient.dispatcher.dead_after = HOUR;
    // It has no room, so that the other one claims the job.
    let full = FakeKind { capacity: 0, ..FakeKind::default() };
    let back = Running::made(patient, Arc::clone(&world), full).await;
    let id = back.dispatcher.id();
    let silent = "update rowcall_internal.dispatchers set seen_at = now() - interval '2 hours'";
    db.run(&format!("{silent} where id = {id}")).await;
    db.until(&format!("select seen_at > now() - interval '1 hour' from rowcall.dispatchers where id = {id}"))
        .await;
    let mut leaving = Running::with(settings(&db.url), Arc::clone(&world)).await;
    insert(&db).await;
    let launched = leaving.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    leaving.dispatcher.drain();
    leaving.dispatcher.finish().await.unwrap();
    db.until(&format!("select dispatcher_id = {id} from rowcall.attempts")).await;
    back.end(&launched, End::exited(0));
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    back.stop().await;
}
