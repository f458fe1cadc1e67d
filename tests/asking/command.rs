//! `rowcall preview`: the same as `rowcall.preview`, by the daemon's own engine and under this machine's settings.

use crate::support::{DAEMON, TestDatabase, login, rowcall};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Asked {
    db: TestDatabase,
    place: TempDir,
}

impl Asked {
    async fn new() -> Self {
        let db = TestDatabase::new().await;
        db.run(
            r#"insert into rowcall.dispatchers (host, pid, version, runners) values ('h', 1, 'v', '{process}');
               insert into rowcall.files (id, status, attributes) values (42, 'NEW', '{"path": "a b.csv", "tags": ["x", 1.5]}')"#,
        )
        .await;
        Self { db, place: tempfile::tempdir().unwrap() }
    }

    /// Exit code, standard output, standard error, of a daemon's login whose machine allows /bin/echo.
    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = rowcall(&login(&self.db.url, DAEMON), self.place.path())
            .args(["--log-level", "error", "preview"])
            .args(arguments)
            .envs([
                ("ROWCALL_RUNNERS__PROCESS__ENABLED", "true"),
                ("ROWCALL_RUNNERS__PROCESS__PROGRAMS", "/bin/echo"),
            ])
            .output()
            .await
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    async fn json(&self, key: &str) -> Value {
        let (code, out, problem) = self.run(&["rowcall.files", key, "--json"]).await;
        assert_eq!(code, Some(0), "{problem}");
        serde_json::from_str(&out).unwrap()
    }
}

#[tokio::test]
async fn the_daemons_engine_renders_what_sql_cannot() {
    let asked = Asked::new().await;
    let values = r#"'process', '/bin/echo', '{"{% for tag in row.attributes.tags %}{{ tag }},{% endfor %}","{{ row.attributes.tags }}"}',
        '{"PATHS": "{{ row.attributes.path | replace(''a'', ''c'') }}"}'"#;
    asked.db.task("loader", "REGISTERED", ("runner, target, command, environment", values)).await;
    let seen = asked.json("42").await;
    assert_eq!(seen[0]["runs"], true, "{seen}");
    assert_eq!(seen[0]["command"], json!(["x,1.5,", "['x', 1.5]"]));
    assert_eq!(seen[0]["environment"], json!({"PATHS": "c b.csv"}));
    assert_eq!(seen[0]["why"], json!(["for status to become REGISTERED (it is NEW)"]));
    assert_eq!(seen[0]["write_back"]["status_failed"], "ERROR");
    asked
        .db
        .run(
            r#"update rowcall.parameters set concurrency_key = '{{ row.attributes.tags | first }}';
               insert into rowcall.jobs (task, source_table, row_key, on_status, state, concurrency_key)
               values ('loader', 'rowcall.files', '{"id": 1}', 'REGISTERED', 'running', 'x')"#,
        )
        .await;
    let seen = asked.json("42").await;
    assert_eq!(seen[0]["limits"]["concurrency_key"], "x");
    assert_eq!(seen[0]["why"][1], "waiting for max_running_per_key of loader: 1 of 1 running for x");
    let (code, out, _) = asked.run(&["rowcall.files", "42"]).await;
    assert_eq!(code, Some(0));
    for line in [
        "loader: would run\n",
        "    why          for status to become REGISTERED (it is NEW)\n",
        "    target       /bin/echo\n",
        "    command      [\"x,1.5,\",\"['x', 1.5]\"]\n",
    ] {
        assert!(out.contains(line), "{out}");
    }
}

#[tokio::test]
async fn this_machines_rules_and_the_daemons_errors_are_among_the_reasons() {
    let asked = Asked::new().await;
    for (target, command, why) in [
        ("'process', '/bin/rm'", "'{}'", "/bin/rm"),
        ("'docker', 'alpine'", "'{}'", "the runner is not enabled here (runners.docker.enabled)"),
        (
            "'process', '/bin/echo'",
            "array['{{ row.x.y }}']",
            "parameters.command[1]: {{ row.x.y }}: a name in it does not exist",
        ),
        (
            "'process', '/bin/echo'",
            "array['{{ row.id | join(1, 2, 3) }}']",
            "parameters.command[1]: {{ row.id | join(1, 2, 3) }}: ",
        ),
    ] {
        asked.db.run("delete from rowcall.parameters").await;
        let values = format!("{target}, {command}");
        asked.db.task("loader", "REGISTERED", ("runner, target, command", &values)).await;
        let seen = asked.json("42").await;
        assert_eq!(seen[0]["runs"], false, "{seen}");
        let reasons = seen[0]["why"].as_array().unwrap();
        assert!(
            reasons.iter().any(|reason| reason.as_str().unwrap().contains(why)),
            "{target} {command}: {seen}"
        );
    }
}

#[tokio::test]
async fn a_jobs_number_is_not_invented() {
    let asked = Asked::new().await;
    let values = r#"'process', '/bin/echo', '{"{{ job.id }}/{{ job.attempt }}","{{ job.attempt }}"}'"#;
    asked.db.task("loader", "REGISTERED", ("runner, target, command", values)).await;
    let seen = asked.json("42").await;
    assert_eq!(seen[0]["command"], json!(["{{ job.id }}/{{ job.attempt }}", "1"]));
    assert_eq!(seen[0]["unrendered"], json!(["command[1]"]));
    asked.db.run("update rowcall.parameters set concurrency_key = '{{ job.id }}'").await;
    assert_eq!(asked.json("42").await[0]["unrendered"], json!(["concurrency_key", "command[1]"]));
    asked.db.run("update rowcall.files set status = 'REGISTERED'").await;
    let job: i64 = asked.db.one("select id from rowcall.jobs").await;
    let seen = asked.json("42").await;
    assert_eq!((&seen[0]["command"][0], &seen[0]["unrendered"]), (&json!(format!("{job}/1")), &json!([])));
}

#[tokio::test]
async fn a_table_or_row_that_is_not_there_is_an_error_that_names_what_is() {
    let asked = Asked::new().await;
    asked
        .db
        .run(r#"create schema "My app"; create table "My app"."Parts" (a int, b text, status text, primary key (a, b));
            insert into "My app"."Parts" values (1, 'x'); select rowcall.watch('"My app"."Parts"')"#)
        .await;
    for (table, key, part) in [
        ("fils", "1", "fils is no watched table; there are: \"My app\".\"Parts\", rowcall.files"),
        ("files", "1", "no row of rowcall.files has the key {\"id\": 1}"),
        ("Parts", "1", "(a integer, b text); this is not: 1"),
    ] {
        let (code, _, problem) = asked.run(&[table, key]).await;
        assert!(code == Some(1) && problem.contains(part), "{table} {key}: {problem}");
    }
    for table in ["Parts", "\"Parts\"", "My app.Parts", "\"My app\".\"Parts\""] {
        let (code, out, problem) = asked.run(&[table, r#"{"a": 1, "b": "x"}"#]).await;
        assert_eq!(code, Some(0), "{problem}");
        assert!(out.contains("no row of rowcall.parameters has the source_table"), "{out}");
    }
}
