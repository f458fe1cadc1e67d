//! The schema: applied once, by anybody who may create it, taken away without a trace.

use crate::support::{Running, TestDatabase, settings, settings_as_owner};
use rowcall::database::{Database, SchemaError, check_schema, migrate, migrate_down, migration_status, plan};
use rowcall::dispatcher::DispatcherError;
use rowcall::job::End;

/// Everything in the two schemas and every trigger of ours, as one text.
async fn objects(db: &TestDatabase) -> String {
    db.one(
        "select string_agg(o, E'\\n' order by o) from (
            select format('%s %s', c.relkind, c.oid::regclass) from pg_class c where relnamespace = any (homes)
            union all select format('column %s.%s %s %s', attrelid::regclass, attname, atttypid::regtype, attnotnull)
                from pg_attribute join pg_class c on c.oid = attrelid
                where relnamespace = any (homes) and attnum > 0 and not attisdropped
            union all select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
                where connamespace = any (homes)
            union all select concat(pg_get_functiondef(oid), obj_description(oid, 'pg_proc'),
                (select array_agg(a::text order by a::text) from unnest(proacl) a))
                from pg_proc where pronamespace = any (homes)
            union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal and tgname <> 'test_changed'
            union all select format('%s %s', name, checksum) from rowcall_internal.functions
            union all select format('%s %s %s', version, name, oldest_daemon) from rowcall.migrations
        ) x(o)"
            .replace("any (homes)", "any (array['rowcall', 'rowcall_internal']::regnamespace[])")
            .as_str(),
    )
    .await
}

#[tokio::test]
async fn migrating_twice_does_nothing() {
    let db = TestDatabase::empty().await;
    let mut client = db.connect().await;
    assert!(!migrate(&mut client, |_| {}).await.unwrap().is_empty());
    let before = objects(&db).await;
    assert!(migrate(&mut client, |_| {}).await.unwrap().is_empty());
    assert!(plan(&mut client).await.unwrap().is_empty());
    assert_eq!(objects(&db).await, before);
    let status = migration_status(&client).await.unwrap();
    assert!(status.iter().all(|m| m.applied.is_some()), "{status:?}");
}

#[tokio::test]
async fn two_migrations_at_once_on_an_empty_database_both_succeed() {
    let db = TestDatabase::empty().await;
    let (mut a, mut b, mut c) = (db.connect().await, db.connect().await, db.connect().await);
    let (a, b, c) = tokio::join!(migrate(&mut a, |_| {}), migrate(&mut b, |_| {}), migrate(&mut c, |_| {}));
    let did = [a, b, c].into_iter().filter(|plan| !plan.as_ref().unwrap().is_empty()).count();
    assert_eq!(did, 1, "one does the work, the others find it done");
}

