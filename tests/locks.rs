//! Whoever holds a lock holds up its own jobs, and nobody else's.

use std::sync::Arc;

use rowcall::database::{Database, Statements as _};
use rowcall::job::End;

use crate::support::{Running, TestDatabase, settings};

#[tokio::test]
async fn a_task_that_hangs_holding_its_attempt_is_stopped_at_timeout() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("timeout, max_attempts", "'300 milliseconds', 1")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    let task = db.connect().await;
    task.batch_execute("begin").await.unwrap();
    task.query("select rowcall.task_progress($1)", &[&launched.token]).await.unwrap();
    // Another one, past its deadline as well, does not wait for it.
    db.run("insert into rowcall.files default values").await;
    running.launch().await;
    db.until("select exists (select from rowcall.history where outcome = 'TIMED_OUT')").await;
    running.world.stopped(launched.attempt.id).await;
    task.batch_execute("rollback").await.unwrap();
    db.until("select count(*) = 2 from rowcall.history where outcome = 'TIMED_OUT'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_launch_is_noted_although_another_task_holds_its_attempt() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    let task = db.connect().await;
    task.batch_execute("begin").await.unwrap();
    task.query("select rowcall.task_start($1)", &[&launched.token]).await.unwrap();
    db.run("insert into rowcall.files default values").await;
    running.launch().await;
    db.until(
        "select exists (select from rowcall.attempts where launched_at is not null and row_key = '{\"id\": 2}')",
    )
    .await;
    task.batch_execute("commit").await.unwrap();
    db.until("select bool_and(launched_at is not null) from rowcall.attempts").await;
    running.stop().await;
}

#[tokio::test]
async fn a_lock_that_a_users_trigger_awaits_stops_no_other_table() {
    let db = TestDatabase::new().await;
    db.run(
        "create table counters (n int); insert into counters values (0); grant all on counters to rowcall_writer;
         create table docs (id int primary key, status text);
         create function count_docs() returns trigger language plpgsql as
         $$ begin update counters set n = n + 1; return null; end $$;
         create trigger count_docs after update on docs for each statement execute function count_docs();
         select rowcall.watch('docs')",
    )
    .await;
    db.task("book", "NEW", ("source_table, result_column", "'docs', null")).await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    let user = db.connect().await;
    user.batch_execute("begin; update counters set n = 100").await.unwrap();
    db.run("insert into docs values (1, 'NEW')").await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    assert_eq!(launched.attempt.task, "loader");
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    user.batch_execute("commit").await.unwrap();
    db.until("select exists (select from rowcall.attempts where task = 'book')").await;
    assert_eq!(running.launch().await.attempt.task, "book");
    running.stop().await;
}

#[tokio::test]
async fn a_locked_table_defers_its_jobs_and_blocks_none() {
    let db = TestDatabase::new().await;
    db.run("create table docs (id int primary key, status text); select rowcall.watch('docs')").await;
    db.task("book", "NEW", ("source_table, result_column", "'docs', null")).await;
    db.run("insert into docs values (1, 'NEW')").await;
    let user = db.connect().await;
    user.batch_execute("begin; lock table docs in access exclusive mode").await.unwrap();
    let mut running = Running::start(&db).await;
    db.until("select state = 'waiting' from rowcall.jobs").await;
    user.batch_execute("commit").await.unwrap();
    running.launch().await;
    running.stop().await;
}

