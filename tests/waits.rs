//! Waits have bounds: a writer's for locks of ours, an operator's for a task, a dispatcher's for its database.

use std::time::{Duration, Instant};

use rowcall::database::{Database, Statements as _, migrate};
use rowcall::job::End;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_postgres::Client;

use crate::support::{Proxy, Running, TestDatabase, settings, settings_as_owner};

/// What a writer may wait for our locks is a tenth of a second; the rest is for a busy machine.
const WRITER: Duration = Duration::from_secs(2);

/// A table with a row whose job waits, and a session that will hold something.
async fn with_a_job() -> (TestDatabase, Client) {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let holder = db.connect().await;
    holder.batch_execute("begin").await.unwrap();
    (db, holder)
}

#[tokio::test]
async fn a_writer_waits_for_no_lock_of_ours() {
    for lock in [
        "select from rowcall_internal.jobs for update",
        "lock table rowcall_internal.jobs in share mode",
        "lock table rowcall_internal.jobs in access exclusive mode",
        "lock table rowcall_internal.missed_rows in access exclusive mode",
        "lock table rowcall.parameters in access exclusive mode",
        "lock table rowcall_internal.source_tables in access exclusive mode",
        "lock table rowcall_internal.wake_lock in access exclusive mode",
        "lock table rowcall_internal.jobs, rowcall_internal.missed_rows, rowcall.parameters, rowcall_internal.source_tables
            in access exclusive mode",
    ] {
        let (db, holder) = with_a_job().await;
        holder.batch_execute(lock).await.unwrap();
        let began = Instant::now();
        db.run("insert into rowcall.files (id) values (2)").await;
        db.run("update rowcall.files set status = 'OTHER' where id = 1").await;
        db.run("update rowcall.files set status = 'REGISTERED'").await;
        assert!(began.elapsed() < 3 * WRITER, "{lock}: {:?}", began.elapsed());
        holder.batch_execute("commit").await.unwrap();
        db.run("select rowcall_internal.enqueue_missed(); select rowcall.rescan('rowcall.files')").await;
        assert_eq!(db.jobs("loader").await, 2, "{lock}");
    }
}

#[tokio::test]
async fn a_writers_own_timeouts_and_cancels_stay_its_own() {
    let (db, holder) = with_a_job().await;
    holder.batch_execute("select from rowcall_internal.jobs for update").await.unwrap();
    db.run("set lock_timeout = '5ms'; update rowcall.files set status = 'OTHER'").await;
    assert_eq!(db.one::<String>("show lock_timeout").await, "5ms");
    db.run(
        "set lock_timeout = 0; set statement_timeout = '1s'; update rowcall.files set status = 'REGISTERED'",
    )
    .await;
    holder.batch_execute("commit; begin; select from rowcall.files for update").await.unwrap();
    let refused =
        db.refused("set statement_timeout = '100ms'; update rowcall.files set status = 'OTHER'").await;
    assert!(refused.starts_with("57014"), "it waits for the row itself as ever: {refused}");
}

#[tokio::test]
async fn a_full_queue_of_notifications_fails_no_writer() {
    let (db, _holder) = with_a_job().await;
    db.run(
        "create or replace function rowcall_internal.notify_queue_is_full() returns boolean language sql as 'select true'",
    )
    .await;
    let (listener, ear) = crate::ear::Ear::open(&db).await;
    listener
        .batch_execute(
            "listen rowcall_registered; listen rowcall_control; listen done; listen rowcall_parameters",
        )
        .await
        .unwrap();
    // Without a dispatcher's sleep there would be nothing to notify.
    let _asleep = db.asleep().await;
    db.run(
        "insert into rowcall.files (id) values (2); update rowcall.parameters set notify_channel = 'done';
         select rowcall.pause('x'); select rowcall.resume(); select rowcall.watch('rowcall.files')",
    )
    .await;
    listener.batch_execute("notify done, 'the end'").await.unwrap();
    ear.until("done").await;
    assert_eq!(ear.payloads(), ["the end"]);
    assert_eq!(db.jobs("loader").await, 2);
}

