//! Any table with a key can be a source: each shape of table, all the way there and back.

mod short_keys;

use crate::support::{Running, TestDatabase};
use rowcall::job::End;

/// A source table made by `ddl`, and a task on its status REGISTERED that is called with the row's key.
async fn source(ddl: &str, table: &str, status: &str, result_column: &str) -> (TestDatabase, Running) {
    let db = TestDatabase::new().await;
    db.run(ddl).await;
    let literal: String = db.one_with("select quote_literal($1::text)", &[&table]).await;
    db.run(&format!(
        "select rowcall.watch({literal}, '{status}');
         create trigger test_changed after insert or update or delete on {table}
         for each statement execute function public.test_changed()"
    ))
    .await;
    let values = format!("{literal}, {result_column}, '{{\"{{{{ job.row_key | tojson }}}}\"}}'");
    db.task("load", "REGISTERED", ("source_table, result_column, command", &values)).await;
    let running = Running::start(&db).await;
    (db, running)
}

/// Runs the next job to its end and returns the key it was called with.
async fn run_one(db: &TestDatabase, running: &mut Running) -> String {
    let launched = running.launch().await;
    let became: String =
        db.one_with("select rowcall.task_succeed($1, '{\"rows\": 7}')", &[&launched.token]).await;
    assert_eq!(became, "written");
    running.end(&launched, End::exited(0));
    db.until("select count(*) = 0 from rowcall.jobs where state = 'running'").await;
    launched.attempt.request.command[0].clone()
}

#[tokio::test]
async fn names_that_need_quoting_in_another_schema() {
    let table = r#""My Schema"."Weird ""Table""""#;
    let (db, mut running) = source(
        &format!(r#"create schema "My Schema"; create table {table} ("Id ""1""" bigint primary key, "The $body$ State" text, "Out put" jsonb, "%s" int)"#),
        table,
        "The $body$ State",
        "'Out put'",
    )
    .await;
    db.run(&format!("insert into {table} values (1, 'OTHER'), (2, 'REGISTERED')")).await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"Id \"1\"": 2}"#);
    db.run(&format!("update {table} set \"The $body$ State\" = 'REGISTERED' where \"Id \"\"1\"\"\" = 1"))
        .await;
    run_one(&db, &mut running).await;
    let rows: String = db.one(&format!("select string_agg(t::text, ' ' order by t) from {table} t")).await;
    assert_eq!(
        rows,
        r#"(1,PROCESSED,"{""result"": {""rows"": 7}}",) (2,PROCESSED,"{""result"": {""rows"": 7}}",)"#
    );
    running.stop().await;
}

#[tokio::test]
async fn columns_named_like_the_aliases_of_our_own_statements() {
    let columns = "j text, n text, o text, p text, s text, t text, w text, key text, place int, made text, merge text, row_key text";
    let ddl = format!("create table odd (id int primary key, status text, {columns})");
    let (db, mut running) = source(&ddl, "odd", "status", "null").await;
    db.run("update rowcall.parameters set command = '{\"{{ row.t }}{{ row.n }}\"}', condition = '$.id > 0'")
        .await;
    db.run("insert into odd (id, t, n) values (1, 'T', 'N'); update odd set status = 'REGISTERED'").await;
    assert_eq!(run_one(&db, &mut running).await, "TN");
    assert_eq!(db.one::<String>("select status from odd").await, "PROCESSED");
    running.stop().await;
}

#[tokio::test]
async fn composite_text_and_uuid_keys() {
    let (db, mut running) = source(
        "create table parts (owner uuid, status text, name text, attributes jsonb, primary key (owner, name))",
        "parts",
        "status",
        "'attributes'",
    )
    .await;
    db.run(
        r#"insert into parts (owner, name, status) values
           ('00000000-0000-0000-0000-000000000001', E'it''s\n"a" \\ ü', 'REGISTERED'),
           ('00000000-0000-0000-0000-000000000002', E'it''s\n"a" \\ ü', 'OTHER')"#,
    )
    .await;
    let key = run_one(&db, &mut running).await;
    assert!(key.contains("00000000-0000-0000-0000-000000000001"), "{key}");
    let rows: String = db.one("select string_agg(status, ' ' order by owner) from parts").await;
    assert_eq!(rows, "PROCESSED OTHER");
    running.stop().await;
}