#[tokio::test]
async fn a_long_reader_of_the_history_keeps_settling_going() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run(
        "create table rowcall_internal.history_20200101 partition of rowcall_internal.history
         for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00');
         create table rowcall_internal.ended_attempts_20200101 partition of rowcall_internal.ended_attempts
         for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')",
    )
    .await;
    let reader = db.connect().await;
    let reading = "begin; select count(*) from rowcall.history; select count(*) from rowcall.attempts";
    reader.batch_execute(reading).await.unwrap();
    // Its janitor wants to drop the old partitions, again and again.
    let mut running = Running::with(settings(&db.url), Arc::default()).await;
    for id in 1..=3 {
        db.run("insert into rowcall.files default values").await;
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
        db.until(&format!("select status = 'PROCESSED' from rowcall.files where id = {id}")).await;
    }
    let there = "select to_regclass('rowcall_internal.history_20200101') is not null
        and to_regclass('rowcall_internal.ended_attempts_20200101') is not null";
    assert!(db.one::<bool>(there).await);
    let gone = "select to_regclass('rowcall_internal.history_20200101') is null
        and to_regclass('rowcall_internal.ended_attempts_20200101') is null";
    reader.batch_execute("commit").await.unwrap();
    let dropped = async {
        while !db.one::<bool>(gone).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), dropped).await.expect("dropped in the end");
    running.stop().await;
}

#[tokio::test]
async fn a_claim_reads_what_is_committed_whatever_the_default() {
    let db = TestDatabase::new().await;
    let name: String = db.one("select quote_ident(current_database())").await;
    db.run(&format!("alter database {name} set default_transaction_isolation = 'serializable'")).await;
    let database = Database::new(&settings(&db.url).database).unwrap();
    let mut client = database.get().await.unwrap();
    let transaction = client.transaction();
    transaction.begin().await.unwrap();
    let level = transaction.one("select current_setting('transaction_isolation')", &[]).await.unwrap();
    assert_eq!(level.get::<_, &str>(0), "read committed");
}

#[tokio::test]
async fn a_dispatcher_frozen_in_a_transaction_lets_go() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files default values").await;
    let database = Database::new(&settings(&db.url).database).unwrap();
    let mut client = database.get().await.unwrap();
    let transaction = client.transaction();
    transaction.begin().await.unwrap();
    transaction.run("select from rowcall_internal.jobs for update", &[]).await.unwrap();
    // It does nothing from here on, and another session wants the job. The server ends the frozen one.
    let other = db.run("select from rowcall_internal.jobs for update");
    tokio::time::timeout(std::time::Duration::from_secs(25), other).await.expect("it was let go");
    assert!(transaction.commit().await.is_err());
}

#[tokio::test]
async fn launches_and_ends_are_durable_whatever_the_default() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run(
        "create table durable (at text, setting text);
         create function durable() returns trigger language plpgsql security definer as $$ begin
            insert into public.durable values (tg_table_name, current_setting('synchronous_commit')); return null; end $$;
         create trigger durable after insert on rowcall_internal.attempts for each statement execute function durable();
         create trigger durable after insert on rowcall_internal.history for each statement execute function durable()",
    )
    .await;
    let name: String = db.one("select quote_ident(current_database())").await;
    db.run(&format!("alter database {name} set synchronous_commit = off")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("exists (select from rowcall.history)").await;
    let told: String = db.one("select string_agg(at || ' ' || setting, ', ' order by at) from durable").await;
    assert_eq!(told, "attempts on, history on");
    running.stop().await;
}

#[tokio::test]
async fn launches_and_ends_are_durable_behind_a_pooler_too() {
    let db = TestDatabase::new().await;
    let name: String = db.one("select quote_ident(current_database())").await;
    db.run(&format!("alter database {name} set synchronous_commit = off")).await;
    let session = db.connect().await;
    let durable = async || -> String {
        session.query_one("select current_setting('synchronous_commit')", &[]).await.unwrap().get(0)
    };
    // As start_jobs() and end_attempts() ask for it; then the session is made ready for its next user, and last comes the commit.
    session.batch_execute("begin; select set_config('synchronous_commit', 'on', true)").await.unwrap();
    session
        .batch_execute(include_str!("../sql/queries/connections/forget_in_transaction.sql"))
        .await
        .unwrap();
    assert_eq!(durable().await, "on");
    session.batch_execute("commit").await.unwrap();
    assert_eq!(durable().await, "off", "the next user has what it had");
}
