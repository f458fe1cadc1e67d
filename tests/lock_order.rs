//! Locks are taken in one order (docs/architecture.md), and what goes against it waits so briefly that no user is the victim of a deadlock: a
//! session looks for one when it has waited for a second.

mod classes;

use std::time::Duration;

use crate::support::TestDatabase;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Seconds after which a session looks for a deadlock: what we hold is free again, or we have done with our waits.
const DEADLOCK_TIMEOUT: f64 = 1.0;

/// How long a statement takes on the server, at its best: how long it waits is decided by us, and the rest by the machine.
async fn at_its_best(db: &TestDatabase, call: &str) -> f64 {
    let timed = format!(
        "select extract(epoch from clock_timestamp() - statement_timestamp())::float8 from (select count(*) from {call}) c"
    );
    let mut best = f64::MAX;
    for _ in 0..10 {
        let session = db.connect().await;
        session.batch_execute("begin").await.unwrap();
        best = best.min(session.query_one(&timed, &[]).await.unwrap().get(0));
        session.batch_execute("rollback").await.unwrap();
        if best < DEADLOCK_TIMEOUT {
            break;
        }
    }
    best
}

#[tokio::test]
async fn ends_wait_briefly_for_what_triggers_of_many_rows_need() {
    let db = TestDatabase::new().await;
    db.run(
        "create table counters (id int primary key, n int); insert into counters values (1, 0), (2, 0);
         grant all on counters to rowcall_writer;
         create table docs (id int primary key, status text);
         create function count_docs() returns trigger language plpgsql as
         $$ begin update counters set n = n + 1 where id = least(new.id, 2); return null; end $$;
         create trigger count_docs after update on docs for each row execute function count_docs();
         insert into docs select i, 'PROCESSING' from generate_series(1, 60) i;
         select rowcall.watch('docs')",
    )
    .await;
    let holder = db.connect().await;
    // All but the first row need it.
    holder.batch_execute("begin; update counters set n = 7 where id = 2").await.unwrap();
    let keys = "array(select jsonb_build_object('id', i) from generate_series(1, 60) i)";
    let same = |one: &str| format!("array_fill({one}, array[60])");
    let call = format!(
        "rowcall_internal.write_back('docs', null, {keys}, {}, {}, {})",
        same("'[\"PROCESSING\"]'::jsonb"),
        same("'DONE'::text"),
        same("null::jsonb")
    );
    let took = at_its_best(&db, &call).await;
    assert!(took < DEADLOCK_TIMEOUT, "{took} s");
    // Two tables in one transaction have no more time.
    let took = at_its_best(&db, &format!("{call} a, {call} b")).await;
    assert!(took < DEADLOCK_TIMEOUT, "{took} s");
    let states: String = db
        .one(&format!("select string_agg(distinct state, ' ' order by state) from {call} where place > 1"))
        .await;
    assert!(states.starts_with("later") || states.starts_with("locked"), "{states}");
}

#[tokio::test]
async fn calls_for_many_wait_briefly_for_those_that_are_held() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files select from generate_series(1, 900)").await;
    let held = [
        ("rowcall_internal.jobs", "rowcall.cancel(array(select id from rowcall_internal.jobs))"),
        ("rowcall_internal.jobs", "rowcall.retry(array(select id from rowcall_internal.jobs))"),
        (
            "rowcall.files",
            "rowcall.run('loader', 'rowcall.files', array(select to_jsonb(id) from rowcall.files))",
        ),
    ];
    for (table, call) in held {
        let holder = db.connect().await;
        let statement =
            format!("begin; select from {table} where id > (select min(id) from {table}) for update");
        holder.batch_execute(&statement).await.unwrap();
        let took = at_its_best(&db, call).await;
        assert!(took < DEADLOCK_TIMEOUT, "{call}: {took} s");
        let session = db.connect().await;
        session.batch_execute("begin").await.unwrap();
        let problems = format!(
            "select count(*) filter (where problem is null) || ' ' || count(*) filter (where problem ~ 'try again$')
                || ' ' || (count(*) filter (where problem ~ '^not tried') > 500)::text from {call}"
        );
        let problems = session.query_one(&problems, &[]).await.unwrap();
        assert_eq!(problems.get::<_, &str>(0), "1 899 true", "{call}");
        session.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test]