#[tokio::test]
async fn keys_are_the_same_for_every_writer_whatever_the_settings() {
    for kind in ["timestamptz", "timestamptz(3)", "timestamp", "date", "bytea", "numeric", "moment"] {
        let ddl = format!(
            "create domain moment as timestamptz; create table timed (at {kind}, status text, primary key (at))"
        );
        let (db, mut running) = source(&ddl, "timed", "status", "null").await;
        db.run("update rowcall.parameters set enabled = false").await;
        let value = match kind {
            "bytea" => r"'\x00ff'",
            "numeric" => "0.30000000000000004",
            _ => "'2026-03-29 01:30:00.123+00'",
        };
        db.run(&format!(
            "set timezone = 'Asia/Kathmandu'; insert into timed values ({value}, 'REGISTERED');
             set timezone = 'America/New_York'; set bytea_output = 'escape'; set datestyle = 'german'; set extra_float_digits = 0;
             update timed set status = 'B'; update timed set status = 'REGISTERED';
             select rowcall.rescan('timed')"
        ))
        .await;
        assert_eq!(db.jobs("load").await, 1, "{kind}");
        assert_eq!(db.one::<String>("show timezone").await, "America/New_York");
        db.run("update rowcall.parameters set enabled = true").await;
        run_one(&db, &mut running).await;
        assert_eq!(db.one::<String>("select status from timed").await, "PROCESSED", "{kind}");
        running.stop().await;
    }
}

#[tokio::test]
async fn numeric_keys_beyond_what_json_readers_hold() {
    let (db, mut running) =
        source("create table big (id numeric primary key, status text)", "big", "status", "null").await;
    db.run("insert into big values (123456789012345678901234567890.50, 'REGISTERED'), (7, 'OTHER')").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": "123456789012345678901234567890.5"}"#);
    db.run("update big set status = 'REGISTERED' where id = 7").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": "7"}"#);
    assert_eq!(db.one::<i64>("select count(*) from big where status = 'PROCESSED'").await, 2);
    running.stop().await;
}

#[tokio::test]
async fn included_columns_are_not_part_of_the_key() {
    let ddl = "create table covered (id int, status text, primary key (id) include (status))";
    let (db, mut running) = source(ddl, "covered", "status", "null").await;
    db.run("insert into covered values (1, 'REGISTERED')").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": 1}"#);
    running.stop().await;
}

#[tokio::test]
async fn an_enum_as_status_in_a_column_of_another_name() {
    let (db, mut running) = source(
        "create schema types; create type types.state as enum ('OTHER', 'REGISTERED', 'PROCESSING', 'PROCESSED', 'ERROR');
         create table orders (id int primary key, state types.state, attributes jsonb)",
        "orders",
        "state",
        "'attributes'",
    )
    .await;
    db.run("insert into orders values (1, 'OTHER'), (2, 'REGISTERED')").await;
    run_one(&db, &mut running).await;
    assert_eq!(
        db.one::<String>("select string_agg(state::text, ' ' order by id) from orders").await,
        "OTHER PROCESSED"
    );
    // ERROR is no word of this type any more: the failure cannot be written, and that is said.
    db.run(
        "alter type types.state rename value 'ERROR' to 'BROKEN'; update rowcall.parameters set max_attempts = 1;
         update orders set state = 'REGISTERED' where id = 1",
    )
    .await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(1));
    db.until("select write_back like 'failed: invalid input value for enum types.state: \"ERROR\"' from rowcall.history where outcome = 'TASK_FAILED'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_table_without_result_column_and_last_update() {
    let (db, mut running) =
        source("create table bare (id int primary key, status text)", "bare", "status", "null").await;
    db.run("insert into bare values (1, 'REGISTERED')").await;
    run_one(&db, &mut running).await;
    assert_eq!(db.one::<String>("select bare::text from bare").await, "(1,PROCESSED)");
    running.stop().await;
}

#[tokio::test]
async fn last_update_is_touched_by_every_write_back() {
    let ddl =
        "create table dated (id int primary key, status text, last_update timestamp default '2020-01-01')";
    let (db, mut running) = source(ddl, "dated", "status", "null").await;
    db.run("insert into dated values (1, 'REGISTERED')").await;
    run_one(&db, &mut running).await;
    assert!(db.one::<bool>("select last_update > now() - interval '1 day' from dated").await);
    running.stop().await;
}

