//! While no attempt is open a dispatcher beats rarely, and others wait longer for it.

use std::sync::Arc;
use std::time::Duration;

use rowcall::job::End;
use rowcall::settings::Settings;

use crate::support::{FakeKind, Running, TestDatabase, hear_beats, settings};

/// Settings under which a dispatcher is soon idle, and then does nothing but beat at this interval.
fn soon_idle(db: &TestDatabase, interval: Duration) -> Settings {
    let mut settings = settings(&db.url);
    settings.dispatcher.heartbeat_interval = Duration::from_millis(50);
    settings.dispatcher.heartbeat_interval_when_idle = interval;
    settings.dispatcher.poll_interval = Duration::from_hours(1);
    settings.dispatcher.janitor_interval = Duration::from_hours(1);
    settings
}

async fn prepared() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    hear_beats(&db).await;
    db
}

/// Waits until a dispatcher has told others to wait so long for its next beat.
async fn lease_is(db: &TestDatabase, running: &Running, lease: &str) {
    let id = running.dispatcher.id();
    db.until(&format!("select dead_after = '{lease}' from rowcall.dispatchers where id = {id}")).await;
}

#[tokio::test]
async fn an_idle_dispatchers_lease_is_long_until_it_claims() {
    let db = prepared().await;
    let settings = soon_idle(&db, Duration::from_hours(1));
    let mut running = Running::with(settings, Arc::default()).await;
    for _ in 0..2 {
        lease_is(&db, &running, "3 hours").await;
        db.run("insert into rowcall.files default values").await;
        let launched = running.launch().await;
        lease_is(&db, &running, "1 second").await;
        running.end(&launched, End::exited(0));
        db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_rare_beat_finds_jobs_that_were_not_announced() {
    let db = prepared().await;
    let mut running = Running::with(soon_idle(&db, Duration::from_millis(400)), Arc::default()).await;
    lease_is(&db, &running, "1.2 seconds").await;
    db.run(
        "begin; set local session_replication_role = replica; insert into rowcall.files default values;
         insert into rowcall_internal.jobs (task, source_table, row_key, short_key, on_status)
         values ('loader', 'rowcall.files', '{\"id\": 1}', '{\"id\": 1}', 'REGISTERED'); commit",
    )
    .await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn an_idle_dispatcher_adopts_what_another_one_leaves() {
    let db = prepared().await;
    let world = Arc::default();
    // It has no room, so that the other one claims the job.
    let full = FakeKind { capacity: 0, ..FakeKind::default() };
    let idle = Running::made(soon_idle(&db, Duration::from_millis(400)), Arc::clone(&world), full).await;
    lease_is(&db, &idle, "1.2 seconds").await;
    let mut dying = Running::with(settings(&db.url), world).await;
    db.run("insert into rowcall.files default values").await;
    let launched = dying.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    dying.dispatcher.abandon();
    db.until(&format!("select dispatcher_id = {} from rowcall.attempts", idle.dispatcher.id())).await;
    idle.end(&launched, End::exited(0));
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    idle.stop().await;
}

#[tokio::test]
async fn an_idle_dispatcher_is_told_what_another_one_leaves() {
    let db = prepared().await;
    let world = Arc::default();
    let full = FakeKind { capacity: 0, ..FakeKind::default() };
    // By itself it would look in an hour.
    let idle = Running::made(soon_idle(&db, Duration::from_hours(1)), Arc::clone(&world), full).await;
    lease_is(&db, &idle, "3 hours").await;
    let mut leaving = Running::with(settings(&db.url), world).await;
    db.run("insert into rowcall.files default values").await;
    let launched = leaving.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    leaving.dispatcher.drain();
    leaving.dispatcher.finish().await.unwrap();
    db.until(&format!("select dispatcher_id = {} from rowcall.attempts", idle.dispatcher.id())).await;
    idle.end(&launched, End::exited(0));
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    idle.stop().await;
}
