//! A row is named as people name it, and found as the triggers wrote it.

use crate::support::{TestDatabase, VIEWER};

/// Tables of other shapes than files, each with a task that makes a job of every row.
async fn tables() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.run(
        "create extension citext;
         create table parts (a int, b text, status text default 'NEW', primary key (a, b));
         create table codes (code text primary key, status text default 'NEW');
         create table orders (id uuid primary key, status text default 'NEW');
         create table readings (taken timestamptz, day date, raw bytea, status text default 'NEW', primary key (taken, day, raw));
         create table prices (amount numeric(10, 2) primary key, status text default 'NEW');
         create table short (code varchar(3) primary key, status text default 'NEW');
         create table padded (code char(5) primary key, status text default 'NEW');
         create table names (name citext primary key, status text default 'NEW');
         select rowcall.watch(t::regclass) from unnest('{parts,codes,orders,readings,prices,short,padded,names}'::text[]) t",
    )
    .await;
    for table in ["parts", "codes", "orders", "readings", "prices", "short", "padded", "names"] {
        let more = format!("'public.{table}', null");
        db.task(table, "NEW", ("source_table, result_column", &more)).await;
    }
    db
}

#[tokio::test]
async fn a_key_as_typed_is_the_key_of_the_job() {
    let db = tables().await;
    db.run(
        "set timezone = 'Asia/Tokyo'; set intervalstyle = 'iso_8601'; set bytea_output = 'escape'; set extra_float_digits = 0;
         set datestyle = 'german'",
    )
    .await;
    for (table, values, keys) in [
        ("parts", "1, 'x'", vec![r#"'{"a":1,"b":"x"}'"#, r#"'{"b":"x", "a":"1"}'::jsonb"#]),
        (
            "codes",
            "'abc'",
            vec!["'abc'", "'abc'::text", "'abc'::varchar", "'abc'::name", r#"'{"code":"abc"}'"#],
        ),
        ("codes", r#"'{"x": 1}'"#, vec![r#"'{"x": 1}'"#]),
        ("codes", "'42'", vec!["42", "'42'", "'\"42\"'::jsonb"]),
        (
            "orders",
            "'5b30857f-0bfa-48b5-ac0b-5c64e28078d1'",
            vec!["'5B30857F-0BFA-48B5-AC0B-5C64E28078D1'", "'5b30857f-0bfa-48b5-ac0b-5c64e28078d1'::uuid"],
        ),
        (
            "readings",
            r"'02.03.2026 12:00', '04.03.2026', '\x00ff'",
            vec![
                r#"'{"taken":"02.03.2026 12:00","day":"04.03.2026","raw":"\\x00ff"}'"#,
                r#"'{"taken":"2026-03-02T03:00:00Z","day":"2026-03-04","raw":"\\000\\377"}'"#,
            ],
        ),
        ("prices", "1.5", vec!["1.50", "'1.5'", "1.5::float8"]),
        ("short", "'abc'", vec!["'abc'"]),
        ("padded", "'ab'", vec!["'ab'", "'ab   '", "'ab'::char(9)"]),
        ("names", "'Ada'", vec!["'Ada'", "'ADA'", "'ada'::citext"]),
    ] {
        db.run(&format!("insert into {table} values ({values})")).await;
        let job: String = db.one("select row_key::text from rowcall.jobs").await;
        for key in keys {
            let found: String = db.one(&format!("select rowcall.row_key('{table}', {key})::text")).await;
            assert_eq!(found, job, "{table} {key}");
        }
        db.run("delete from rowcall.jobs").await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_answered_with_the_columns_and_their_types() {
    let db = tables().await;
    for (table, key, parts) in [
        (
            "rowcall.files",
            "'abc'",
            vec![
                "22023",
                "a row of rowcall.files is named by its key (id bigint)",
                "not one: abc",
                "invalid input",
            ],
        ),
        ("rowcall.files", "null", vec!["22004", "(id bigint), which is null here"]),
        ("rowcall.files", "1.5", vec!["22023", "not one: 1.5"]),
        ("parts", "42", vec!["22023", "its whole key (a integer, b text)", r#"{"a": …, "b": …}"#]),
        ("parts", r#"'{"a":1}'"#, vec!["b is missing", r#"{"a": …, "b": …}"#]),
        ("parts", r#"'{"a":1,"b":null}'"#, vec!["b is missing"]),
        ("parts", r#"'{"a":1,"b":"x","c":3}'"#, vec![r#"of which "c" is no part"#]),
        ("parts", r#"'{"a":1,"b"'"#, vec!["this is not: {"]),
        ("pg_class", "1", vec!["RC010", "table pg_class is not watched"]),
    ] {
        let refused = db.refused(&format!("select rowcall.row_key('{table}', {key})")).await;
        for part in parts {
            assert!(refused.contains(part), "{table} {key}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_viewer_may_ask_for_a_key_of_a_table_it_cannot_read() {
    let db = tables().await;
    let viewer = db.connect_as(VIEWER).await;
    assert!(viewer.batch_execute("select * from parts").await.is_err());
    let row =
        viewer.query_one(r#"select rowcall.row_key('parts', '{"a":1,"b":"x"}')::text"#, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), r#"{"a": 1, "b": "x"}"#);
}

#[tokio::test]
async fn a_key_that_no_column_holds_is_no_other_rows_key() {
    let db = TestDatabase::new().await;
    db.run("create domain code as varchar(3); create domain amount as numeric(5, 2)").await;
    for (number, (kind, kept, longer)) in [
        ("code", "abc", "abcd"),
        ("char(3)", "abc", "abcd"),
        ("amount", "1.25", "1.254"),
        ("timestamptz(0)", "2026-01-01 12:00+00", "2026-01-01 12:00:00.4+00"),
        ("smallint", "1", "65537"),
        ("numeric", "1", "1.00000000000000000000000000001"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("kept{number}");
        db.run(&format!(
            "create table {table} (id {kind} primary key, status text); insert into {table} values ('{kept}', 'X');
             select rowcall.watch('{table}')"
        ))
        .await;
        for (key, known) in [(kept, true), (longer, false)] {
            let said: String = db.one(&format!("select rowcall.explain('{table}', '{key}') limit 1")).await;
            assert_eq!(said.contains("status is X"), known, "{kind}: {said}");
            assert_eq!(said.contains("there is no such row"), !known, "{kind}: {said}");
        }
    }
}

#[tokio::test]
async fn naming_a_row_runs_no_code_of_its_types() {
    let db = TestDatabase::new().await;
    db.run(
        "create function spy(text) returns boolean language plpgsql as $$ begin raise 'spied as %', current_user; end $$;
         create domain spied as text; create table watched (id spied primary key, status text);
         create type kind as enum ('a'); create table kinds (id kind primary key, status text);
         create function spy_on(kind) returns json language plpgsql as $$ begin raise 'spied as %', current_user; end $$;
         create function spy_on_text(kind) returns text language plpgsql as $$ begin raise 'spied as %', current_user; end $$;
         create cast (kind as json) with function spy_on; create cast (kind as text) with function spy_on_text;
         create table gone (id spied primary key, status text);
         select rowcall.watch('watched'), rowcall.watch('kinds'), rowcall.watch('gone'); alter domain spied add check (spy(value))",
    )
    .await;
    let viewer = db.connect_as(VIEWER).await;
    viewer
        .batch_execute("select rowcall.row_key('watched', 'a'), rowcall.row_key('kinds', 'a')")
        .await
        .unwrap();
    db.task("look", "NEW", ("source_table, result_column", "'kinds', null")).await;
    db.run("insert into kinds values ('a', 'NEW')").await;
    assert_eq!(db.jobs("look").await, 1);
    // The recorded name may be another type's by now.
    db.run("drop table gone").await;
    let refused = db.refused("select rowcall.row_key(relation, 'a') from rowcall.source_tables where not exists (select from pg_class where oid = relation)").await;
    assert!(refused.contains("RC011") && refused.contains("was dropped"), "{refused}");
}

#[tokio::test]
async fn a_change_of_the_key_runs_no_code_of_its_types() {
    let db = TestDatabase::new().await;
    db.run(
        "create type kind as enum ('a'); create table kinds (id kind primary key, n int not null default 1, status text);
         create function spy(text) returns kind language plpgsql as $$ begin raise 'spied as %', current_user; end $$;
         create cast (text as kind) with function spy; select rowcall.watch('kinds')",
    )
    .await;
    db.task("look", "NEW", ("source_table, result_column", "'kinds', null")).await;
    db.run("insert into kinds values ('a', 1, 'NEW')").await;
    db.run("alter table kinds drop constraint kinds_pkey, add primary key (id, n); select rowcall.watch('kinds')").await;
    assert_eq!(db.one::<String>("select row_key::text from rowcall.jobs").await, r#"{"n": 1, "id": "a"}"#);
}

#[tokio::test]
async fn no_name_at_all_is_answered_like_a_wrong_one() {
    let db = TestDatabase::new().await;
    for call in ["run(null, 'rowcall.files', '1')", "restore_parameters(null, 1)"] {
        let refused = db.refused(&format!("select rowcall.{call}")).await;
        assert!(refused.starts_with("RC012"), "{call}: {refused}");
    }
}