#[tokio::test]
async fn a_partitioned_table_through_its_root_and_its_leaves() {
    let (db, mut running) = source(
        "create table events (id int, region text, status text, attributes jsonb, primary key (id, region)) partition by list (region);
         create table events_a partition of events for values in ('a');
         create table events_b (attributes jsonb, status text, region text not null, id int not null);
         alter table events attach partition events_b for values in ('b')",
        "events",
        "status",
        "'attributes'",
    )
    .await;
    db.run("insert into events values (1, 'a', 'REGISTERED'), (2, 'b', 'OTHER')").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": 1, "region": "a"}"#);
    // To another partition, which gives it another key.
    db.run("update events set region = 'a', status = 'REGISTERED' where id = 2").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": 2, "region": "a"}"#);
    db.run("insert into events_b (id, region, status) values (3, 'b', 'REGISTERED')").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": 3, "region": "b"}"#);
    db.run("update events_b set status = 'REGISTERED' where id = 3").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": 3, "region": "b"}"#);
    db.run("create table events_c partition of events for values in ('c'); select rowcall.watch('events')")
        .await;
    db.run("insert into events_c (id, region, status) values (4, 'c', 'REGISTERED')").await;
    run_one(&db, &mut running).await;
    let rows: String = db.one("select string_agg(id || status, ' ' order by id) from events").await;
    assert_eq!(rows, "1PROCESSED 2PROCESSED 3PROCESSED 4PROCESSED");
    assert_eq!(running.world.distinct_launches(), 5);
    running.stop().await;
    db.run("select rowcall.unwatch('events'); insert into events_a (id, region, status) values (9, 'a', 'REGISTERED')").await;
    assert_eq!(db.jobs("load").await, 0);
}

#[tokio::test]
async fn numbers_that_a_float_would_merge_are_different_rows() {
    for kind in ["numeric", "amount", "bigint"] {
        let (one, other) = if kind == "bigint" {
            ("9007199254740992", "9007199254740993")
        } else {
            ("12345678901234567890123", "12345678901234567890124")
        };
        let ddl = format!(
            "create domain amount as numeric check (value > 0); create table big (id {kind} primary key, status text)"
        );
        let (db, mut running) = source(&ddl, "big", "status", "null").await;
        for id in [one, other] {
            db.run(&format!("insert into big values ({id}, 'REGISTERED')")).await;
            let key = run_one(&db, &mut running).await;
            assert!(key.contains(id), "{kind}: {key}");
        }
        assert_eq!(db.one::<i64>("select count(*) from big where status = 'PROCESSED'").await, 2);
        running.stop().await;
    }
}

#[tokio::test]
async fn numbers_that_are_no_number_are_keys_like_others() {
    let ddl = "create table odd (id numeric primary key, status text)";
    let (db, mut running) = source(ddl, "odd", "status", "null").await;
    db.run("insert into odd values ('NaN', 'REGISTERED')").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": "NaN"}"#);
    running.stop().await;
}

