//! Every state has an owner that ends it: a dispatcher that may, one that is left, or the janitor.

use std::sync::Arc;

use rowcall::job::{End, RunnerName};

use rowcall::dispatcher::Mode;

use crate::support::{FakeKind, Running, TestDatabase, process_settings, rowcall, settings, start_process};

async fn with_rows(rows: i32, more: (&str, &str)) -> TestDatabase {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", more).await;
    db.run(&format!("insert into rowcall.files (id) select generate_series(1, {rows})")).await;
    db
}

#[tokio::test]
async fn what_one_dispatcher_refuses_another_may_start() {
    let db = with_rows(20, ("", "")).await;
    let narrow = FakeKind { forbids: "fake", ..FakeKind::default() };
    let refusing = Running::made(settings(&db.url), Arc::default(), narrow).await;
    db.until("select count(*) = 20 from rowcall.jobs where state = 'blocked'").await;
    let mut allowing = Running::start(&db).await;
    for _ in 0..20 {
        let launched = allowing.launch().await;
        allowing.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 20 from rowcall.history where outcome = 'SUCCEEDED'").await;
    db.run("insert into rowcall.files (id) values (21)").await;
    allowing.launch().await;
    allowing.stop().await;
    refusing.stop().await;
}

#[tokio::test]
async fn what_all_dispatchers_refuse_is_blocked() {
    let db = with_rows(0, ("", "")).await;
    db.run("update rowcall.parameters set target = 'forbidden'").await;
    let (one, other) = (Running::start(&db).await, Running::start(&db).await);
    db.run("insert into rowcall.files (id) values (1)").await;
    db.until("select state = 'blocked' and cardinality(refused_by) = 2 from rowcall.jobs").await;
    db.run("update rowcall.parameters set target = 'fake'").await;
    db.until("exists (select from rowcall.attempts)").await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn looking_for_jobs_without_a_dispatcher_reads_no_others() {
    let db = with_rows(0, ("", "")).await;
    db.run("insert into rowcall.files (status) select 'REGISTERED' from generate_series(1, 5000); analyze rowcall_internal.jobs").await;
    let docker = "insert into rowcall_internal.dispatchers (host, pid, version, runners) values ('here', 1, '1', '{docker}') returning id";
    let asking: i64 = db.one(docker).await;
    let statement = include_str!("../sql/queries/jobs/block_unowned.sql").replace("$1", &asking.to_string());
    // Counted in the transaction so far, and of those before it what is not handed on yet.
    let count = "select (seq_tup_read + idx_tup_fetch)::bigint from pg_stat_xact_user_tables where relid = 'rowcall_internal.jobs'::regclass";
    db.run("begin").await;
    let before: i64 = db.one(count).await;
    db.run(&statement).await;
    let read = db.one::<i64>(count).await - before;
    assert!(read < 100, "{read} jobs were looked at");
    db.run("commit").await;

    for (task, more) in [
        ("unowned", ("runner, target", "'lambda', 'f'")),
        ("gone", ("", "")),
        ("keyed", ("runner, target, concurrency_key", "'lambda', 'f', '{{ row.id }}'")),
    ] {
        db.task(task, task, more).await;
    }
    db.run(
        "insert into rowcall.files (status) select unnest('{unowned,gone,keyed,keyed}'::text[]);
         update rowcall.jobs set concurrency_key = 'a' where id = (select max(id) from rowcall.jobs);
         update rowcall.jobs set refused_by = '{9/1}', reason = 'forbidden' where id = (select min(id) from rowcall.jobs);
         delete from rowcall.parameters where name = 'gone'",
    )
    .await;
    db.run(&statement).await;
    let blocked = "select string_agg(concat_ws(': ', task, reason), '; ' order by task) from rowcall.jobs where state = 'blocked'";
    assert_eq!(
        db.one::<String>(blocked).await,
        "gone: no parameters row named gone; keyed: no running dispatcher offers the runner lambda; \
         keyed: no running dispatcher offers the runner lambda; unowned: no running dispatcher offers the runner lambda"
    );
    // The first was refused by a dispatcher that is gone, and is by this one from here on.
    let refuse = format!(
        "update rowcall.jobs j set refused_by = refused_by || format('{asking}/%s', p.version)
         from rowcall.parameters p where p.name = j.task and refused_by is not null"
    );
    db.run(&refuse).await;
    db.run(&statement).await;
    let blocked = "select reason from rowcall.jobs where task = 'loader' and state = 'blocked'";
    assert_eq!(db.one::<String>(blocked).await, "forbidden");
}

#[tokio::test]
async fn what_no_dispatcher_offers_any_more_is_lost() {
    let db = with_rows(1, ("max_attempts, backoff, backoff_max", "1, '1 ms', '1 ms'")).await;
    let mut docker = Running::start(&db).await;
    docker.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    docker.dispatcher.abandon();
    let processes = Running::in_place_of(RunnerName::Process, settings(&db.url), Arc::default()).await;
    db.run("select rowcall.cancel(id, 'not there any more') from rowcall.jobs").await;
    db.until("exists (select from rowcall.history)").await;
    let told: String = db.one("select concat_ws(' ', outcome, message) from rowcall.history").await;
    assert_eq!(told, "CANCELLED not there any more");
    let reason: String = db.one("select reason from rowcall.attempts").await;
    assert_eq!(reason, "not there any more");
    processes.stop().await;
}

#[tokio::test]
async fn a_task_that_holds_its_attempt_is_followed_by_the_next() {
    let db = with_rows(1, ("timeout, max_attempts", "'1 s', 1")).await;
    let mut doomed = Running::start(&db).await;
    let launched = doomed.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    let world = Arc::clone(&doomed.world);
    let task = db.connect().await;
    task.batch_execute("begin").await.unwrap();
    task.query("select rowcall.task_start($1)", &[&launched.token]).await.unwrap();
    doomed.dispatcher.abandon();
    let next = Running::with(settings(&db.url), world).await;
    next.world.stopped(launched.attempt.id).await;
    // Its program is gone, and with it the session.
    task.batch_execute("rollback").await.unwrap();
    db.until("exists (select from rowcall.history)").await;
    let outcome: String = db.one("select outcome from rowcall.history").await;
    assert_eq!(outcome, "TIMED_OUT");
    next.stop().await;
}

#[tokio::test]
async fn an_attempt_whose_job_is_gone_ends() {
    let db = with_rows(1, ("", "")).await;
    let mut running = Running::start(&db).await;
    let launched = running.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    db.run("delete from rowcall_internal.jobs").await;
    running.world.stopped(launched.attempt.id).await;
    let told: String = db.one("select concat_ws(' ', outcome, reason) from rowcall.attempts").await;
    assert_eq!(told, "LOST its job is gone");
    running.stop().await;
}

#[tokio::test]
async fn what_has_ended_takes_no_room() {
    let db = with_rows(2, ("", "")).await;
    let small = FakeKind { capacity: 2, ..FakeKind::default() };
    let mut running = Running::made(settings(&db.url), Arc::default(), small).await;
    let (first, second) = (running.launch().await, running.launch().await);
    db.until("select count(*) = 2 from rowcall.attempts where launched_at is not null").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.files for update").await.unwrap();
    running.end(&first, End::exited(0));
    running.end(&second, End::exited(0));
    db.run("insert into rowcall.files (id) values (3), (4)").await;
    for _ in 3..=4 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    holder.batch_execute("commit").await.unwrap();
    db.until("select count(*) = 4 from rowcall.history where outcome = 'SUCCEEDED'").await;
    running.stop().await;
}

#[tokio::test]
async fn rows_behind_one_lock_are_waited_for_alone() {
    let db = TestDatabase::new().await;
    db.run(
        "create table customers (id int primary key, files int default 0); insert into customers values (1), (2);
         create table docs (id int primary key, customer int, status text);
         grant select, update on customers to rowcall_writer;
         create function count_files() returns trigger language plpgsql as
         $$ begin update customers set files = files + 1 where id = new.customer; return null; end $$;
         create trigger count_files after update on docs for each row execute function count_files();
         select rowcall.watch('docs')",
    )
    .await;
    db.task("loader", "NEW", ("source_table, result_column", "'docs', null")).await;
    let holder = db.connect().await;
    holder.batch_execute("begin; update customers set files = 7 where id = 1").await.unwrap();
    db.run("insert into docs select i, case when i <= 30 then 1 else 2 end, 'NEW' from generate_series(1, 100) i").await;
    let mut running = Running::start(&db).await;
    for _ in 0..70 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    holder.batch_execute("rollback").await.unwrap();
    for _ in 0..30 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 100 from docs where status = 'PROCESSED'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_row_held_for_long_is_asked_for_ever_less_often() {
    let db = with_rows(1, ("", "")).await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.files for update").await.unwrap();
    let running = Running::start(&db).await;
    db.until("select held_since is not null from rowcall.jobs").await;
    db.run("update rowcall_internal.jobs set held_since = now() - interval '1 minute', due_at = now() where state = 'waiting'")
        .await;
    running.wake(&db).await;
    db.until("select due_at > now() + interval '20 s' from rowcall.jobs").await;
    holder.batch_execute("rollback").await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_dispatcher_of_the_same_name_elsewhere_is_another() {
    let (db, here, there) =
        (with_rows(0, ("", "")).await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    db.run("update rowcall.parameters set runner = 'process', target = '/bin/sleep', command = '{600}'")
        .await;
    let settings = |state: &tempfile::TempDir| {
        let mut settings = process_settings(&db.url, state.path());
        settings.dispatcher.host = "same".to_owned();
        settings.dispatcher.lost_after = std::time::Duration::from_hours(1);
        settings
    };
    let first = start_process(settings(&here), Mode::Serve).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    let id = first.id();
    first.abandon();
    let other = start_process(settings(&there), Mode::Serve).await;
    db.until(&format!(
        "select seen_at > started_at + interval '3 s' from rowcall.dispatchers where id = {}",
        other.id()
    ))
    .await;
    assert_eq!(db.one::<rowcall::job::DispatcherId>("select dispatcher_id from rowcall.attempts").await, id);
    let back = start_process(settings(&here), Mode::Serve).await;
    db.until(&format!("select dispatcher_id = {} from rowcall.attempts", back.id())).await;
    db.run("select rowcall.cancel(id) from rowcall.jobs").await;
    db.until("not exists (select from rowcall.jobs)").await;
    for dispatcher in [other, back] {
        dispatcher.drain();
        dispatcher.finish().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_killed_daemon_left_is_adopted_at_once() {
    let (db, state) = (with_rows(0, ("", "")).await, tempfile::tempdir().unwrap());
    db.run("update rowcall.parameters set runner = 'process', target = '/bin/sleep', command = '{600}'")
        .await;
    let start = || {
        let mut command = rowcall(&db.url, state.path());
        command.arg("serve").env("ROWCALL_DISPATCHER__DEAD_AFTER", "1h").spawn().unwrap()
    };
    let mut killed = start();
    db.run("insert into rowcall.files (id) values (1)").await;
    db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    killed.kill().await.unwrap();
    let mut next = start();
    db.until("select dispatcher_id = 2 from rowcall.attempts").await;
    assert!(db.one::<bool>("select not is_running from rowcall.dispatchers order by id limit 1").await);
    db.run("select rowcall.cancel(id) from rowcall.jobs").await;
    db.until("not exists (select from rowcall.jobs)").await;
    next.kill().await.unwrap();
}

#[tokio::test]
async fn a_lease_is_what_its_owner_wrote() {
    let db = with_rows(1, ("", "")).await;
    let mut patient = settings(&db.url);
    patient.dispatcher.heartbeat_interval = std::time::Duration::from_mins(10);
    patient.dispatcher.dead_after = std::time::Duration::from_hours(1);
    let mut owner = Running::with(patient, Arc::default()).await;
    owner.launch().await;
    let hasty = Running::with(settings(&db.url), Arc::clone(&owner.world)).await;
    for _ in 0..3 {
        hasty.beats(&db).await;
    }
    let still = format!("select dispatcher_id = {} from rowcall.attempts", owner.dispatcher.id());
    assert!(db.one::<bool>(&still).await);
    hasty.stop().await;
    owner.stop().await;
}

#[tokio::test]
async fn a_clock_that_steps_ahead_declares_no_dispatcher_dead() {
    let db = with_rows(1, ("", "")).await;
    let mut patient = settings(&db.url);
    patient.dispatcher.heartbeat_interval = std::time::Duration::from_secs(4);
    patient.dispatcher.dead_after = std::time::Duration::from_secs(8);
    let mut owner = Running::with(patient.clone(), Arc::default()).await;
    owner.launch().await;
    let other = Running::with(patient, Arc::clone(&owner.world)).await;
    // As if the database's clock had gone ahead, be it in the middle of a beat.
    db.run("update rowcall_internal.dispatchers set seen_at = seen_at - interval '10 minutes'").await;
    other.beats(&db).await;
    let still = format!("select dispatcher_id = {} from rowcall.attempts", owner.dispatcher.id());
    assert!(db.one::<bool>(&still).await);
    other.stop().await;
    owner.stop().await;
}

#[tokio::test]
async fn numbers_given_twice_after_a_failover_mix_no_ends_up() {
    let db = with_rows(2, ("", "")).await;
    let mut running = Running::start(&db).await;
    let (first, second) = (running.launch().await, running.launch().await);
    db.until("select count(*) = 2 from rowcall.attempts where launched_at is not null").await;
    // A replica takes over that has not heard of them, and counts the same numbers once more.
    db.run(
        "delete from rowcall_internal.attempts; delete from rowcall_internal.jobs;
         select setval('rowcall_internal.attempts_id_seq', 1, false);
         insert into rowcall.files (id) values (3)",
    )
    .await;
    let third = running.launch().await;
    assert!(![first.attempt.id, second.attempt.id].contains(&third.attempt.id));
    running.world.stopped(first.attempt.id).await;
    running.world.stopped(second.attempt.id).await;
    running.end(&third, End::exited(0));
    db.until("exists (select from rowcall.history where outcome = 'SUCCEEDED')").await;
    running.stop().await;
}

#[tokio::test]
async fn a_copy_of_a_database_starts_nothing() {
    let (db, state) = (with_rows(0, ("", "")).await, tempfile::tempdir().unwrap());
    Running::start(&db).await.stop().await;
    let home: String = db.one("select home from rowcall_internal.instance").await;
    db.run("update rowcall_internal.instance set home = 'server 1, database 2'").await;
    let serve = async |arguments: &[&str]| {
        let mut command = rowcall(&db.url, state.path());
        let done = command.arg("serve").args(arguments).output().await.unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (code, said) = serve(&["--drain"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("this database is a copy (of server 1, database 2)"), "{said}");
    assert!(said.contains("rowcall.new_identity()") && said.contains("--same-database"), "{said}");
    assert_eq!(serve(&["--drain", "--same-database"]).await.0, Some(0));
    assert_eq!(db.one::<String>("select home from rowcall_internal.instance").await, home);
    db.run(
        "update rowcall_internal.instance set home = 'server 1, database 2'; select rowcall.new_identity()",
    )
    .await;
    assert_eq!(serve(&["--drain"]).await.0, Some(0));
}
