//! The task functions as commands of `rowcall-task`.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Attempt, text};

/// A command that finds `rowcall-task` by its name, and speaks for the attempt.
fn command(attempt: &Attempt, program: &str, args: &[&str]) -> Command {
    let directory = Path::new(env!("CARGO_BIN_EXE_rowcall-task")).parent().unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.args(args).env("PATH", path).kill_on_drop(true);
    command.env("ROWCALL_TOKEN", &attempt.launched.token).env("ROWCALL_DATABASE_URL", &attempt.db.url);
    command
}

async fn call(attempt: &Attempt, args: &[&str]) -> Output {
    command(attempt, "rowcall-task", args).output().await.unwrap()
}

#[tokio::test]
async fn a_shell_script_is_a_task() {
    let attempt = Attempt::new(("\"values\"", r#"'{"parts": ["a", 2]}'"#)).await;
    let script = r#"set -e
        rowcall-task start
        part=$(rowcall-task start --get values.parts.0)
        rowcall-task progress 0.5 "half of $part"
        echo "{\"n\": $(rowcall-task start --get values.parts.1)}" | rowcall-task succeed --result-file -"#;
    let done = command(&attempt, "sh", &["-c", script]).output().await.unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let mut started: Value = serde_json::from_slice(&done.stdout).unwrap();
    let row = started["row"].take();
    assert_eq!((&row["id"], &row["status"]), (&json!(1), &json!("PROCESSING")));
    assert_eq!(
        started,
        json!({
            "job": 1, "attempt": 1, "task": "task", "source_table": "rowcall.files", "row_key": { "id": 1 },
            "row": null, "values": { "parts": ["a", 2] }
        })
    );
    let told: String =
        attempt.db.one("select concat_ws(' ', report, result, progress_message) from rowcall.attempts").await;
    assert_eq!(told, r#"succeeded {"n": 2} half of a"#);
}

#[tokio::test]
async fn each_end_can_be_told_once() {
    for (args, told) in [
        (&["succeed"][..], "succeeded"),
        (&["succeed", "--result", "[1]"], "succeeded [1]"),
        (&["fail", "no such bucket"], "failed t no such bucket"),
        (
            &["fail", "no such bucket", "--no-retry", "--detail", r#"{"n": 1}"#],
            r#"failed f no such bucket {"n": 1}"#,
        ),
        (&["snooze", "1h 30m"], "snoozed 01:30:00"),
        (&["snooze", "10m", "not there yet"], "snoozed 00:10:00 not there yet"),
    ] {
        let attempt = Attempt::new(("", "")).await;
        let done = call(&attempt, args).await;
        assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), ""), "{args:?}");
        let report: String = attempt
            .db
            .one("select concat_ws(' ', report, result, retry, snooze, message, nullif(detail, 'null')) from rowcall.attempts")
            .await;
        assert_eq!(report, told);
        // The first answer may have been lost.
        assert!(call(&attempt, args).await.status.success(), "{args:?}");
        let other = if args[0] == "fail" { &["succeed"][..] } else { &["fail", "after all"] };
        let done = call(&attempt, other).await;
        assert_eq!(done.status.code(), Some(77));
        assert!(text(&done.stderr).contains("has reported already"), "{}", text(&done.stderr));
    }
}

#[tokio::test]
async fn a_wrong_call_changes_nothing() {
    let attempt = Attempt::new(("", "")).await;
    let nowhere = attempt.place.path().join("nowhere");
    for (args, code, said) in [
        (&["progress", "2"][..], 64, "from 0 to 1"),
        (&["succeed", "--result", "{"], 64, "not JSON"),
        (&["succeed", "--result-file", nowhere.to_str().unwrap()], 65, "nowhere"),
        (&["succeed", "--result", r#""\u0000""#], 65, "Unicode"),
        (&["snooze", "soon"], 64, "expected number"),
        (&["snooze", "2years"], 65, "is not a time to wait"),
        (&["fail"], 64, "MESSAGE"),
    ] {
        let done = call(&attempt, args).await;
        let stderr = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
    assert_eq!(attempt.report().await, "");
    let done = call(&attempt, &["start", "--get", "row.attributes.path"]).await;
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""));
    assert!(text(&done.stderr).contains("there is no row.attributes.path"), "{}", text(&done.stderr));
}

#[tokio::test]
async fn another_container_may_not_start_what_this_one_has_started() {
    let attempt = Attempt::new(("", "")).await;
    assert!(call(&attempt, &["start"]).await.status.success());
    let elsewhere = command(&attempt, "rowcall-task", &["start"])
        .env("ROWCALL_EXECUTOR", "elsewhere")
        .output()
        .await
        .unwrap();
    assert_eq!((elsewhere.status.code(), text(&elsewhere.stdout)), (Some(77), ""));
    assert!(text(&elsewhere.stderr).contains("another executor"), "{}", text(&elsewhere.stderr));
    // Nor may exec here, which is always one of its own.
    let done = attempt.run("echo started").await;
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(77), ""));
}

#[tokio::test]
async fn under_exec_a_program_may_start_and_report_by_itself() {
    let attempt = Attempt::new(("", "")).await;
    let script = r#"set -e
        rowcall-task start --get task
        psql -qAtX "$ROWCALL_DATABASE_URL" -c "select task from rowcall.task_start('$ROWCALL_TOKEN', '$ROWCALL_EXECUTOR')"
        rowcall-task succeed --result '{"by": "itself"}'
        echo '{"by": "exec"}'"#;
    let done = command(&attempt, "rowcall-task", &["exec", "--", "sh", "-c", script]).output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), ""));
    assert!(text(&done.stdout).starts_with("task\ntask\n"), "{}", text(&done.stdout));
    assert_eq!(attempt.db.one::<Value>("select result from rowcall.attempts").await, json!({"by": "itself"}));
}