#[tokio::test]
async fn the_way_down_spares_other_tables_and_the_way_up_works_again() {
    let db = TestDatabase::new().await;
    db.run("create schema shop; create table shop.orders (id int primary key, status text);
            create table parts (id int primary key, status text) partition by range (id);
            create table parts_1 partition of parts for values from (0) to (10);
            create table gone (id int primary key, status text);
            select rowcall.watch('shop.orders'), rowcall.watch('parts'), rowcall.watch('gone'); drop table gone;
            insert into shop.orders values (1, 'REGISTERED'); insert into parts values (1, 'REGISTERED')").await;
    let mut client = db.connect().await;
    let undone = migrate_down(&mut client, 0, |_| {}).await.unwrap();
    assert_eq!(undone.iter().map(|m| m.version).collect::<Vec<_>>(), [1]);
    let left: i64 = db.one("select count(*) from pg_trigger where not tgisinternal").await;
    let schemas: i64 = db.one("select count(*) from pg_namespace where nspname ~ '^rowcall'").await;
    assert_eq!((left, schemas), (0, 0));
    db.run("insert into shop.orders values (2, 'REGISTERED'); update parts set status = 'X'").await;
    assert_eq!(db.one::<i64>("select count(*) from shop.orders").await, 2);
    assert!(migrate_down(&mut client, 0, |_| {}).await.unwrap().is_empty());
    assert!(!migrate(&mut client, |_| {}).await.unwrap().is_empty());
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files default values; select rowcall.watch('shop.orders')").await;
    assert_eq!(db.jobs("loader").await, 1);
}

#[tokio::test]
async fn a_changed_function_is_reapplied_and_triggers_are_rewritten() {
    let db = TestDatabase::new().await;
    let before = objects(&db).await;
    db.run("create or replace function rowcall_internal.channel(status text) returns text language sql as $$ select 'old' $$;
            create or replace function rowcall_internal.on_insert_1() returns trigger language plpgsql as $$ begin return null; end $$;
            update rowcall_internal.functions set checksum = 'old' where name in ('channel', 'install_triggers')").await;
    let plan = migrate(&mut db.connect().await, |_| {}).await.unwrap();
    assert_eq!(plan.summary(), ["functions channel, install_triggers"]);
    assert_eq!(objects(&db).await, before);
}

/// Functions as an older version left them: one whose file is gone, and some with other arguments or results.
async fn outdated() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.run(
        "create function rowcall.old_name(a int) returns int language sql as 'select 1';
         create function rowcall_internal.old_name(a text) returns int language sql as 'select 1';
         create function rowcall.cancel(job text) returns int language sql as 'select 1';
         drop function rowcall.pause(text);
         create function rowcall.pause(cause text default 'x') returns text language sql as 'select 1::text';
         insert into rowcall_internal.functions values ('old_name', 'old', 'old');
         update rowcall_internal.functions set checksum = 'old', interface = 'old' where name in ('cancel', 'pause', 'parameters_check')",
    )
    .await;
    db
}

#[tokio::test]
async fn functions_without_a_file_or_with_other_arguments_are_dropped() {
    let before = objects(&TestDatabase::new().await).await;
    let db = outdated().await;
    db.run("create function rowcall.somebody_elses() returns int language sql as 'select 1'").await;
    let plan = migrate(&mut db.connect().await, |_| {}).await.unwrap();
    let did = ["functions cancel, parameters_check, pause", "functions dropped old_name"];
    assert_eq!(plan.summary(), did);
    db.run("drop function rowcall.somebody_elses()").await;
    assert_eq!(objects(&db).await, before);
    assert!(migrate(&mut db.connect().await, |_| {}).await.unwrap().is_empty());
}

#[tokio::test]
async fn printed_sql_drops_what_migrate_drops() {
    let (printed, migrated) = (outdated().await, outdated().await);
    let sql = plan(&mut printed.connect().await).await.unwrap().sql();
    printed.run(&sql).await;
    migrate(&mut migrated.connect().await, |_| {}).await.unwrap();
    assert_eq!(objects(&printed).await, objects(&migrated).await);
}

#[tokio::test]
async fn a_dropped_function_that_a_users_view_needs_stays() {
    let db = outdated().await;
    db.run("create view mine as select rowcall.old_name(1) as n").await;
    migrate(&mut db.connect().await, |_| {}).await.unwrap();
    assert_eq!(db.one::<i32>("select n from mine").await, 1);
    assert!(db.one::<bool>("select to_regprocedure('rowcall_internal.old_name(text)') is null").await);
}

#[tokio::test]
async fn every_function_is_commented_with_its_files_header() {
    let db = TestDatabase::new().await;
    let silent: Option<String> = db
        .one(
            "select string_agg(oid::regprocedure::text, ', ') from pg_proc
             where pronamespace = any (array['rowcall', 'rowcall_internal']::regnamespace[])
               and proname !~ '^on_(insert|update)_\\d+$' and obj_description(oid, 'pg_proc') is null",
        )
        .await;
    assert_eq!(silent, None);
    for (signature, begins) in
        [("bigint, text", "Cancels a job: "), ("bigint[], text", "The same for many jobs: ")]
    {
        let query = format!("select obj_description('rowcall.cancel({signature})'::regprocedure, 'pg_proc')");
        let comment: String = db.one(&query).await;
        assert!(comment.starts_with(begins), "{comment}");
    }
}

#[tokio::test]
async fn one_of_the_two_schemas_without_the_other_is_refused() {
    for schema in ["rowcall", "rowcall_internal"] {
        let db = TestDatabase::new().await;
        db.run(&format!("drop schema {schema} cascade")).await;
        let error = format!("{:?}", migrate(&mut db.connect().await, |_| {}).await.unwrap_err());
        assert!(error.contains("one of the schemas rowcall and rowcall_internal"), "{error}");
    }
}

#[tokio::test]
async fn the_printed_sql_does_what_migrate_does() {
    let (printed, migrated) = (TestDatabase::empty().await, TestDatabase::empty().await);
    let sql = plan(&mut printed.connect().await).await.unwrap().sql();
    printed.run(&sql).await;
    migrate(&mut migrated.connect().await, |_| {}).await.unwrap();
    assert_eq!(objects(&printed).await, objects(&migrated).await);
    assert!(migrate(&mut printed.connect().await, |_| {}).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_daemon_refuses_a_schema_too_old_or_too_new_for_it() {
    let db = TestDatabase::new().await;
    let database = Database::new(&settings(&db.url).database).unwrap();
    let client = database.get().await.unwrap();
    check_schema(&client).await.unwrap();
    db.run("insert into rowcall.migrations values (2, 'later', 1)").await;
    check_schema(&client).await.expect("newer, but one that we can work with");
    db.run("update rowcall.migrations set oldest_daemon = 2 where version = 2").await;
    let error = check_schema(&client).await.unwrap_err().to_string();
    assert!(
        error.contains("at version 2") && error.contains("this one knows 1") && error.contains("upgrade"),
        "{error}"
    );
    let error = migrate(&mut db.connect().await, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("at version 2, which this rowcall does not know"), "{error}");
    db.run("delete from rowcall.migrations where version > 1; update rowcall.migrations set version = 0")
        .await;
    let error = check_schema(&client).await.unwrap_err().to_string();
    assert!(error.contains("at version 0; this rowcall needs 1: run `rowcall migrate`"), "{error}");
    db.run("delete from rowcall.migrations").await;
    assert!(matches!(check_schema(&client).await, Err(SchemaError::Missing)));
    db.run("drop schema rowcall cascade").await;
    assert!(matches!(check_schema(&client).await, Err(SchemaError::Missing)));
}

#[tokio::test]
async fn a_dispatcher_stops_claiming_when_the_schema_leaves_it_behind() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    running.launch().await;
    db.run("insert into rowcall.migrations values (2, 'later', 2); insert into rowcall.files default values")
        .await;
    running.dispatcher.draining().cancelled().await;
    let error = running.dispatcher.finish().await.unwrap_err();
    assert!(
        matches!(error, DispatcherError::Schema(SchemaError::TooNew { found: 2, oldest_daemon: 2 })),
        "{error}"
    );
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs where state = 'pending'").await, 1);
    assert_eq!(running.world.distinct_launches(), 1);
}

/// What a later version may do to the tables and still let this daemon work.
const LATER: &str = "
    alter table rowcall_internal.jobs add column later_on text not null default 'x';
    alter table rowcall_internal.attempts add column later_on jsonb;
    alter table rowcall_internal.ended_attempts add column later_on jsonb;
    alter table rowcall_internal.history add column later_on int not null default 7;
    alter table rowcall_internal.dispatchers add column later_on text;
    alter table rowcall_internal.source_tables add column later_on text;
    alter table rowcall_internal.missed_rows add column later_on text;
    alter table rowcall.parameters add column later_on interval;
    create index on rowcall_internal.jobs (later_on);
    insert into rowcall.migrations values (2, 'later', 1)";

#[tokio::test]
async fn a_daemon_works_on_while_the_schema_is_brought_to_a_later_version() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff, backoff_max", "'10 ms', '10 ms'")).await;
    let mut running = Running::start(&db).await;
    let insert = "insert into rowcall.files select from generate_series(1, 5)";
    let mut rows = 0;
    // Its statements are prepared by then; the one that runs meanwhile began before.
    for change in ["", LATER, ""] {
        db.run(insert).await;
        let mut open = Vec::new();
        for _ in 0..5 {
            open.push(running.launch().await);
        }
        for statement in change.split(';').filter(|statement| !statement.trim().is_empty()) {
            db.run(statement).await;
        }
        // One of them fails, and is tried again.
        running.end(&open[0], End::exited(1));
        open[0] = running.launch().await;
        for launched in &open {
            running.end(launched, End::exited(0));
        }
        rows += 5;
        let done = "select count(*) filter (where outcome = 'SUCCEEDED') from rowcall.history";
        db.until(&format!("select ({done}) = {rows}")).await;
    }
    db.run("update rowcall.parameters set priority = 5; select rowcall.run('loader', 'rowcall.files', 1)")
        .await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until(
        "select bool_and(status = 'PROCESSED') and not exists (select from rowcall.jobs) from rowcall.files",
    )
    .await;
    running.stop().await;
    // Another one begins there, too.
    let next = Running::start(&db).await;
    next.stop().await;
}

#[tokio::test]
async fn a_role_with_only_create_on_the_database_migrates_and_serves() {
    let db = TestDatabase::empty().await;
    let name: String = db.one("select current_database()::text").await;
    let role = format!("owner_of_{name}");
    db.run(&format!("create role {role} login password 'secret'; grant create on database {name} to {role}"))
        .await;
    let (_, place) = db.url.split_once('@').unwrap();
    let url = format!("postgresql://{role}:secret@{place}");
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    migrate(&mut client, |_| {}).await.unwrap();
    db.run(include_str!("support/changed.sql")).await;
    let mut running = Running::with(settings_as_owner(&url), std::sync::Arc::default()).await;
    client
        .batch_execute(
            "insert into rowcall.parameters (name, on_status, runner, target) values ('loader', 'REGISTERED', 'docker', 'x');
             create schema mine; create table mine.own (id int primary key, status text); select rowcall.watch('mine.own');
             insert into rowcall.files default values",
        )
        .await
        .unwrap();
    let launched = running.launch().await;
    client.query("select rowcall.task_succeed($1)", &[&launched.token]).await.unwrap();
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    db.until("select count(*) > 1 from pg_class where relname ~ '^history_[0-9]'").await;
    running.stop().await;
    assert!(!migrate_down(&mut client, 0, |_| {}).await.unwrap().is_empty());
    db.run(&format!("drop owned by {role} cascade; drop role {role}")).await;
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let db = TestDatabase::new().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("rowcall_encoding_{}_{}", encoding.to_lowercase(), std::process::id());
        db.run(&format!(
            "create database {name} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"
        ))
        .await;
        let url = db.url.rsplit_once('/').map(|(server, _)| format!("{server}/{name}")).unwrap();
        let (mut client, connection) =
            url.parse::<tokio_postgres::Config>().unwrap().connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let error = format!("{:#}", migrate(&mut client, |_| {}).await.unwrap_err());
        assert!(
            error.contains(&format!("needs a database with the encoding UTF8, and this one has {encoding}")),
            "{error}"
        );
        drop(client);
        db.run(&format!("drop database {name} with (force)")).await;
    }
}

