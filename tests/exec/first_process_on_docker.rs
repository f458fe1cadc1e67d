//! `rowcall-task exec` as the first process of a container, with a root that cannot be written to.

use std::process::{Output, Stdio};

use tokio::process::Command;

use super::{Attempt, text};

/// A container on this machine's network, of an image that has rowcall-task and a shell.
fn docker(attempt: &Attempt, name: &str, script: &str) -> Command {
    let image = std::env::var("ROWCALL_TEST_LOADER_IMAGE").expect("./dev test sets it");
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--network", "host", "--read-only", "--name", name]);
    command.args(["--env", "ROWCALL_TOKEN", "--env", "ROWCALL_DATABASE_URL"]);
    command.args([
        &image,
        "/bin/rowcall-task",
        "exec",
        "--heartbeat-interval",
        "50ms",
        "--",
        "/bin/sh",
        "-c",
        script,
    ]);
    command.env("ROWCALL_TOKEN", &attempt.launched.token).env("ROWCALL_DATABASE_URL", &attempt.db.url);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Of this test run alone.
fn name(attempt: &Attempt, what: &str) -> String {
    format!("rowcall-test-{what}-{}", attempt.launched.attempt.launch_key)
}

async fn stop(name: &str) -> Output {
    Command::new("docker").args(["stop", name]).output().await.unwrap()
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn reaps_orphans_and_passes_progress_and_result() {
    let attempt = Attempt::new(("", "")).await;
    let script = r#"test $PPID = 1 || exit 3
        (sh -c 'while [ "$(cut -d " " -f 4 /proc/$$/stat)" != 1 ]; do :; done' &)
        while grep -q -s '^State:.Z' /proc/[0-9]*/status || [ $(ls -d /proc/[0-9]* | wc -l) -gt 4 ]; do sleep 0.01; done
        echo 0.5 half > "$ROWCALL_PROGRESS_FILE"; echo '{"n": 1}' > "$ROWCALL_RESULT_FILE"; sleep 1"#;
    let done = docker(&attempt, &name(&attempt, "orphans"), script).output().await.unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let told: String =
        attempt.db.one("select concat_ws(' ', report, result, progress_message) from rowcall.attempts").await;
    assert_eq!(told, r#"succeeded {"n": 1} half"#);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn docker_stop_ends_cleanly_also_if_the_program_is_deaf() {
    for (script, code, report) in [
        ("", 143, "failed retry true stopped by signal SIGTERM"),
        ("trap '' TERM", 137, "failed retry true stopped by signal SIGTERM, killed after 8s"),
    ] {
        let attempt = Attempt::new(("", "")).await;
        let name = name(&attempt, "stop");
        let script = format!("{script}\necho 0.1 up > $ROWCALL_PROGRESS_FILE; sleep 1000; sleep 1000");
        let container = docker(&attempt, &name, &script).spawn().unwrap();
        attempt.db.until("select progress_message = 'up' from rowcall.attempts").await;
        stop(&name).await;
        let done = container.wait_with_output().await.unwrap();
        assert_eq!(
            (done.status.code(), attempt.report().await.as_str()),
            (Some(code), report),
            "{}",
            text(&done.stderr)
        );
    }
}
