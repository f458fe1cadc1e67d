//! `rowcall.watch` and `rowcall.unwatch`: what they refuse, and what they leave behind.

use crate::support::{ADMIN, Running, TestDatabase};
use rowcall::database::migrate;
use rowcall::job::End;

#[tokio::test]
async fn watch_refuses_what_cannot_be_a_source_and_says_what_to_do() {
    let db = TestDatabase::new().await;
    db.run(
        "create table keyless (status text); create table other (id int primary key, state text);
            create table odd (id int primary key, status json); create table place (id int primary key, status point);
            create view seen as select * from other; create materialized view kept as select * from other",
    )
    .await;
    for (table, said) in [
        ("keyless", "42P10 rowcall.watch: table public.keyless has no primary key"),
        ("other", "42703 rowcall.watch: table public.other has no column status"),
        (
            "odd",
            "42P10 rowcall.watch: column status of table public.odd has the type json, whose values cannot be compared",
        ),
        (
            "place",
            "42P10 rowcall.watch: column status of table public.place has the type point, whose values",
        ),
        ("seen", "42809 rowcall.watch: public.seen is not a table"),
        ("kept", "42809 rowcall.watch: public.kept is not a table"),
        ("nowhere", "42P01 relation \"nowhere\" does not exist"),
    ] {
        let refused = db.refused(&format!("select rowcall.watch('{table}')")).await;
        assert!(refused.starts_with(said), "{refused}");
    }
    let refused = db.refused("select rowcall.unwatch('other')").await;
    assert!(
        refused.contains("public.other is not watched") && refused.contains("rowcall.watch('public.other')"),
        "{refused}"
    );
    assert_eq!(db.one::<i64>("select count(*) from rowcall.source_tables").await, 1);
}

#[tokio::test]
async fn watch_refuses_a_type_of_key_by_name_and_names_the_way_out() {
    let db = TestDatabase::new().await;
    db.run(
        "create extension ltree; create type place as (shelf int, since date); create domain level as float8;
         create domain days as date[]; create domain citext as interval",
    )
    .await;
    let kinds = "real|double precision|level|interval|jsonb|integer[]|days|place|daterange|ltree|inet|name|\"char\"|\
                 time with time zone|bit(3)|oid|citext";
    for (number, kind) in kinds.split('|').enumerate() {
        let table = format!("kept{number}");
        let ours = ["level", "days", "place", "ltree", "citext"].contains(&kind);
        let shown = if ours { format!("public.{kind}") } else { kind.to_owned() };
        db.run(&format!("create table {table} (\"Id\" {kind} primary key, n int, status text)")).await;
        let refused = db.refused(&format!("select rowcall.watch('{table}')")).await;
        for said in [
            format!(
                "42P10 rowcall.watch: column \"Id\" of the key of table public.{table} has the type {shown}"
            ),
            "uuid, boolean, date, time, timestamp, timestamptz, enums".to_owned(),
            format!("SELECT rowcall.watch('public.{table}', key => '{{columns}}') takes another unique key"),
        ] {
            assert!(refused.contains(&said), "{said}: {refused}");
        }
        db.run(&format!(
            "alter table {table} alter n set not null, add unique (n); select rowcall.watch('{table}', key => '{{n}}')"
        ))
        .await;
    }
}

#[tokio::test]
async fn watch_refuses_what_does_not_name_one_row() {
    let db = TestDatabase::new().await;
    db.run(
        "create extension citext;
         create table mine (a int not null, b int unique, c int not null, d int not null unique deferrable, e citext not null, status text);
         create unique index on mine (a) where c > 0; create unique index on mine ((c + 1)); create unique index on mine (a, c);
         create unique index on mine (e text_ops)",
    )
    .await;
    for (key, said) in [
        ("{a}", "table public.mine has no unique index over exactly (a)"),
        ("{b}", "column b of the key of table public.mine may be null"),
        ("{c}", "no unique index over exactly (c)"),
        ("{d}", "no unique index over exactly (d)"),
        ("{e}", "no unique index over exactly (e)"),
        ("{a,c,d}", "no unique index over exactly (a, c, d)"),
        ("{A}", "table public.mine has no column \"A\""),
        ("{a,a}", "{a,a} is not an array of different column names"),
        ("{}", "{} is not an array of different column names"),
    ] {
        let refused = db.refused(&format!("select rowcall.watch('mine', key => '{key}')")).await;
        assert!(refused.starts_with("42P10 rowcall.watch: ") && refused.contains(said), "{key}: {refused}");
    }
    db.run("select rowcall.watch('mine', key => '{c,a}')").await;
}