#[tokio::test]
async fn the_way_down_is_closed_while_a_dispatcher_runs() {
    let (db, state) = (TestDatabase::new().await, tempfile::tempdir().unwrap());
    db.run("insert into rowcall.dispatchers (host, pid, version, runners) values ('h', 1, 'v', '{docker}')")
        .await;
    let down = async || {
        let mut command = crate::support::rowcall(&db.url, state.path());
        let done = command.args(["migrate", "--down-to", "0", "--force"]).output().await.unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (code, said) = down().await;
    assert_eq!(code, Some(1));
    assert!(said.contains("dispatchers are at work on this database: 1 on h; stop them first"), "{said}");
    db.run("update rowcall.dispatchers set stopped_at = now()").await;
    assert_eq!(down().await.0, Some(0));
}

#[tokio::test]
async fn a_schema_that_lacks_functions_is_refused_at_the_start() {
    let db = TestDatabase::new().await;
    check_schema(&db.client).await.unwrap();
    db.run("drop function rowcall_internal.own_writing, rowcall_internal.await_writers").await;
    let error = check_schema(&db.client).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the rowcall schema lacks functions of this rowcall (await_writers, own_writing): run `rowcall migrate`"
    );
}

#[tokio::test]
async fn commands_go_to_the_database_and_not_where_it_listens() {
    let (db, other, state) =
        (TestDatabase::empty().await, TestDatabase::new().await, tempfile::tempdir().unwrap());
    let mut command = crate::support::rowcall(&db.url, state.path());
    command.env("ROWCALL_DATABASE__LISTEN_URL", &other.url);
    assert!(command.arg("migrate").output().await.unwrap().status.success());
    check_schema(&db.client).await.unwrap();
}
