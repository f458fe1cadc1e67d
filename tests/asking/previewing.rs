//! `rowcall.preview`: what each task would do with a row, and why not if not.

use crate::support::{ADMIN, TASKS, TestDatabase, VIEWER};
use serde_json::{Value, json};

/// With a dispatcher that is said to offer docker and lambda, and a row that no task wants yet.
async fn quiet() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.run(
        r#"insert into rowcall.dispatchers (host, pid, version, runners) values ('h', 1, 'v', '{docker,lambda,ecs}');
           insert into rowcall.files (id, status, attributes) values (42, 'NEW', '{"path": "s3://b/a b.csv", "size": 7}')"#,
    )
    .await;
    db
}

/// The preview of the only task.
async fn preview(db: &TestDatabase) -> Value {
    db.one("select to_jsonb(p) from rowcall.preview('rowcall.files', 42) p").await
}

/// The same as (runs, why).
async fn verdict(db: &TestDatabase) -> (Option<bool>, String) {
    let seen = preview(db).await;
    (seen["runs"].as_bool(), seen["why"].as_str().unwrap_or_default().to_owned())
}

const WAITS: &str = "for status to become REGISTERED (it is NEW)";

#[tokio::test]
async fn everything_a_task_would_be_given_is_shown_rendered() {
    let db = quiet().await;
    db.run(r#"insert into rowcall.runner_defaults values ('docker', '{"memory": 512, "user": "1000"}')"#)
        .await;
    db.task(
        "loader",
        "REGISTERED",
        (
            "command, environment, values, settings, max_running, concurrency_key",
            r#"'{load,"{{ row.attributes.path }}","{{values.mode}}"}', '{"KEY": "{{ job.row_key | tojson }}", "AT": "{{ row.status }}/{{ job.attempt }}"}',
               '{"mode": "fast"}', '{"memory": 64}', 5, 'size {{ row.attributes.size }}'"#,
        ),
    )
    .await;
    let seen = preview(&db).await;
    assert_eq!(seen["task"], "loader");
    assert_eq!(seen["runs"], true);
    assert_eq!(seen["why"], WAITS);
    assert_eq!((&seen["runner"], &seen["target"]), (&json!("docker"), &json!("fake")));
    assert_eq!(seen["command"], json!(["load", "s3://b/a b.csv", "fast"]));
    assert_eq!(seen["environment"], json!({"KEY": "{\"id\": 42}", "AT": "REGISTERED/1"}));
    assert_eq!(seen["settings"], json!({"memory": 64, "user": "1000"}));
    assert_eq!(seen["limits"]["concurrency_key"], "size 7");
    assert_eq!((&seen["limits"]["max_running"], &seen["limits"]["timeout"]), (&json!(5), &json!("01:00:00")));
    assert_eq!(seen["write_back"]["status_succeeded"], "PROCESSED");
}

/// A new column is shown, or joins those that are the person's own words or the question itself.
#[tokio::test]
async fn every_column_of_a_task_is_shown() {
    let db = quiet().await;
    db.task("loader", "REGISTERED", ("concurrency_key", "'{{ row.id }}'")).await;
    let seen = preview(&db).await;
    let shown = |column: &String| {
        [&seen, &seen["limits"], &seen["write_back"]].into_iter().any(|part| part.get(column).is_some())
    };
    let columns = "select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = 'rowcall.parameters'::regclass and a.attnum > 0 and not a.attisdropped";
    let mut hidden: Vec<String> = db.one(columns).await;
    hidden.retain(|column| !shown(column));
    let asked_for = ["name", "source_table", "on_status"];
    let in_why = ["enabled", "condition"];
    let of_people = ["description", "values", "version", "updated_at"];
    let mut known = [&asked_for[..], &in_why, &of_people].concat();
    known.sort_unstable();
    hidden.sort_unstable();
    assert_eq!(hidden, known);
}

#[tokio::test]
async fn what_stands_in_the_way_is_named_and_so_is_what_it_waits_for() {
    let db = quiet().await;
    db.task("loader", "REGISTERED", ("concurrency_key", "'{{ row.attributes.size }}'")).await;
    assert_eq!(verdict(&db).await, (Some(true), WAITS.to_owned()));
    for (change, undo, runs, why) in [
        ("enabled = false", "enabled = true", false, "loader is disabled"),
        (
            "condition = '$.attributes.size > 10'",
            "condition = null",
            false,
            "its condition is not met: ($.\"attributes\".\"size\" > 10)",
        ),
        ("condition = '$.status == \"REGISTERED\"'", "condition = null", true, ""),
        (
            "runner = 'process', target = '/bin/true'",
            "runner = 'docker', target = 'fake'",
            false,
            "no running dispatcher offers the runner process",
        ),
        (
            "command = array['a', '{{ row.attributes.pth }}']",
            "command = '{}'",
            false,
            "parameters.command[2]: {{ row.attributes.pth }}: a name in it does not exist for this row",
        ),
        (
            r#"environment = '{"A": "{{ row.attributes.size }}", "B": "{{ row.attributes.none or row.attributes.nothing }}"}'"#,
            "environment = '{}'",
            false,
            "parameters.environment.B: {{ row.attributes.none or row.attributes.nothing }}: a name",
        ),
        (
            "concurrency_key = '{{ row.customer }}'",
            "concurrency_key = '{{ row.attributes.size }}'",
            false,
            "parameters.concurrency_key: {{ row.customer }}: the table has no column customer",
        ),
        (
            "concurrency_key = '{{ row.id }}' || repeat('x', 499)",
            "concurrency_key = '{{ row.attributes.size }}'",
            false,
            "parameters.concurrency_key: the key has 501 bytes; 500 are allowed",
        ),
    ] {
        db.run(&format!("update rowcall.parameters set {change}")).await;
        let (runs_now, why_now) = verdict(&db).await;
        assert_eq!(runs_now, Some(runs), "{change}: {why_now}");
        assert!(why_now.starts_with(why) && why_now.ends_with(WAITS), "{change}: {why_now}");
        db.run(&format!("update rowcall.parameters set {undo}")).await;
    }
    db.run("select rowcall.pause('the move')").await;
    let (runs, why) = verdict(&db).await;
    assert!(
        runs == Some(false) && why.starts_with("paused since ") && why.contains(" by postgres: the move; "),
        "{why}"
    );
    db.run("select rowcall.resume(); update rowcall.dispatchers set seen_at = now() - interval '2 minutes'")
        .await;
    assert_eq!(verdict(&db).await.1, format!("no running dispatcher offers the runner docker; {WAITS}"));
}

#[tokio::test]
async fn caps_only_make_it_wait() {
    let db = quiet().await;
    db.task("loader", "REGISTERED", ("max_running, concurrency_key", "3, 'c{{ row.attributes.size }}'"))
        .await;
    db.run(
        "insert into rowcall.jobs (task, source_table, row_key, short_key, on_status, state, concurrency_key)
           select 'loader', 'rowcall.files', jsonb_build_object('id', n), jsonb_build_object('id', n)::text, 'REGISTERED', 'running', 'c' || n from generate_series(6, 8) n",
    )
    .await;
    let (runs, why) = verdict(&db).await;
    assert_eq!(runs, Some(true));
    assert_eq!(
        why,
        format!(
            "{WAITS}; waiting for max_running of loader: 3 of 3 running; \
             waiting for max_running_per_key of loader: 1 of 1 running for c7"
        )
    );
}

#[tokio::test]
async fn a_job_that_is_there_says_what_it_does() {
    let db = quiet().await;
    db.task("loader", "REGISTERED", ("command", "array['{{ job.id }}']")).await;
    let seen = preview(&db).await;
    assert_eq!(
        (&seen["runs"], &seen["command"]),
        (&json!(true), &json!(["0"])),
        "a job that is not there has no number yet"
    );
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    let job: i64 = db.one("select id from rowcall.jobs").await;
    let seen = preview(&db).await;
    assert_eq!((&seen["runs"], &seen["command"]), (&json!(true), &json!([job.to_string()])));
    for (state, runs, why) in [
        ("state = 'pending'", true, format!("job {job} is pending")),
        ("state = 'running', attempt_count = 1", true, format!("job {job} of it runs now")),
        (
            "state = 'blocked', reason = 'no such image'",
            false,
            format!("job {job} is blocked: no such image"),
        ),
    ] {
        db.run(&format!("update rowcall.jobs set {state}")).await;
        assert_eq!(verdict(&db).await, (Some(runs), why));
    }
    db.run("update rowcall.jobs set state = 'waiting', due_at = '2126-01-01 12:00Z', reason = 'exit code 3'; set timezone = 'UTC'").await;
    assert_eq!(verdict(&db).await.1, format!("job {job} waits until 2126-01-01 12:00:00+00: exit code 3"));
    db.run("delete from rowcall.jobs").await;
    assert_eq!(verdict(&db).await.1, "the row is REGISTERED, and there is no job: see rowcall.explain");
}

#[tokio::test]
async fn a_payload_is_shown_rendered_but_for_what_fails() {
    let db = quiet().await;
    db.task(
        "loader",
        "REGISTERED",
        (
            "runner, target, command, settings",
            r#"'lambda', 'f', '{"{{ row.id }}"}',
               '{"payload": {"n": 1, "list": ["{{ row.id }}", {"all": "{{ row.attributes }}", "none": "{{ row.attributes.x }}"}]}}'"#,
        ),
    )
    .await;
    let seen = preview(&db).await;
    assert_eq!(seen["runs"], false);
    assert_eq!(seen["command"], json!(["42"]));
    let all = r#"{"path": "s3://b/a b.csv", "size": 7}"#;
    assert_eq!(
        seen["settings"]["payload"],
        json!({"n": 1, "list": ["42", {"all": all, "none": "{{ row.attributes.x }}"}]})
    );
    let why = seen["why"].as_str().unwrap();
    assert!(
        why.starts_with("parameters.settings.payload.list[1].none: {{ row.attributes.x }}: a name"),
        "{why}"
    );
}

#[tokio::test]
async fn settings_that_no_runner_would_take_are_named() {
    let db = quiet().await;
    db.task("loader", "REGISTERED", ("runner, target", "'ecs', 'loader:7'")).await;
    let (runs, why) = verdict(&db).await;
    assert_eq!((runs, why.as_str()), (Some(false), format!("settings.cluster is missing; {WAITS}").as_str()));
    db.run(r#"insert into rowcall.runner_defaults values ('ecs', '{"cluster": "jobs"}')"#).await;
    assert_eq!(verdict(&db).await, (Some(true), WAITS.to_owned()));
}

#[tokio::test]
async fn every_task_of_the_table_has_a_line_however_a_key_is_written() {
    let db = quiet().await;
    db.run(
        "create table parts (a int, b text, status text, primary key (a, b));
         create table codes (code text primary key, status text);
         create table orders (id uuid primary key, status text);
         insert into parts values (1, 'x'); insert into codes values ('abc');
         insert into orders values ('5b30857f-0bfa-48b5-ac0b-5c64e28078d1');
         select rowcall.watch(t::regclass) from unnest('{parts,codes,orders}'::text[]) t",
    )
    .await;
    for (table, key) in [
        ("rowcall.files", "42"),
        ("rowcall.files", "'42'"),
        ("codes", "'abc'"),
        ("parts", r#"'{"a":1,"b":"x"}'"#),
        ("orders", "'5b30857f-0bfa-48b5-ac0b-5c64e28078d1'::uuid"),
        ("orders", "(select id from orders)"),
    ] {
        db.run("delete from rowcall.parameters").await;
        let more = format!("'{table}', null, 5");
        db.task("first", "A", ("source_table, result_column, priority", &more)).await;
        db.task("second", "B", ("source_table, result_column, priority", &more.replace('5', "0"))).await;
        let tasks: Vec<String> =
            db.one(&format!("select array_agg(task) from rowcall.preview('{table}', {key})")).await;
        assert_eq!(tasks, ["first", "second"], "{table} {key}");
    }
    let refused = db.refused("select rowcall.preview('rowcall.files', 43)").await;
    assert!(refused.contains("no row of rowcall.files has the key {\"id\": 43}"), "{refused}");
}

#[tokio::test]
async fn viewers_see_what_tasks_are_given_and_not_the_table() {
    let db = quiet().await;
    db.run(
        "create table secrets (id int primary key, status text, word text); insert into secrets values (1, 'NEW', 'xyzzy');
         select rowcall.watch('secrets')",
    )
    .await;
    db.task("loader", "GO", ("source_table, result_column", "'public.secrets', null")).await;
    for login in [VIEWER, ADMIN] {
        let client = db.connect_as(login).await;
        assert!(client.batch_execute("select * from secrets").await.is_err());
        for question in ["preview", "explain"] {
            let rows = client
                .query(&format!("select to_jsonb(p)::text from rowcall.{question}('secrets', 1) p"), &[])
                .await
                .unwrap();
            assert!(!rows.is_empty(), "{login} {question}");
            for row in rows {
                assert!(!row.get::<_, &str>(0).contains("xyzzy"), "{login} {question}");
            }
        }
    }
    let task = db.connect_as(TASKS).await;
    for question in
        ["preview('rowcall.files', 42)", "explain('rowcall.files', 42)", "run('loader', 'rowcall.files', 42)"]
    {
        let refused = task.batch_execute(&format!("select rowcall.{question}")).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{question}");
    }
}

#[tokio::test]
async fn the_status_is_seen_as_its_column_holds_it() {
    let db = TestDatabase::new().await;
    for (table, kind, status, shown) in [
        ("numbers", "int", "5", "5"),
        ("switches", "boolean", "true", "true"),
        ("padded", "char(6)", "NEW", r#""NEW   ""#),
    ] {
        db.run(&format!("create table {table} (id int primary key, status {kind}); select rowcall.watch('{table}'); insert into {table} values (1)"))
            .await;
        let values = format!("'{table}', null, '{{\"{{{{ row.status | tojson }}}}\"}}', null, null, null");
        let columns = "source_table, result_column, command, status_running, status_succeeded, status_failed";
        db.task(table, status, (columns, &values)).await;
        let command: Vec<String> =
            db.one(&format!("select command from rowcall.preview('{table}', 1)")).await;
        assert_eq!(command, [shown], "{kind}");
    }
}