async fn rows_that_are_named_are_locked_in_the_order_of_their_keys() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files select from generate_series(1, 3)").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.files where id = 2 for update").await.unwrap();
    let rescanning = db.connect().await;
    let keys = r#"array['{"id": 3}', '{"id": 2}', '{"id": 1}']::jsonb[]"#;
    let rescan = format!("select rowcall.rescan('rowcall.files', {keys})");
    // It waits for half a second each time; a slow machine may look too late.
    let rescans = async {
        loop {
            assert!(rescanning.batch_execute(&rescan).await.is_err(), "it was to wait");
        }
    };
    let looks = async {
        let looker = db.connect().await;
        // The same one before and after the look.
        let waits = "select max(query_start)::text from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
            and pid <> pg_backend_pid() and query ~ 'rescan'";
        let free = "select id from rowcall.files order by id for update skip locked";
        loop {
            let mut seen = Vec::new();
            for statement in [waits, free, waits] {
                seen.push(looker.query(statement, &[]).await.unwrap());
            }
            let [before, after] = [0, 2].map(|at| seen[at][0].get::<_, Option<String>>(0));
            if before.is_some() && before == after {
                return seen[1].iter().map(|row| row.get(0)).collect::<Vec<i64>>();
            }
        }
    };
    let free = tokio::select! {
        () = rescans => unreachable!("it goes on for ever"),
        free = looks => free,
        () = tokio::time::sleep(LIMIT) => panic!("it never waits"),
    };
    assert_eq!(free, [3]);
}

#[tokio::test]
async fn a_call_waits_briefly_for_the_job_of_a_row_that_it_holds() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall_internal.jobs for update").await.unwrap();
    for call in [
        "rowcall.run('loader', 'rowcall.files', 1)",
        r#"rowcall.rescan('rowcall.files', array['{"id": 1}']::jsonb[])"#,
    ] {
        let refused = db.refused(&format!("select {call}")).await;
        assert!(refused.starts_with("55P03"), "{refused}");
        let caught = format!(
            "create or replace function tried() returns void language plpgsql as $f$ begin perform {call};
             exception when lock_not_available then end $f$"
        );
        db.run(&caught).await;
        let took = at_its_best(&db, "tried()").await;
        assert!(took < DEADLOCK_TIMEOUT, "{call}: {took} s");
    }
}

#[tokio::test]
async fn watch_and_unwatch_let_writers_through_while_they_wait() {
    let db = TestDatabase::new().await;
    db.run(
        "create table parts (id int, day int, status text, primary key (id, day)) partition by list (day);
         create table parts_1 partition of parts for values in (1);
         select rowcall.watch('parts');
         create table parts_2 partition of parts for values in (2)",
    )
    .await;
    for call in ["rowcall.watch('parts')", "rowcall.unwatch('parts')"] {
        let writer = db.connect().await;
        writer
            .batch_execute(&format!("begin; insert into parts values ({}, 2, 'NEW')", call.len()))
            .await
            .unwrap();
        let session = db.connect().await;
        let statement = format!("select {call}");
        let waits = async { session.batch_execute(&statement).await };
        let others = async {
            for id in 100..103 {
                let waiting = "select exists (select from pg_locks where relation in ('parts'::regclass, 'parts_2'::regclass) and not granted)";
                while !db.one::<bool>(waiting).await {}
                db.run(&format!("insert into parts values ({id} + {}, 2, 'NEW')", 100 * call.len())).await;
            }
            writer.batch_execute("commit").await.unwrap();
        };
        let both = async { tokio::join!(waits, others) };
        let (done, ()) = tokio::time::timeout(LIMIT, both).await.expect("it waits in steps");
        done.unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
    // A caller that has less patience is told at once.
    db.run("select rowcall.watch('parts')").await;
    let writer = db.connect().await;
    writer.batch_execute("begin; insert into parts values (5, 1, 'NEW')").await.unwrap();
    let refused = db.refused("set lock_timeout = '50ms'; select rowcall.unwatch('parts')").await;
    assert!(refused.starts_with("55P03"), "{refused}");
}