#[tokio::test]
async fn a_cancel_waits_for_no_task() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    let task = db.connect().await;
    task.batch_execute("begin").await.unwrap();
    task.query("select rowcall.task_start($1)", &[&launched.token]).await.unwrap();
    let began = Instant::now();
    db.run("select rowcall.cancel(id, 'not today') from rowcall.jobs").await;
    db.run("update rowcall.files set status = 'DELETED'").await;
    assert!(began.elapsed() < 2 * WRITER, "{:?}", began.elapsed());
    running.world.stopped(launched.attempt.id).await;
    let refused = task.query("select rowcall.task_progress($1)", &[&launched.token]).await.unwrap_err();
    assert!(format!("{refused:?}").contains("is being stopped: not today"), "{refused:?}");
    task.batch_execute("rollback").await.unwrap();
    db.until("select outcome = 'CANCELLED' and message = 'not today' from rowcall.history").await;
    running.stop().await;
}

#[tokio::test]
async fn what_a_cancelled_job_was_asked_again_is_cancelled_too() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    assert!(db.one::<bool>("select run_again from rowcall.jobs").await);
    db.run("select rowcall.cancel(id) from rowcall.jobs").await;
    running.world.stopped(launched.attempt.id).await;
    db.until("exists (select from rowcall.history)").await;
    assert_eq!(db.jobs("loader").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_hung_connection_is_replaced() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let proxy = Proxy::new(&db.url).await;
    let mut settings = settings_as_owner(&db.url);
    settings.database.url = proxy.url(&settings.database.url);
    settings.dispatcher.dead_after = Duration::from_secs(5);
    let mut running = Running::with(settings, std::sync::Arc::default()).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    running.launch().await;
    proxy.hang();
    db.run("insert into rowcall.files (id) values (2)").await;
    // Each piece of work may take 20 seconds, and all are given up together long before.
    running.launch_within(Duration::from_secs(30)).await;
    running.stop().await;
}

#[tokio::test]
async fn what_a_users_trigger_sets_for_its_session_ends_with_it() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run(
        "create function public.spoil() returns trigger language plpgsql as
         $$ begin perform set_config('default_transaction_read_only', 'on', false); return null; end $$;
         create trigger spoil after update on rowcall.files for each statement execute function public.spoil()",
    )
    .await;
    let mut running = Running::with(settings(&db.url), std::sync::Arc::default()).await;
    for id in 1..=6 {
        db.run(&format!("insert into rowcall.files (id) values ({id})")).await;
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
        db.until(&format!("select count(*) = {id} from rowcall.history")).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_migration_lets_others_go_first() {
    let (db, holder) = with_a_job().await;
    holder.batch_execute("lock table rowcall_internal.functions in access exclusive mode").await.unwrap();
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    let mut client = db.connect().await;
    let waits = move |what: &str| drop(told.send(what.to_owned()));
    let migrating = tokio::spawn(async move { migrate(&mut client, waits).await });
    let what = tell.recv().await.unwrap();
    assert!(what.starts_with("other sessions hold locks: "), "{what}");
    holder.batch_execute("commit").await.unwrap();
    assert!(migrating.await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn a_writers_transaction_keeps_its_own_lock_timeout() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let writer = db.connect().await;
    for own in ["0", "7min"] {
        writer.batch_execute(&format!("begin; set local lock_timeout = '{own}'")).await.unwrap();
        for statement in [
            "insert into rowcall.files (id) values (1)",
            "insert into rowcall.files (id) values (2), (3)",
            "update rowcall.files set status = 'OTHER' where id = 1",
            "update rowcall.files set status = 'REGISTERED'",
            "update rowcall.files set attributes = '{}'",
            "update rowcall.files set attributes = null where id = 1",
            "select rowcall.run('loader', 'rowcall.files', 1)",
            "select rowcall.cancel(id) from rowcall.jobs where row_key = '{\"id\": 1}'",
        ] {
            writer.batch_execute(statement).await.unwrap();
            let now: String = writer.query_one("show lock_timeout", &[]).await.unwrap().get(0);
            assert_eq!(now, own, "after {statement}");
        }
        writer.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test]
async fn a_missed_row_that_is_being_marked_runs_once() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    db.run("insert into rowcall.missed_rows (source_table, row_key, error) values ('rowcall.files', '{\"id\": 1}', 'a lock')")
        .await;
    // As a claim does it: the job, and then its row.
    let claim = db.connect().await;
    claim
        .batch_execute(
            "begin; select from rowcall_internal.jobs for update;
             select set_config('rowcall.writing', 'on ' || rowcall_internal.writing_proof(), true);
             update rowcall.files set status = 'PROCESSING'; update rowcall_internal.jobs set state = 'running'",
        )
        .await
        .unwrap();
    db.run("select rowcall_internal.enqueue_missed()").await;
    claim.batch_execute("commit").await.unwrap();
    db.run("select rowcall_internal.enqueue_missed()").await;
    assert!(db.one::<bool>("select not run_again and state = 'running' from rowcall.jobs").await);
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0);
}

#[tokio::test]
async fn a_move_that_could_only_be_noted_is_told_later() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("on_moved", "'stop'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall_internal.jobs for update").await.unwrap();
    db.run("update rowcall.files set status = 'DELETED'").await;
    let noted = "select string_agg(concat_ws(' ', moved_to, moved_by), ', ') from rowcall.missed_rows";
    assert_eq!(db.one::<String>(noted).await, "DELETED postgres");
    holder.batch_execute("commit").await.unwrap();
    running.world.stopped(launched.attempt.id).await;
    running.end(&launched, End::exited(143));
    db.until("select outcome = 'CANCELLED' from rowcall.history").await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "DELETED");
    running.stop().await;
}

