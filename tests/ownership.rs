//! Several tasks on one status: one of them owns the row's status; tasks without status words are observers beside it.

mod by_hand;
mod observers;

use crate::support::{Launched, Running, TestDatabase};
use rowcall::job::End;

pub const ONCE: (&str, &str) = ("max_attempts", "1");

pub async fn row(db: &TestDatabase) -> String {
    db.one("select concat_ws(' ', status, attributes) from rowcall.files").await
}

/// Ends an attempt and waits until its job is settled.
pub async fn end(db: &TestDatabase, running: &Running, launched: &Launched, end: End) {
    running.end(launched, end);
    db.until(&format!("select count(*) = 1 from rowcall.history where job_id = {}", launched.attempt.job_id))
        .await;
}

async fn asked(db: &TestDatabase) -> String {
    db.one("select coalesce(string_agg(format('%s %s', row_key->>'id', task), ', ' order by row_key, id), '') from rowcall.jobs").await
}

async fn explained(db: &TestDatabase) -> String {
    db.one("select string_agg(line, E'\\n') from rowcall.explain('rowcall.files', 1) line").await
}

#[tokio::test]
async fn one_owner_gets_the_job_and_explain_names_the_others() {
    let db = TestDatabase::new().await;
    for (name, size, order) in
        [("big", "'$.attributes.size > 10'", 1), ("any", "null", 2), ("huge", "'$.attributes.size > 99'", 0)]
    {
        db.task(name, "REGISTERED", ("condition, route_order", &format!("{size}, {order}"))).await;
    }
    db.run(r#"insert into rowcall.files (id, attributes) values (1, '{"size": 11}'), (2, '{"size": 1}'), (3, '{"size": 100}')"#)
        .await;
    assert_eq!(asked(&db).await, "1 big, 2 any, 3 huge");
    let said = "any starts on REGISTERED, too, but big goes before it (route_order, then name) and owns the status of this row";
    assert!(explained(&db).await.contains(said), "{}", explained(&db).await);
    assert!(!explained(&db).await.contains("huge"), "its condition is not met");
    let why: String =
        db.one("select why from rowcall.preview('rowcall.files', 1) where task = 'any' and not runs").await;
    assert!(
        why.contains("big goes before it (route_order, then name) and owns the status of this row"),
        "{why}"
    );
    let mut running = Running::start(&db).await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    for _ in 0..2 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 3 from rowcall.files where status = 'PROCESSED'").await;
    assert!(explained(&db).await.contains("no task starts on PROCESSED"), "{}", explained(&db).await);
    running.stop().await;
}

#[tokio::test]
async fn an_update_asks_for_the_first_by_name_if_the_order_is_equal() {
    let db = TestDatabase::new().await;
    for name in ["b", "B", "a"] {
        db.task(name, "REGISTERED", ("condition", &format!("'$.attributes.for{name} == true'"))).await;
    }
    db.run(
        r#"insert into rowcall.files (id, status, attributes)
              select id, 'NEW', '{"fora": true, "forb": true, "forB": true}' from generate_series(1, 3) id;
              update rowcall.files set status = 'REGISTERED' where id = 1;
              update rowcall.files set status = 'REGISTERED' where id > 1"#,
    )
    .await;
    assert_eq!(asked(&db).await, "1 B, 2 B, 3 B", "by the order of their bytes");
}

#[tokio::test]
async fn a_disabled_owner_gives_way_and_keeps_what_no_other_takes() {
    let db = TestDatabase::new().await;
    db.task("first", "REGISTERED", ("condition, enabled", "'$.attributes.size > 0', false")).await;
    db.task("second", "REGISTERED", ("condition, route_order", "'$.attributes.size > 10', 1")).await;
    db.run(r#"insert into rowcall.files (id, attributes) values (1, '{"size": 11}'), (2, '{"size": 1}')"#)
        .await;
    assert_eq!(asked(&db).await, "1 second, 2 first", "the second waits until the first is enabled");
}

#[tokio::test]
async fn a_task_that_no_row_can_reach_is_refused_when_written() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let insert = |name: &str, more: (&str, &str)| {
        format!(
            "insert into rowcall.parameters (name, on_status, runner, target{}) values ('{name}', 'REGISTERED', 'docker', 'x'{})",
            more.0, more.1
        )
    };
    let refused = db.refused(&insert("zip", ("", ""))).await;
    let said = "parameters: zip would never run: loader takes every row of rowcall.files in the status \"REGISTERED\"";
    assert!(refused.contains(said) && refused.contains("writes results only"), "{refused}");
    let refused = db.refused(&insert("before", ("", ""))).await;
    assert!(refused.contains("loader would never run: before takes every row"), "{refused}");

    let csv = "'$.attributes.ext == \"csv\"'";
    db.run(&insert("csv", (", condition, route_order", &format!(", {csv}, -1")))).await;
    let refused = db.refused(&insert("csv2", (", condition, route_order", &format!(", {csv}, -1")))).await;
    assert!(refused.contains("csv2 would never run: csv takes"), "{refused}");
    db.run(&insert("off", (", enabled", ", false"))).await;
    let refused = db.refused("update rowcall.parameters set enabled = true where name = 'off'").await;
    assert!(refused.contains("off would never run: loader takes"), "{refused}");
    db.run(&insert("observer", (", status_running, status_succeeded, status_failed", ", null, null, null")))
        .await;
    // A change of places takes two statements, and is looked at when both are done.
    db.run("begin; set constraints rowcall.parameters_check_loop deferred;
            update rowcall.parameters set condition = '$.attributes.ext == \"zip\"', route_order = -1 where name = 'loader';
            update rowcall.parameters set enabled = true where name = 'off'; commit").await;
    db.run("update rowcall.parameters set priority = 1").await;
}

#[tokio::test]
async fn a_task_that_finds_its_rows_by_status_shares_it_with_no_owner() {
    let db = TestDatabase::new().await;
    db.task("old", "REGISTERED", ("status_running_by, condition", "'task', '$.attributes.old == true'"))
        .await;
    let refused = db.refused("insert into rowcall.parameters (name, on_status, runner, target) values ('shared', 'REGISTERED', 'docker', 'x')").await;
    let said = "parameters.status_running_by: shared and old cannot share on_status \"REGISTERED\": one of them finds its rows by it";
    assert!(refused.contains(said), "{refused}");
    db.task(
        "observer",
        "REGISTERED",
        ("status_running, status_succeeded, status_failed", "null, null, null"),
    )
    .await;
    // As two edits at the same moment do.
    db.run("set session_replication_role = replica").await;
    db.task("shared", "REGISTERED", ("", "")).await;
    db.run("set session_replication_role = origin").await;
    let mut running = Running::start(&db).await;
    db.run(r#"insert into rowcall.files (attributes) values ('{"old": true}')"#).await;
    assert_eq!(running.launch().await.attempt.task, "observer");
    db.until("select reason like 'parameters.status_running_by: a task that finds its rows by their status cannot share%' from rowcall.jobs where task = 'old'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_rerouted_row_is_left_to_its_new_owner() {
    let db = TestDatabase::new().await;
    db.task("old", "REGISTERED", ("backoff, backoff_max", "'1 hour', '1 hour'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let first = running.launch().await;
    running.end(&first, End::exited(1));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    db.task("new", "REGISTERED", ("route_order, condition", "-1, '$.attributes.new == true'")).await;
    db.run(r#"update rowcall.files set status = 'REGISTERED', attributes = '{"new": true}'"#).await;
    let new = running.launch().await;
    assert_eq!((new.attempt.task.as_str(), row(&db).await.as_str()), ("new", r#"PROCESSING {"new": true}"#));
    db.run(
        "update rowcall.jobs set due_at = now() where task = 'old'; select pg_notify('rowcall_control', '')",
    )
    .await;
    db.until("select outcome = 'OBSOLETE' and message = 'the row moved on to PROCESSING' from rowcall.history where task = 'old'").await;
    end(&db, &running, &new, End::exited(0)).await;
    assert_eq!(
        (row(&db).await.as_str(), running.world.distinct_launches()),
        (r#"PROCESSED {"new": true}"#, 2)
    );
    running.stop().await;
}

#[tokio::test]
async fn an_end_leaves_a_row_that_another_task_has_by_then() {
    for reports in [false, true] {
        let db = TestDatabase::new().await;
        db.task("loader", "REGISTERED", ONCE).await;
        db.task("mover", "MOVED", ONCE).await;
        let mut running = Running::start(&db).await;
        db.run("insert into rowcall.files (id) values (1)").await;
        let loader = running.launch().await;
        db.run("update rowcall.files set status = 'MOVED'").await;
        let mover = running.launch().await;
        assert_eq!((mover.attempt.task.as_str(), row(&db).await.as_str()), ("mover", "PROCESSING"));
        if reports {
            let became: String = db.one_with("select rowcall.task_succeed($1, '{}')", &[&loader.token]).await;
            assert_eq!(became, "moved");
        }
        end(&db, &running, &loader, End::exited(0)).await;
        assert_eq!(row(&db).await, "PROCESSING", "the mover's, not the loader's to end");
        end(&db, &running, &mover, End::exited(0)).await;
        assert_eq!(row(&db).await, "PROCESSED {}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_retry_leaves_a_row_that_another_task_has_by_then() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff, backoff_max", "'1 hour', '1 hour'")).await;
    db.task("mover", "MOVED", ONCE).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let loader = running.launch().await;
    db.run("update rowcall.files set status = 'MOVED'").await;
    let mover = running.launch().await;
    running.end(&loader, End::exited(1));
    db.until("select state = 'waiting' from rowcall.jobs where task = 'loader'").await;
    assert_eq!(row(&db).await, "PROCESSING", "the mover's");
    db.run("update rowcall.jobs set due_at = now() where task = 'loader'; select pg_notify('rowcall_control', '')")
        .await;
    db.until("select outcome = 'OBSOLETE' from rowcall.history where task = 'loader'").await;
    end(&db, &running, &mover, End::exited(0)).await;
    assert_eq!((row(&db).await.as_str(), running.world.distinct_launches()), ("PROCESSED {}", 2));
    running.stop().await;
}

#[tokio::test]
async fn a_condition_holds_whoever_writes_the_row() {
    let db = TestDatabase::new().await;
    db.run(
        "create table due (id int primary key, at timestamptz, gap interval, raw bytea, status text, of regclass default 'due');
            select rowcall.watch('due')",
    )
    .await;
    for (name, condition) in [
        ("at", r#"$.at starts with "2026-03-01T20""#),
        ("gap", r#"$.gap == "1 day""#),
        ("raw", r#"$.raw == "\\x01""#),
        ("of", r#"$.of == "public.due""#),
    ] {
        let values = format!("'due', null, '{condition}'");
        db.task(name, &name.to_uppercase(), ("source_table, result_column, condition", &values)).await;
    }
    for settings in [
        "timezone = 'Asia/Tokyo'",
        "intervalstyle = 'iso_8601'",
        "bytea_output = 'escape'",
        "datestyle = 'German'",
        "quote_all_identifiers = on",
    ] {
        db.run(&format!("set {settings}; truncate due; delete from rowcall.jobs;
            insert into due select i, '2026-03-01 20:00:00+00', '1 day', '\\x01', s from unnest('{{AT,GAP,RAW,OF}}'::text[]) with ordinality u(s, i);
            delete from rowcall.jobs where task = 'gap'; update due set status = 'X' where id = 2; update due set status = 'GAP' where id = 2; reset all")).await;
        let asked: String = db.one("select string_agg(task, ' ' order by task) from rowcall.jobs").await;
        assert_eq!(asked, "at gap of raw", "{settings}");
    }
}

#[tokio::test]
async fn two_dispatchers_run_owner_and_observer_of_every_row_once() {
    const ROWS: i64 = 60;
    let db = TestDatabase::new().await;
    db.task("owner", "REGISTERED", ("max_running", "7")).await;
    db.task(
        "observer",
        "REGISTERED",
        ("status_running, status_succeeded, status_failed", "null, null, null"),
    )
    .await;
    let mut first = Running::start(&db).await;
    let mut second =
        Running::with(crate::support::settings(&db.url), std::sync::Arc::clone(&first.world)).await;
    db.run(&format!("insert into rowcall.files select from generate_series(1, {ROWS})")).await;
    for _ in 0..2 * ROWS {
        let launched = tokio::select! { l = first.launch() => l, l = second.launch() => l };
        first.end(&launched, End::exited(0));
    }
    db.until(&format!("select count(*) = {ROWS} from rowcall.files where status = 'PROCESSED'")).await;
    db.until(&format!("select count(*) = {} from rowcall.history where outcome = 'SUCCEEDED'", 2 * ROWS))
        .await;
    assert_eq!(first.world.distinct_launches() as i64, 2 * ROWS);
    first.stop().await;
    second.stop().await;
}
