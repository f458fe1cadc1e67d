//! What a program tells by files, and what it is told and not told by its environment.

use std::path::Path;

use serde_json::{Value, json};

use super::{Attempt, text};
use crate::support::rowcall_task;

async fn result(attempt: &Attempt) -> Option<Value> {
    attempt.db.one("select result from rowcall.attempts").await
}

#[tokio::test]
async fn progress_is_seen_while_the_program_runs() {
    let attempt = Attempt::new(("", "")).await;
    let (next, gate) = (attempt.fifo("next"), attempt.fifo("gate"));
    let script = format!(
        r#"echo "0.25 reading page 1" > "$ROWCALL_PROGRESS_FILE"; read x < {}
        for i in 1 2 3; do echo "half of it, $i" >> "$ROWCALL_PROGRESS_FILE"; sleep 0.1; done
        echo '{{"fraction": 0.5, "message": "ü"}}' >> "$ROWCALL_PROGRESS_FILE"; read x < {}"#,
        next.path(),
        gate.path()
    );
    let child = attempt.spawn(&["--heartbeat-interval", "20ms"], &script);
    let seen = |progress: &str, message: &str| {
        format!("select (progress, progress_message) = ({progress}::real, '{message}') from rowcall.attempts")
    };
    attempt.db.until(&seen("0.25", "reading page 1")).await;
    next.open().await;
    attempt.db.until(&seen("0.5", "ü")).await;
    gate.open().await;
    let done = child.wait_with_output().await.unwrap();
    assert!(done.status.success());
    // One word about lines that cannot be read, not three.
    assert_eq!(text(&done.stderr).matches("ROWCALL_PROGRESS_FILE").count(), 1, "{}", text(&done.stderr));
}

#[tokio::test]
async fn the_result_file_counts_before_the_last_line_and_is_removed() {
    let attempt = Attempt::new(("", "")).await;
    let done = attempt
        .run(r#"echo '[1, {"n": 2}]' > "$ROWCALL_RESULT_FILE"; dirname "$ROWCALL_RESULT_FILE"; echo '{"by": "stdout"}'"#)
        .await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(result(&attempt).await, Some(json!([1, {"n": 2}])));
    let place = text(&done.stdout).lines().next().unwrap();
    assert!(place.contains("rowcall-") && !Path::new(place).exists(), "{place}");
}

#[tokio::test]
async fn a_result_file_of_ones_own_is_not_that_of_the_attempt_before() {
    let attempt = Attempt::new(("", "")).await;
    let file = attempt.place.path().join("result.json");
    std::fs::write(&file, r#"{"by": "an attempt before"}"#).unwrap();
    let file = file.to_str().unwrap();
    let child = attempt.spawn(
        &["--result-file", file],
        r#"test "$ROWCALL_RESULT_FILE" && ! test -e "$ROWCALL_RESULT_FILE""#,
    );
    assert!(child.wait_with_output().await.unwrap().status.success());
    assert_eq!((attempt.report().await.as_str(), result(&attempt).await), ("succeeded", None));

    let attempt = Attempt::new(("", "")).await;
    let child = attempt.spawn(&["--result-file", file], r#"echo '{"n": 3}' > "$ROWCALL_RESULT_FILE""#);
    assert!(child.wait_with_output().await.unwrap().status.success());
    assert_eq!(result(&attempt).await, Some(json!({"n": 3})));
}

#[tokio::test]
async fn a_result_that_is_no_result_is_a_failure_that_is_not_repeated() {
    let long = |bytes: usize| format!(r#"printf '"%*s"' {bytes} x > "$ROWCALL_RESULT_FILE""#);
    for (script, message) in [
        (r#"echo '{"n": ' > "$ROWCALL_RESULT_FILE""#.to_owned(), "the result file is not JSON: "),
        (r#": > "$ROWCALL_RESULT_FILE""#.to_owned(), "the result file is empty"),
        (long(1_500_000), "the result was refused: rowcall.task_succeed: the result has 1500002 bytes"),
        (long(5_000_000), "the result has 5000002 bytes, and 1 MiB is allowed"),
        (
            r#"printf '{"n": "%*s"}' 5000000 x"#.to_owned(),
            "the result has 5000009 bytes, and 1 MiB is allowed",
        ),
    ] {
        let attempt = Attempt::new(("", "")).await;
        let done = attempt.run(&script).await;
        assert_eq!(done.status.code(), Some(65), "{message}");
        let report = attempt.report().await;
        assert!(report.starts_with(&format!("failed retry false {message}")), "{report}");
        assert!(text(&done.stderr).contains(message), "{}", text(&done.stderr));
    }
}

#[tokio::test]
async fn values_of_variables_named_like_secrets_are_masked() {
    let attempt = Attempt::new(("", "")).await;
    let script = r#"echo "$BUCKET $DB_PASSWORD $BROKER"; exit 1"#;
    let mut command = rowcall_task(&attempt.launched.token, &attempt.db.url, &[], &["sh", "-c", script]);
    command.env("BUCKET", "bucket-of-mine").env("DB_PASSWORD", "correct horse");
    command.env("BROKER", "amqp://u:battery-staple@mq");
    let done = command.output().await.unwrap();
    assert!(text(&done.stdout).contains("correct horse"), "what the program prints is its own");
    assert_eq!(attempt.report().await, "failed retry true exit code 1: bucket-of-mine [masked] [masked]");
    let detail: Value = attempt.db.one("select detail from rowcall.attempts").await;
    assert_eq!(detail["output"], "bucket-of-mine [masked] [masked]\n");
}

#[tokio::test]
async fn a_private_program_knows_neither_token_nor_database() {
    let attempt = Attempt::new(("", "")).await;
    let script =
        "env | grep -E '^(PG|ROWCALL_)' | cut -d = -f 1 | grep -v ^ROWCALL_TEST_ | sort | tr '\\n' ' '";
    let program = ["sh", "-c", script];
    let mut command = rowcall_task(&attempt.launched.token, &attempt.db.url, &["--private"], &program);
    let done = command.env("PGPASSWORD", "from the image").output().await.unwrap();
    assert_eq!(text(&done.stdout), "ROWCALL_EXECUTOR ROWCALL_PROGRESS_FILE ROWCALL_RESULT_FILE ");
    assert_eq!(attempt.report().await, "succeeded");
}

#[tokio::test]
async fn a_last_line_that_is_almost_a_result_is_remarked_upon() {
    let attempt = Attempt::new(("", "")).await;
    let done = attempt.run(r#"echo '{"mean": NaN}'"#).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(result(&attempt).await, None);
    let remark =
        "the last line printed looks like a result, and is not JSON: expected value at line 1 column 10";
    assert_eq!(attempt.db.one::<String>("select progress_message from rowcall.attempts").await, remark);
    assert!(text(&done.stderr).contains(remark));
}
