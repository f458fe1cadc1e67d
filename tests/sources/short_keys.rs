//! Jobs are found by a short form of their row's key, however long that is.

use super::source;
use crate::support::TestDatabase;
use rowcall::job::End;

#[tokio::test]
async fn keys_too_long_for_an_index_are_keys_like_others() {
    let ddl = "create table long (id text primary key, status text)";
    let (db, mut running) = source(ddl, "long", "status", "null").await;
    db.run("update rowcall.parameters set enabled = false, command = '{}'").await;
    // The longest that an index of the table takes, of random letters, which do not compress; and very long ones, which do.
    let random = "select left(string_agg(encode(sha256(i::text::bytea), 'base64'), '' order by i), 2600) from generate_series(1, 80) i";
    let keys =
        format!("select ({random}) || n from generate_series(1, 3) n union all select repeat('\\é', 60000)");
    db.run(&format!("insert into long select k, 'REGISTERED' from ({keys}) t(k)")).await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0);
    db.run("update long set status = 'B'; update long set status = 'REGISTERED'").await;
    assert_eq!(db.jobs("load").await, 4, "one job of each row");
    let found: i64 = db
        .one("select count(*) from long l join rowcall.jobs j on j.short_key = rowcall.short_key(rowcall.row_key('long', l.id)) and j.row_key->>'id' = l.id")
        .await;
    assert_eq!(found, 4);
    db.run("update rowcall.parameters set enabled = true").await;
    for _ in 0..4 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 4 from long where status = 'PROCESSED'").await;
    db.until("select count(*) = 4 from rowcall.history").await;
    let explained: i64 = db
        .one("select count(*) from long l, rowcall.explain('long', l.id) e where e like 'load, job %: SUCCEEDED%'")
        .await;
    assert_eq!(explained, 4);
    running.stop().await;
}

#[tokio::test]
async fn a_row_among_very_many_jobs_is_found_by_an_index() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (status) select 'OTHER' from generate_series(1, 20000); update rowcall.files set status = 'REGISTERED';
            update rowcall.jobs set state = 'blocked' where id % 2 = 0; analyze rowcall_internal.jobs")
        .await;
    for statement in [
        "update rowcall.files set status = 'B' where id = 7; update rowcall.files set status = 'REGISTERED' where id = 7",
        "update rowcall.files set status = 'B' where id = 8",
        "select rowcall.explain('rowcall.files', 9)",
        "select rowcall.preview('rowcall.files', 9)",
        "select rowcall.run('loader', 'rowcall.files', 9)",
        "select rowcall.cancel(id) from rowcall.jobs where id = 10",
        "select * from rowcall.jobs where source_table = 'rowcall.files'::regclass
             and short_key = rowcall.short_key(rowcall.row_key('rowcall.files', 11))",
    ] {
        // Counted in the transaction so far, and of those before it what is not handed on yet.
        let count = "select (seq_tup_read + idx_tup_fetch)::bigint from pg_stat_xact_user_tables where relid = 'rowcall_internal.jobs'::regclass";
        db.run("begin").await;
        let before: i64 = db.one(count).await;
        db.run(statement).await;
        let read = db.one::<i64>(count).await - before;
        assert!(read < 100, "{statement}: {read} jobs were looked at");
        db.run("rollback").await;
    }
}