#[tokio::test]
async fn a_note_of_a_move_before_the_start_moves_nothing() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    // The row went to and fro while its job was locked, and the note of it is taken late.
    db.run(
        "insert into rowcall_internal.missed_rows (source_table, row_key, error, moved_to, moved_by, noted_at)
         select source_table, row_key, 'lock timeout', 'REGISTERED', 'a user', created_at - interval '1 microsecond' from rowcall.attempts;
         select rowcall_internal.enqueue_missed()",
    )
    .await;
    db.until("select not exists (select from rowcall_internal.missed_rows)").await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn sessions_of_our_own_never_compile_statements() {
    let db = TestDatabase::new().await;
    let mut settings = settings(&db.url).database;
    settings.pool_size = 3;
    let database = Database::new(&settings).unwrap();
    database.look_for_pooler().await.unwrap();
    let (first, second) = (database.get().await.unwrap(), database.get().await.unwrap());
    let mut third = database.get().await.unwrap();
    for session in [&first, &second, &third] {
        let jit: String = session.one("show jit", &[]).await.unwrap().get(0);
        assert_eq!(jit, "off");
    }
    // What triggers have set is forgotten, and this is not.
    let transaction = third.transaction();
    transaction.begin().await.unwrap();
    transaction.users_ran();
    transaction.batch("set jit = on; set application_name = 'theirs'").await.unwrap();
    transaction.commit_after_users().await.unwrap();
    drop(transaction);
    database.give_back(third);
    let forgotten = "select count(*) = 0 from pg_stat_activity where application_name = 'theirs'";
    db.until(forgotten).await;
    let again = database.get().await.unwrap();
    let jit: String = again.one("show jit", &[]).await.unwrap().get(0);
    assert_eq!(jit, "off");
}

#[tokio::test]
async fn a_server_that_falls_silent_after_the_start_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings("postgresql://daemon@127.0.0.1/db?sslmode=disable").database;
    settings.url = settings.url.replace("127.0.0.1", &silent.local_addr().unwrap().to_string());
    settings.connect_timeout = Duration::from_millis(100);
    let greeting = tokio::spawn(async move {
        let mut connections = Vec::new();
        loop {
            let (mut connection, _) = silent.accept().await.unwrap();
            let _ = connection.read(&mut [0; 1024]).await;
            // Signed in, and ready for a query.
            connection.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
            connections.push(connection);
        }
    });
    let database = Database::new(&settings).unwrap();
    let looking = tokio::time::timeout(Duration::from_secs(30), database.look_for_pooler()).await;
    let error = looking.expect("it has a limit").unwrap_err().to_string();
    assert!(error.contains("no answer"), "{error}");
    greeting.abort();
}
