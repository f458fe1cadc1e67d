//! `rowcall preview`: the same as `rowcall.preview`, and what this machine's settings add.

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
                ("ROWCALL_RUNNERS__PROCESS__ENVIRONMENT", "PATHS"),
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
async fn preview_command_says_what_preview_says() {
    let asked = Asked::new().await;
    let values = r#"'process', '/bin/echo', '{"{{ row.attributes.tags }}","{{ job.id }}/{{ job.attempt }}"}',
        '{"PATHS": "{{ row.attributes.path | upper }}"}', '{{ row.attributes.tags[0] }}'"#;
    asked
        .db
        .task("loader", "REGISTERED", ("runner, target, command, environment, concurrency_key", values))
        .await;
    asked
        .db
        .run(
            r#"insert into rowcall.jobs (task, source_table, row_key, short_key, on_status, state, concurrency_key)
               values ('loader', 'rowcall.files', '{"id": 1}', '{"id": 1}', 'REGISTERED', 'running', 'x')"#,
        )
        .await;
    let seen = asked.json("42").await;
    let said: Value = asked.db.one("select jsonb_agg(p) from rowcall.preview('rowcall.files', 42) p").await;
    assert_eq!(seen, said);
    assert_eq!(seen[0]["runs"], true, "{seen}");
    assert_eq!(seen[0]["command"], json!([r#"["x", 1.5]"#, "0/1"]));
    assert_eq!(seen[0]["environment"], json!({"PATHS": "A B.CSV"}));
    assert_eq!(
        seen[0]["why"],
        "for status to become REGISTERED (it is NEW); waiting for max_running_per_key of loader: 1 of 1 running for x"
    );
    let (code, out, _) = asked.run(&["rowcall.files", "42"]).await;
    assert_eq!(code, Some(0));
    for line in [
        "loader: would run\n",
        "    why          for status to become REGISTERED (it is NEW); waiting for",
        "    target       /bin/echo\n",
        "    command      [\"[\\\"x\\\", 1.5]\",\"0/1\"]\n",
    ] {
        assert!(out.contains(line), "{line} in {out}");
    }
}

#[tokio::test]
async fn preview_command_adds_what_this_machine_refuses() {
    let asked = Asked::new().await;
    for (target, command, why) in [
        ("'process', '/bin/rm'", "'{}'", "/bin/rm"),
        ("'docker', 'alpine'", "'{}'", "the runner is not enabled here (runners.docker.enabled)"),
        (
            "'process', '/bin/echo'",
            "array['{{ row.attributes.y }}']",
            "parameters.command[1]: {{ row.attributes.y }}: a name in it does not exist",
        ),
    ] {
        asked.db.run("delete from rowcall.parameters").await;
        let values = format!("{target}, {command}");
        asked.db.task("loader", "REGISTERED", ("runner, target, command", &values)).await;
        let seen = asked.json("42").await;
        assert_eq!(seen[0]["runs"], false, "{seen}");
        assert!(seen[0]["why"].as_str().unwrap().contains(why), "{target} {command}: {seen}");
    }
}

#[tokio::test]
async fn an_absent_table_or_row_is_an_error_that_names_what_is_there() {
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
