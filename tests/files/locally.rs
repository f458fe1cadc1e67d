//! A developer tries a task with directories of their own: no token, no database.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{entry, files, text, tree, write};

/// `rowcall-task exec` with no database anywhere.
fn command(place: &std::path::Path, options: &[&str], script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rowcall-task"));
    command.arg("exec").args(options).args(["--", "sh", "-euc", script]).current_dir(place);
    command.env_remove("ROWCALL_TOKEN").env_remove("ROWCALL_DATABASE_URL");
    command.env("ROWCALL_LOCAL_INPUT", place.join("mine")).env("ROWCALL_LOCAL_OUTPUT", place.join("made"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, content) in [("mine/a.nc", "aa"), ("mine/sub/b.nc", "b"), ("mine/c.txt", "c")] {
        write(&place.path().join(name), content);
    }
    place
}

#[tokio::test]
async fn a_task_runs_as_it_will_and_prints_its_result() {
    let place = place();
    let options = [
        "--input-dir",
        "in",
        "--input-pattern",
        r"\.nc$",
        "--output-dir",
        "out",
        "--output-to",
        "s3://bucket/never/",
    ];
    let script = r#"cp -r in/* out; echo '{"n": 2}'"#;
    let done = command(place.path(), &options, script).output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), ""));
    let made = [("a.nc", "aa"), ("sub/b.nc", "b")];
    assert_eq!(tree(&place.path().join("made")), files(&made));
    let url = |name| format!("file://{}/made/{name}", place.path().display());
    let list = made.map(|(name, content)| entry(name, content, &url(name)));
    let printed: Vec<Value> =
        text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(printed, [json!({"n": 2}), json!({"n": 2, "files": list})]);
    assert!(!place.path().join("in").exists() && !place.path().join("out").exists());
    assert_eq!(tree(&place.path().join("mine")).len(), 3);
}

#[tokio::test]
async fn a_failure_is_told_with_its_exit_code() {
    let place = place();
    let done = command(place.path(), &["--output-dir", "out"], "echo > out/x; echo oh no; exit 5")
        .output()
        .await
        .unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(5), "oh no\n"));
    assert_eq!(text(&done.stderr), "rowcall-task: exit code 5: oh no (it would be tried again)\n");
    assert!(!place.path().join("made").exists());

    let options = ["--input-dir", "in", "--input-pattern", "none"];
    let done = command(place.path(), &options, "echo started").output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""));
    assert!(
        text(&done.stderr).contains("mine does not name a file that matches none"),
        "{}",
        text(&done.stderr)
    );
}

#[tokio::test]
async fn a_program_without_directories_runs_and_shows_its_progress() {
    let place = place();
    let script = r#"echo "0.25 page 1" > "$ROWCALL_PROGRESS_FILE"; while ! test -e go; do sleep 0.01; done; echo done"#;
    let mut child = command(place.path(), &["--heartbeat-interval", "20ms"], script).spawn().unwrap();
    let mut stderr = tokio::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut stderr, &mut line).await.unwrap();
    assert_eq!(line, "rowcall-task: 25 % page 1\n");
    write(&place.path().join("go"), "");
    let done = child.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "done\n"));
}

#[tokio::test]
async fn a_token_says_that_it_is_an_attempt_after_all() {
    let place = place();
    let mut command = command(place.path(), &[], "echo started");
    let done = command.env("ROWCALL_TOKEN", "some token").output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(64), ""));
    assert!(text(&done.stderr).contains("ROWCALL_DATABASE_URL"), "{}", text(&done.stderr));
}