#[tokio::test]
async fn operators_of_others_are_not_taken_for_those_of_the_key() {
    let (db, mut running) = source(
        "create table strings (id varchar(20) primary key, status text, attributes jsonb)",
        "strings",
        "status",
        "'attributes'",
    )
    .await;
    // More exact than Postgres' own, and in the path under which triggers of the table run.
    db.run(
        "create function planted(varchar, varchar) returns boolean language plpgsql as $$ begin raise 'planted'; end $$;
         create function planted(jsonb, jsonb) returns text language plpgsql as $$ begin raise 'planted'; end $$;
         create operator = (function = planted, leftarg = varchar, rightarg = varchar);
         create operator ->> (function = planted, leftarg = jsonb, rightarg = jsonb);
         insert into strings values ('a', 'REGISTERED', '{\"outcome\": \"LOST\"}')",
    )
    .await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": "a"}"#);
    let row: String = db.one("select concat(status, attributes) from strings").await;
    assert_eq!(row, r#"PROCESSED{"result": {"rows": 7}}"#);
    running.stop().await;
}

#[tokio::test]
async fn a_citext_key_is_one_however_it_is_spelled() {
    let ddl = "create extension citext; create domain nick as citext check (length(value) < 9);
               create table people (id nick primary key, status text)";
    let (db, mut running) = source(ddl, "people", "status", "null").await;
    // An operator for the domain would be the better match.
    db.run(
        "create function planted(nick, citext) returns boolean language plpgsql as $$ begin raise 'planted'; end $$;
         create function planted(nick, nick) returns boolean language plpgsql as $$ begin raise 'planted'; end $$;
         create operator = (function = planted, leftarg = nick, rightarg = citext);
         create operator = (function = planted, leftarg = nick, rightarg = nick)",
    )
    .await;
    db.run("update rowcall.parameters set enabled = false; insert into people values ('Ada', 'REGISTERED'), ('Bob', 'OTHER')").await;
    db.run("update people set id = 'ADA', status = 'B' where status = 'REGISTERED'; update people set status = 'REGISTERED' where status = 'B'")
        .await;
    let jobs: String = db.one("select string_agg(row_key::text, ' ') from rowcall.jobs").await;
    assert_eq!(jobs, r#"{"id": "ada"}"#, "one job of one row");
    db.run("update rowcall.parameters set enabled = true").await;
    run_one(&db, &mut running).await;
    let rows: String = db.one("select string_agg(id || ' ' || status, ' ' order by id) from people").await;
    assert_eq!(rows, "ADA PROCESSED Bob OTHER");
    running.stop().await;
}

#[tokio::test]
async fn blanks_that_fill_up_a_char_are_not_in_the_key() {
    let ddl = "create table padded (id char(5) primary key, status text)";
    let (db, mut running) = source(ddl, "padded", "status", "null").await;
    db.run("insert into padded values ('a', 'REGISTERED')").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"id": "a"}"#);
    assert_eq!(db.one::<String>("select status from padded").await, "PROCESSED");
    running.stop().await;
}

#[tokio::test]
async fn an_enum_and_a_domain_over_it_as_key() {
    let ddl = "create type suit as enum ('clubs', 'hearts'); create domain any_suit as suit;
               create table cards (suit any_suit, other suit, status text, primary key (suit, other))";
    let (db, mut running) = source(ddl, "cards", "status", "null").await;
    db.run("insert into cards values ('clubs', 'hearts', 'REGISTERED'), ('hearts', 'clubs', 'OTHER')").await;
    // Its name is no part of what was taken down of it.
    db.run("alter type suit rename to colour").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"suit": "clubs", "other": "hearts"}"#);
    assert_eq!(
        db.one::<String>("select string_agg(status, ' ' order by suit) from cards").await,
        "PROCESSED OTHER"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_named_key_takes_the_place_of_the_primary_key() {
    let db = TestDatabase::new().await;
    db.run(
        "create table readings (level float8 primary key, code text not null unique, status text, last_update timestamptz not null,
             unique (code, last_update));
         select rowcall.watch('readings', key => '{code}')",
    )
    .await;
    db.task(
        "load",
        "REGISTERED",
        ("source_table, result_column, command", "'readings', null, '{\"{{ job.row_key | tojson }}\"}'"),
    )
    .await;
    let mut running = Running::start(&db).await;
    db.run("insert into readings values (0.1, 'x', 'REGISTERED', now()), (0.2, 'y', 'OTHER', now())").await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"code": "x"}"#);
    // Which is kept by a watch that names none.
    db.run("select rowcall.watch('readings'); update readings set status = 'REGISTERED' where code = 'y'")
        .await;
    assert_eq!(run_one(&db, &mut running).await, r#"{"code": "y"}"#);
    assert_eq!(db.one::<i64>("select count(*) from readings where status = 'PROCESSED'").await, 2);
    // A last_update in the key is not set: the row would be another.
    db.run("select rowcall.watch('readings', 'status', '{code,last_update}'); update readings set status = 'REGISTERED' where code = 'x'")
        .await;
    run_one(&db, &mut running).await;
    assert_eq!(db.one::<i64>("select count(*) from readings where status = 'PROCESSED'").await, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_table_without_a_primary_key_is_watched_by_a_named_key() {
    let ddl = "create table keyless (a int not null, b text not null, note text, status text);
               create unique index on keyless (b, a) include (note)";
    let db = TestDatabase::new().await;
    db.run(ddl).await;
    db.run("select rowcall.watch('keyless', 'status', '{a,b}')").await;
    db.task("load", "REGISTERED", ("source_table, result_column", "'keyless', null")).await;
    db.run("insert into keyless values (1, 'x', null, 'REGISTERED')").await;
    assert_eq!(db.one::<String>("select row_key::text from rowcall.jobs").await, r#"{"a": 1, "b": "x"}"#);
    assert_eq!(db.one::<i64>(r#"select rowcall.run('load', 'keyless', '{"a":1,"b":"x"}')"#).await, 1);
}

#[tokio::test]
async fn tables_whose_rows_no_trigger_sees_are_refused() {
    let db = TestDatabase::new().await;
    db.run(
        "create table parents (id int primary key, status text); create table children (primary key (id)) inherits (parents);
         create temp table passing (id int primary key, status text)",
    )
    .await;
    let refused = db.refused("select rowcall.watch('parents')").await;
    assert!(refused.contains("other tables inherit from") && refused.contains("children"), "{refused}");
    let refused = db.refused("select rowcall.watch('passing')").await;
    assert!(refused.contains("temporary"), "{refused}");
    db.run("select rowcall.watch('children')").await;
}

#[tokio::test]
async fn a_status_column_with_a_percent_sign() {
    let ddl = r#"create table odd (id int primary key, "% done" text)"#;
    let (db, mut running) = source(ddl, "odd", "% done", "null").await;
    db.run("insert into odd values (1, 'REGISTERED')").await;
    run_one(&db, &mut running).await;
    assert_eq!(db.one::<String>(r#"select "% done" from odd"#).await, "PROCESSED");
    running.stop().await;
}