/// Tables with keys of various forms, and their key columns.
const TABLES: [(&str, &str); 5] = [
    ("long", "id text primary key"),
    ("odd", r#""a\b" bigint, "é" date, "%" uuid, primary key ("a\b", "é", "%")"#),
    ("whole", r#""a""b" int primary key"#),
    ("unique", r#""%" uuid primary key"#),
    ("named", "id varchar(40) primary key"),
];

#[tokio::test]
async fn jobs_have_the_short_key_of_its_function_from_everywhere() {
    let db = TestDatabase::new().await;
    let of_all =
        |statement: &str| TABLES.map(|(table, _)| statement.replace('?', &format!("\"{table}\""))).join(";");
    for (table, key) in TABLES {
        db.run(&format!(
            "create table \"{table}\" ({key}, status text default 'A'); select rowcall.watch('\"{table}\"');
             insert into rowcall.parameters (name, source_table, on_status, runner, target, result_column)
             values ('{table}', '\"{table}\"', 'A', 'docker', 'null', null)"
        ))
        .await;
    }
    for (table, key) in [
        ("long", "repeat('x', 490)"),
        ("long", "repeat('é', 400)"),
        ("long", "repeat('\\', 240)"),
        ("odd", "7, '2026-01-02', '00000000-0000-0000-0000-000000000001'"),
        ("odd", "-7, 'infinity', gen_random_uuid()"),
        ("whole", "7"),
        ("whole", "-2147483648"),
        ("unique", "gen_random_uuid()"),
        ("unique", "'ffffffff-ffff-ffff-ffff-fffffffffffe'"),
        ("named", "gen_random_uuid()"),
        ("named", "upper(gen_random_uuid()::text)"),
        ("named", "repeat('x', 36)"),
    ] {
        db.run(&format!("insert into \"{table}\" values ({key})")).await;
    }
    let select = of_all("select 1 from ?");
    let update = of_all("update ? set status = 'A'");
    let few = of_all("update ? set status = 'A' where ctid = (select min(ctid) from ?)");
    let rescan = of_all("select rowcall.rescan('?')");
    for made_by in [&select, &update, &few, &rescan, "select rowcall.run('long', 'long', id) from long"] {
        if *made_by == rescan {
            db.run(&of_all("alter table ? disable trigger user; update ? set status = 'A'; alter table ? enable trigger user"))
                .await;
        }
        db.run(made_by).await;
        let wrong =
            "select count(*) from rowcall.jobs where short_key is distinct from rowcall.short_key(row_key)";
        assert_eq!(db.one::<i64>(wrong).await, 0, "{made_by}");
        let made: i64 = db.one("select count(*) from rowcall.jobs").await;
        assert!(made >= 3, "{made_by} made {made}");
        assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0, "{made_by}");
        db.run("delete from rowcall.jobs; delete from rowcall.history").await;
        db.run(&of_all("update ? set status = 'B'")).await;
    }
    for (key, short) in [
        (r#"{"id": 1}"#, "a1"),
        (r#"{"a\"": -9223372036854775808}"#, "t-9223372036854775808"),
        (r#"{"id": "1"}"#, r#"{"id": "1"}"#),
        (r#"{"a": 1, "b": 2}"#, r#"{"a": 1, "b": 2}"#),
        (r#"{"id": 12345678901234567890}"#, r#"{"id": 12345678901234567890}"#),
        (r#"{"id": "00000000-0000-0000-0000-000000000000"}"#, "u----------------------"),
        (r#"{"id": "ffffffff-ffff-ffff-ffff-ffffffffffff"}"#, "uzzzzzzzzzzzzzzzzzzzzzk"),
        (
            r#"{"id": "FFFFFFFF-ffff-ffff-ffff-ffffffffffff"}"#,
            r#"{"id": "FFFFFFFF-ffff-ffff-ffff-ffffffffffff"}"#,
        ),
    ] {
        let made: String = db.one_with("select rowcall.short_key($1::text::jsonb)", &[&key]).await;
        assert_eq!(made, short);
    }
}

#[tokio::test]
async fn short_keys_of_uuids_sort_as_these_and_differ_as_these() {
    let db = TestDatabase::new().await;
    let same: (i64, bool) = (
        db.one("with uuids as (select gen_random_uuid() as id from generate_series(1, 5000))
                select count(distinct rowcall.short_key(jsonb_build_object('id', id))) from uuids")
        .await,
        db.one("with uuids as (select gen_random_uuid() as id from generate_series(1, 5000)),
                     keys as (select id, rowcall.short_key(jsonb_build_object('id', id)) collate \"C\" as key from uuids)
                select array_agg(id order by id) = array_agg(id order by key) from keys")
        .await,
    );
    assert_eq!(same, (5000, true));
}

#[tokio::test]
async fn one_statement_makes_jobs_beside_those_that_are_there() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id) values (1), (2); delete from rowcall.files").await;
    let first: i64 = db.one("select max(id) from rowcall.jobs").await;
    // The keys of two rows that are gone are used again, among others.
    db.run("insert into rowcall.files (id) select generate_series(1, 5)").await;
    let found: (i64, i64) = (
        db.one("select count(*) from rowcall.jobs where state = 'pending'").await,
        db.one(&format!("select count(*) from rowcall.jobs where id > {first}")).await,
    );
    assert_eq!(found, (5, 3), "one job for each row, and those that were there stay");
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0);
}
