//! No wake-up matters, and none is lost: writers notify only while somebody sleeps.

use std::sync::Arc;
use std::time::Duration;

use rowcall::job::End;
use rowcall::settings::Settings;

use crate::ear::Ear;
use crate::support::{FakeKind, Running, TestDatabase, settings};

/// Settings under which only a wake-up can explain that a job runs.
pub fn deaf_to_time(db: &TestDatabase) -> Settings {
    let mut settings = settings(&db.url);
    settings.dispatcher.poll_interval = Duration::from_hours(1);
    settings.dispatcher.probe_interval = Duration::from_hours(1);
    settings.dispatcher.janitor_interval = Duration::from_hours(1);
    settings.dispatcher.heartbeat_interval_when_idle = Duration::from_hours(1);
    settings
}

const ASLEEP: &str = "select exists (select from pg_locks
    where database = (select oid from pg_database where datname = current_database())
    and relation = 'rowcall_internal.wake_lock'::regclass and mode = 'ShareLock' and granted)";

/// Waits until the dispatcher sleeps. Nothing of ours tells of that, so this looks.
pub async fn asleep(db: &TestDatabase) {
    let sleeping = async {
        while !db.one::<bool>(ASLEEP).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sleeping).await.expect("the dispatcher never slept");
}

#[tokio::test]
async fn a_commit_notifies_only_while_somebody_sleeps() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let (client, ear) = Ear::open(&db).await;
    client.batch_execute("listen rowcall_registered; listen done").await.unwrap();
    db.run("insert into rowcall.files default values; notify done").await;
    assert_eq!(ear.until("done").await, ["done"]);

    let _sleeper = db.asleep().await;
    db.run("insert into rowcall.files default values").await;
    assert_eq!(ear.until("rowcall_registered").await, ["done", "rowcall_registered"]);
}

#[tokio::test]
async fn a_sleeping_dispatcher_is_woken() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::with(deaf_to_time(&db), Arc::default()).await;
    for _ in 0..3 {
        asleep(&db).await;
        db.run("insert into rowcall.files default values").await;
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
        db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_full_dispatcher_asks_for_no_wake_ups() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let small = FakeKind { capacity: 1, ..FakeKind::default() };
    let mut running = Running::made(deaf_to_time(&db), Arc::default(), small).await;
    db.run("insert into rowcall.files default values").await;
    let first = running.launch().await;
    // Launches are written down together, after a while in which it would have lain down.
    db.until("select bool_and(launched_at is not null) from rowcall.attempts").await;
    assert!(!db.one::<bool>(ASLEEP).await, "it sleeps");
    let (client, ear) = Ear::open(&db).await;
    client.batch_execute("listen rowcall_registered; listen done").await.unwrap();
    db.run("insert into rowcall.files default values; notify done").await;
    assert_eq!(ear.until("done").await, ["done"]);

    running.end(&first, End::exited(0));
    running.launch().await;
    running.stop().await;
}

#[tokio::test]
async fn no_wake_up_is_lost_while_many_write_and_the_dispatcher_dozes() {
    const WRITERS: usize = 6;
    const EACH: usize = 60;
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::with(deaf_to_time(&db), Arc::default()).await;
    let writers = (0..WRITERS).map(|writer| {
        let client = db.connect();
        async move {
            let client = client.await;
            for i in 0..EACH {
                // From a quick commit to a transaction that lives through several naps of the dispatcher.
                let pause = f64::from(u8::try_from((writer * 7 + i * 3) % 11).unwrap()) / 500.0;
                let sql = format!(
                    "begin; insert into rowcall.files default values; select pg_sleep({pause}); commit"
                );
                client.batch_execute(&sql).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(writers).await;
    for _ in 0..WRITERS * EACH {
        running.launch().await;
    }
    assert!(!running.launched_more());
    running.stop().await;
}

#[tokio::test]
async fn a_writers_long_transaction_keeps_nobody_else_waiting() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let long = db.connect().await;
    // Granted its lock before anybody sleeps: who wants to sleep now must wait for it.
    long.batch_execute("begin; insert into rowcall.files (attributes) values ('{\"long\": true}')")
        .await
        .unwrap();
    let mut running = Running::with(deaf_to_time(&db), Arc::default()).await;
    for i in 0..3 {
        db.run(&format!("insert into rowcall.files (attributes) values ('{{\"n\": {i}}}')")).await;
        running.launch().await;
    }
    long.batch_execute("commit").await.unwrap();
    running.launch().await;
    running.stop().await;
}

#[tokio::test]
async fn a_sleeper_whose_lock_is_cut_off_lies_down_again() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::with(deaf_to_time(&db), Arc::default()).await;
    for _ in 0..3 {
        let mut cut = 0;
        // It may get up, for a look, between our two statements.
        while cut == 0 {
            asleep(&db).await;
            cut = db
                .one::<i64>(
                    "select count(pg_terminate_backend(pid)) from pg_locks
                 where database = (select oid from pg_database where datname = current_database())
    and relation = 'rowcall_internal.wake_lock'::regclass and mode = 'ShareLock'",
                )
                .await;
        }
        assert_eq!(cut, 1);
        db.run("insert into rowcall.files default values").await;
        running.launch().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_session_that_sleeps_says_so() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let running = Running::with(deaf_to_time(&db), Arc::default()).await;
    asleep(&db).await;
    let named: String = db
        .one(
            "select string_agg(application_name, ',') from pg_stat_activity
             where datname = current_database() and application_name <> 'rowcall' and state = 'idle in transaction'",
        )
        .await;
    assert_eq!(named, "rowcall asleep, idle in transaction on purpose");
    running.stop().await;
}

#[tokio::test]
async fn sleep_holds_back_no_vacuum() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let running = Running::with(deaf_to_time(&db), Arc::default()).await;
    asleep(&db).await;
    // Once the statement that takes the lock is over.
    db.until(
        "(select count(*) = 0 from pg_stat_activity join pg_locks using (pid)
             where database = (select oid from pg_database where datname = current_database())
               and relation = 'rowcall_internal.wake_lock'::regclass and mode = 'ShareLock'
               and (backend_xmin is not null or backend_xid is not null))",
    )
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_writer_may_leave_it_to_polling() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut settings = settings(&db.url);
    settings.dispatcher.poll_interval = Duration::from_millis(50);
    let _sleeper = db.asleep().await;
    // The tests' own triggers notify as well.
    db.run("drop trigger test_changed on rowcall.files; drop trigger test_changed on rowcall_internal.jobs")
        .await;
    let prepared = db.one::<String>("select 'prepared_' || current_database()").await;
    db.run("set rowcall.wake_ups = 'off'").await;
    // It makes one job, and releases another.
    db.run("insert into rowcall.files (id) values (7); update rowcall.jobs set state = 'blocked', reason = 'x', blocked_at = now()")
        .await;
    for writes in [
        "insert into rowcall.files default values",
        "update rowcall.files set attributes = '{}' where id = 7",
    ] {
        db.run(&format!("begin; {writes}; prepare transaction '{prepared}'")).await;
        db.run(&format!("commit prepared '{prepared}'")).await;
    }
    let mut running = Running::with(settings, Arc::default()).await;
    running.launch().await;
    running.stop().await;
}