#[tokio::test]
async fn watch_refuses_strings_that_are_equal_and_differ() {
    let db = TestDatabase::new().await;
    if !db.one::<bool>("select exists (select from pg_collation where collprovider = 'i')").await {
        return;
    }
    db.run(
        "create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table named (name text collate loose primary key, status text)",
    )
    .await;
    let refused = db.refused("select rowcall.watch('named')").await;
    assert!(
        refused.contains("has the collation loose, under which different strings are equal"),
        "{refused}"
    );
}

#[tokio::test]
async fn watch_refuses_a_status_that_is_part_of_the_key() {
    let db = TestDatabase::new().await;
    db.run(
        "create table queue (id bigint, status text not null, attributes jsonb, primary key (id, status)) partition by list (status);
         create table queue_all partition of queue default;
         create table plain (id bigint not null unique, status text, primary key (id, status))",
    )
    .await;
    for table in ["queue", "plain"] {
        let refused = db.refused(&format!("select rowcall.watch('{table}')")).await;
        let said = format!(
            "42P10 rowcall.watch: the status column status is part of the key of table public.{table}"
        );
        assert!(refused.starts_with(&said) && refused.contains("key => '{columns}'"), "{refused}");
    }
    db.run("select rowcall.watch('plain', key => '{id}')").await;
    let refused = db.refused("select rowcall.watch('plain', 'id')").await;
    assert!(refused.contains("the status column id is part of the key"), "{refused}");
}

