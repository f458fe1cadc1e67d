//! The programs in `docs/tasks.md` do what it says of them.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Attempt, text};

/// The page's blocks of code in a language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/tasks.md");
    let begin = format!("```{language}\n");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

async fn counts_lines(interpreter: &str, program: &str) {
    let attempt = Attempt::new(("", "")).await;
    let file = attempt.place.path().join("some file.csv");
    std::fs::write(&file, "1\n2\n3\n").unwrap();
    let named = "update rowcall.files set attributes = jsonb_build_object('path', $1::text)";
    attempt.db.client.execute(named, &[&file.to_str().unwrap()]).await.unwrap();
    let done = run(&attempt, interpreter, program).await;
    assert!(done.status.success(), "{}", text(&done.stderr));
    let told: Value = attempt
        .db
        .one("select jsonb_build_array(report, result, left(progress_message, 7)) from rowcall.attempts")
        .await;
    assert_eq!(told, json!(["succeeded", { "lines": 3 }, "counted"]));
}

async fn says_why_not(interpreter: &str, program: &str) {
    let attempt = Attempt::new(("", "")).await;
    attempt.db.run(r#"update rowcall.files set attributes = '{"path": "/no/such.csv"}'"#).await;
    let done = run(&attempt, interpreter, program).await;
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    let report = attempt.report().await;
    assert!(report.starts_with("failed retry false ") && report.contains("/no/such.csv"), "{report}");
}

async fn run(attempt: &Attempt, interpreter: &str, program: &str) -> std::process::Output {
    let ours = Path::new(env!("CARGO_BIN_EXE_rowcall-task")).parent().unwrap();
    let path = format!("{}:{}", ours.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(interpreter);
    command.arg("-c").arg(program).env("PATH", path).env("ROWCALL_TOKEN", &attempt.launched.token);
    command.env("ROWCALL_DATABASE_URL", &attempt.db.url).stdin(Stdio::null());
    command.output().await.unwrap()
}

fn shell() -> &'static str {
    blocks("sh").into_iter().find(|block| block.contains("rowcall-task start")).unwrap()
}

#[tokio::test]
async fn the_shell_script_counts_lines() {
    counts_lines("sh", shell()).await;
}

#[tokio::test]
async fn the_shell_script_says_why_not() {
    says_why_not("sh", shell()).await;
}

#[tokio::test]
async fn the_sql_counts_lines() {
    counts_lines("sh", blocks("sh").into_iter().find(|block| block.contains("psql")).unwrap()).await;
}

/// With psycopg in it.
fn python() -> String {
    std::env::var("ROWCALL_TEST_PYTHON").expect("ROWCALL_TEST_PYTHON: ./dev test sets it")
}

#[tokio::test]
#[ignore = "needs psycopg: ./dev test"]
async fn with_psycopg_the_python_counts_lines() {
    counts_lines(&python(), blocks("python")[0]).await;
}

#[tokio::test]
#[ignore = "needs psycopg: ./dev test"]
async fn with_psycopg_the_python_says_why_not() {
    says_why_not(&python(), blocks("python")[0]).await;
}