#[tokio::test]
async fn watching_twice_is_safe_and_makes_no_second_job() {
    let db = TestDatabase::new().await;
    db.run("create table mine (id int primary key, status text); select rowcall.watch('mine'); select rowcall.watch('mine')").await;
    db.task("load", "REGISTERED", ("source_table, result_column", "'mine', null")).await;
    db.run("insert into mine values (1, 'REGISTERED')").await;
    assert_eq!(db.jobs("load").await, 1);
    // A new primary key and a new status column are taken up.
    db.run("delete from rowcall.jobs; alter table mine drop constraint mine_pkey, add code text not null default 'x', add primary key (code, id);
            alter table mine rename status to state; select rowcall.watch('mine', 'state'); insert into mine values (2, 'REGISTERED')").await;
    assert_eq!(db.one::<String>("select row_key::text from rowcall.jobs").await, r#"{"id": 2, "code": "x"}"#);
}

#[tokio::test]
async fn unwatch_stops_new_jobs_and_cancels_waiting_ones() {
    let db = TestDatabase::new().await;
    db.run("create table mine (id int primary key, status text); select rowcall.watch('mine')").await;
    db.task("load", "REGISTERED", ("source_table, result_column", "'mine', null")).await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into mine values (1, 'REGISTERED'), (2, 'REGISTERED'); insert into rowcall.files default values").await;
    db.run("update rowcall.jobs set state = 'waiting' where row_key = '{\"id\": 2}'").await;
    db.run("select rowcall.unwatch('mine'); insert into mine values (3, 'REGISTERED')").await;
    assert_eq!((db.jobs("load").await, db.jobs("loader").await), (0, 1));
    let ended: String = db
        .one(
            "select string_agg(distinct task || ' ' || outcome || ' ' || message, '; ') from rowcall.history",
        )
        .await;
    assert_eq!(ended, "load CANCELLED the table is no longer watched");
    assert_eq!(db.one::<i64>("select count(*) from pg_trigger where tgrelid = 'mine'::regclass").await, 0);
    assert_eq!(
        db.one::<i64>("select count(*) from pg_proc where proname ~ '^on_(insert|update)_[0-9]'").await,
        2,
        "those of files"
    );
}

#[tokio::test]
async fn a_running_job_of_an_unwatched_table_ends_and_stops_no_other() {
    for code in [0, 1] {
        let db = TestDatabase::new().await;
        db.run("create table mine (id int primary key, status text); select rowcall.watch('mine')").await;
        db.task("load", "REGISTERED", ("source_table, result_column, backoff", "'mine', null, '1 ms'")).await;
        db.task("loader", "REGISTERED", ("", "")).await;
        let mut running = Running::start(&db).await;
        db.run("insert into mine values (1, 'REGISTERED')").await;
        let launched = running.launch().await;
        db.run("select rowcall.unwatch('mine')").await;
        running.end(&launched, End::exited(code));
        if code == 0 {
            db.until("select write_back = 'failed: the table is no longer watched' from rowcall.history")
                .await;
        } else {
            db.until("select state = 'blocked' and reason like '%mine is not watched%' from rowcall.jobs")
                .await;
        }
        db.run("insert into rowcall.files default values").await;
        assert_eq!(running.launch().await.attempt.task, "loader");
        assert_eq!(db.one::<String>("select status from mine").await, "PROCESSING");
        if code == 1 {
            db.run("select rowcall.watch('mine')").await;
            assert_eq!(running.launch().await.attempt.task, "load");
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_table_dropped_while_its_job_runs_stops_nobody_else() {
    let db = TestDatabase::new().await;
    db.run("create table mine (id int primary key, status text); select rowcall.watch('mine')").await;
    db.task("load", "REGISTERED", ("source_table, result_column, backoff", "'mine', null, '1 ms'")).await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into mine values (1, 'REGISTERED'), (2, 'REGISTERED')").await;
    let (first, second) = (running.launch().await, running.launch().await);
    db.run("drop table mine").await;
    running.end(&first, End::exited(0));
    running.end(&second, End::exited(1));
    db.until("select count(*) = 1 from rowcall.history where outcome = 'SUCCEEDED' and write_back like 'failed: %'").await;
    db.until("select count(*) = 1 from rowcall.jobs where state = 'blocked' and reason like 'the row cannot be read: %'").await;
    db.run("insert into rowcall.files default values").await;
    assert_eq!(running.launch().await.attempt.task, "loader");
    running.stop().await;
}

#[tokio::test]
async fn files_once_unwatched_stays_so_after_a_migration() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("select rowcall.unwatch('rowcall.files'); update rowcall_internal.functions set checksum = 'old'")
        .await;
    assert!(!migrate(&mut db.connect().await, |_| {}).await.unwrap().is_empty());
    db.run("insert into rowcall.files default values").await;
    assert_eq!(db.jobs("loader").await, 0);
    db.run("select rowcall.watch('rowcall.files'); insert into rowcall.files default values").await;
    assert_eq!(db.jobs("loader").await, 1);
}

#[tokio::test]
async fn watching_takes_the_right_to_hand_over_the_table() {
    let db = TestDatabase::new().await;
    db.run("create table theirs (id int primary key, status text)").await;
    let admin = db.connect_as(ADMIN).await;
    let watch = "select rowcall.watch('theirs')";
    let error = admin.batch_execute(watch).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    let hint = error.hint().unwrap();
    assert_eq!(error.code().code(), "42501");
    assert!(hint.contains("GRANT TRIGGER ON public.theirs TO rowcall_owner; GRANT SELECT, UPDATE ON public.theirs TO rowcall_writer"), "{hint}");
    // Its owner hands it over; an admin may watch what Rowcall may use.
    db.run("grant trigger on theirs to rowcall_owner; grant select, update on theirs to rowcall_writer")
        .await;
    admin.batch_execute(watch).await.unwrap();
    db.task("load", "REGISTERED", ("source_table, result_column", "'theirs', null")).await;
    db.run("insert into theirs values (1, 'REGISTERED')").await;
    assert_eq!(db.jobs("load").await, 1);
}

#[tokio::test]
async fn rescan_makes_the_jobs_that_unwatch_cancelled_before_they_ran() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files default values; select rowcall.unwatch('rowcall.files')").await;
    assert_eq!(db.jobs("loader").await, 0);
    db.run("select rowcall.watch('rowcall.files')").await;
    assert_eq!(db.one::<i64>("select rowcall.rescan('rowcall.files')").await, 1);
}

#[tokio::test]
async fn triggers_left_by_unwatch_work_again_after_watch() {
    let db = TestDatabase::new().await;
    db.run("create role tom_left; create schema tom authorization tom_left; create table tom.t (id int primary key, status text);
            alter table tom.t owner to tom_left; grant all on schema tom to tom_left; select rowcall.watch('tom.t')").await;
    db.task("loader", "NEW", ("source_table, result_column", "'tom.t', null")).await;
    let number = "select id from rowcall.source_tables where relation = 'tom.t'::regclass";
    let before: i32 = db.one(number).await;
    // As forget_source() leaves it where the caller may not drop triggers.
    db.run("select rowcall.forget_source('tom.t'); select rowcall.watch('tom.t'); insert into tom.t values (1, 'NEW')").await;
    assert_eq!(db.one::<i32>(number).await, before);
    assert_eq!(db.jobs("loader").await, 1);
    db.run("select rowcall.unwatch('tom.t'); drop table tom.t; drop schema tom; drop role tom_left").await;
}

#[tokio::test]
async fn a_trigger_that_is_not_ours_or_does_not_fire_is_refused() {
    let db = TestDatabase::new().await;
    db.run(
        "create table t (id int primary key, status text);
            create function own() returns trigger language plpgsql as 'begin return null; end';
            create trigger rowcall_insert after insert on t for each statement execute function own()",
    )
    .await;
    let refused = db.refused("select rowcall.watch('t')").await;
    assert!(
        refused.contains("the trigger rowcall_insert of public.t is another one: it calls public.own"),
        "{refused}"
    );
    assert!(refused.contains("DROP TRIGGER IF EXISTS rowcall_insert ON public.t"), "{refused}");
    db.run("drop trigger rowcall_insert on t; select rowcall.watch('t'); alter table t disable trigger rowcall_update").await;
    let refused = db.refused("select rowcall.watch('t')").await;
    assert!(refused.contains("the trigger rowcall_update of public.t is disabled"), "{refused}");
}

#[tokio::test]
async fn a_table_keeps_the_runners_name_of_an_attempt() {
    let db = TestDatabase::new().await;
    db.run(
        "create table operations (id int primary key, status text, output jsonb, task_arn text, updated_at timestamptz, n int);
         create trigger test_changed after update on operations for each statement execute function public.test_changed()",
    )
    .await;
    for (column, said) in [
        (
            "touch_column => 'n'",
            "touch_column n of public.operations must be of type timestamptz or timestamp, and not generated",
        ),
        ("external_id_column => 'arn'", "external_id_column: table public.operations has no column arn"),
        (
            "external_id_column => 'status'",
            "external_id_column status of public.operations is the status or part of the key",
        ),
    ] {
        let refused = db.refused(&format!("select rowcall.watch('operations', {column})")).await;
        assert!(refused.contains(said), "{refused}");
    }
    db.run("select rowcall.watch('operations', touch_column => 'updated_at', external_id_column => 'task_arn'); select rowcall.watch('operations')")
        .await;
    db.task("task", "NEW", ("source_table, result_column", "'operations', 'output'")).await;
    db.run("insert into operations values (1, 'NEW')").await;
    let mut running = Running::start(&db).await;
    let launched = running.launch().await;
    let named = "status = 'PROCESSING' and updated_at is not null and task_arn =";
    db.until(&format!("select {named} (select external_id from rowcall.attempts) from operations")).await;
    // At the end once more, should it not have been written before.
    db.run("update operations set task_arn = null").await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' and task_arn = (select external_id from rowcall.attempts) from operations").await;
    running.stop().await;
    // An empty string names none.
    db.run("select rowcall.watch('operations', external_id_column => '')").await;
    assert_eq!(
        db.one::<Option<String>>(
            "select nullif(external_id_column, '') from rowcall.source_tables where relation = 'operations'::regclass"
        )
        .await,
        None
    );
}
