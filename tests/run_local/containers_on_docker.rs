//! In containers of a real engine.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::conformance::docker::{docker, image};
use crate::support::Fifo;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    /// With one file to read.
    fn new() -> Self {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::create_dir(directory.path().join("in")).unwrap();
        std::fs::write(directory.path().join("in/words"), "abc").unwrap();
        Self { directory }
    }

    fn run_local(&self, image: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rowcall"));
        // What the tests are told is no setting.
        command.env_clear().envs(std::env::vars().filter(|(name, _)| !name.starts_with("ROWCALL_TEST_")));
        command.args(["run-local", image, "--network", "none", "--pull", "never", "--input"]);
        command
            .arg(self.directory.path().join("in"))
            .arg("--output")
            .arg(self.directory.path().join("out/new"));
        command
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Containers of this kind that name a text in their command.
fn left(text: &str) -> Vec<String> {
    let all =
        docker(&["ps", "--all", "--no-trunc", "--filter", "label=rowcall.local", "--format", "{{.Command}}"]);
    all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn files_come_from_one_directory_and_go_to_the_other() {
    let place = Place::new();
    let mark = place.directory.path().display().to_string();
    let script = format!(
        ": {mark}; mkdir /output/sub; cat /input/words > /output/sub/copy; echo $GREETING $ROWCALL_LOCAL_INPUT \
         $ROWCALL_LOCAL_OUTPUT; echo token: $ROWCALL_TOKEN; touch /input/x 2> /dev/null || exit 4"
    );
    let more = ["--env", "GREETING=hello there", "--", "sh", "-c", &script];
    let done = place.run_local(&image(), &more).output().await.unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!((done.status.code(), told.as_str()), (Some(4), "hello there /input /output\ntoken:\n"));
    let listed: Value = serde_json::from_slice(&done.stdout).unwrap();
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let url = format!("file://{}/out/new/sub/copy", place.directory.path().display());
    assert_eq!(listed, json!({"files": [{"name": "sub/copy", "bytes": 3, "sha256": hash, "url": url}]}));
    assert_eq!(std::fs::read_to_string(place.directory.path().join("out/new/sub/copy")).unwrap(), "abc");
    assert_eq!(left(&mark), [""; 0]);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn an_image_of_one_program_runs_with_its_entry_point() {
    let place = Place::new();
    let image = std::env::var("ROWCALL_TEST_SCRATCH_IMAGE").expect("./dev test sets it");
    let at = [
        "--container-input",
        "/a",
        "--container-output",
        "/b",
        "--user",
        "0:0",
        "--",
        "cp",
        "/a/words",
        "/b/copy",
    ];
    let done = place.run_local(&image, &at).output().await.unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let listed: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(listed["files"][0]["name"], "copy");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn ctrl_c_ends_the_program_and_leaves_no_container() {
    let place = Place::new();
    let up = Fifo::new(&place.directory.path().join("in"), "up");
    let mark = place.directory.path().display().to_string();
    // A pipe can be written to also where the file system cannot.
    let script = format!(": {mark}; trap 'echo tidied; exit 3' TERM; echo up > /input/up; sleep 1000 & wait");
    let running = place.run_local(&image(), &["--", "sh", "-c", &script]).spawn().unwrap();
    up.read().await;
    assert_eq!(left(&mark).len(), 1);
    kill(Pid::from_raw(running.id().unwrap().try_into().unwrap()), Signal::SIGINT).unwrap();
    let done = running.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()), (Some(3), "tidied\n"));
    assert_eq!(left(&mark), [""; 0]);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_second_signal_kills_what_does_not_end() {
    let place = Place::new();
    let up = Fifo::new(&place.directory.path().join("in"), "up");
    let heard = Fifo::new(&place.directory.path().join("in"), "heard");
    let mark = place.directory.path().display().to_string();
    // The shell waits anew after each signal.
    let script = format!(
        ": {mark}; trap 'echo heard > /input/heard' TERM; echo up > /input/up; while :; do sleep 1000 & wait $!; done"
    );
    let running = place.run_local(&image(), &["--", "sh", "-c", &script]).spawn().unwrap();
    let pid = Pid::from_raw(running.id().unwrap().try_into().unwrap());
    up.read().await;
    kill(pid, Signal::SIGHUP).unwrap();
    heard.read().await;
    kill(pid, Signal::SIGINT).unwrap();
    let done = running.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(left(&mark), [""; 0]);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn what_the_program_made_unreadable_keeps_its_exit_code() {
    for (code, told) in [(0, 1), (7, 7)] {
        let place = Place::new();
        // No file name as JSON has it.
        let script = format!("touch \"/output/$(printf '\\377')\"; exit {code}");
        let done = place.run_local(&image(), &["--", "sh", "-c", &script]).output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(told), "{said}");
        assert!(said.contains("cannot be listed"), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn what_cannot_run_is_said_and_leaves_nothing() {
    let place = Place::new();
    let program = format!("{}/no-such", place.directory.path().display());
    for (image, more, words) in [
        (image(), &["--", &program][..], program.as_str()),
        ("rowcall-test-none:1".to_owned(), &[], "rowcall-test-none:1 is not on the engine"),
        ("No Image".to_owned(), &[], "must be the name of an image"),
        (image(), &["--container-input", "here"], "must be a full path in the container"),
        (image(), &["--env", "=x"], "write a name before the ="),
    ] {
        let done = place.run_local(&image, more).output().await.unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && told.contains(words), "{told}");
        assert_eq!(left(&program), [""; 0]);
    }
    let mut command = place.run_local(&image(), &[]);
    std::fs::remove_dir_all(place.directory.path().join("in")).unwrap();
    let done = command.output().await.unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(told.contains("/in: No such file"), "{told}");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn files_come_and_go_under_rowcall_task_as_with_a_database() {
    let place = Place::new();
    // With rowcall-task in it.
    let image = std::env::var("ROWCALL_TEST_LOADER_IMAGE").expect("./dev test sets it");
    let script = r#"tr a-z A-Z < /in/words > /made/WORDS; echo '{"n": 1}'"#;
    let exec = ["exec", "--input-dir", "/in", "--input-pattern", "words", "--output-dir", "/made"];
    let command = [&["--", "/bin/rowcall-task"][..], &exec, &["--", "sh", "-c", script]].concat();
    let done = place.run_local(&image, &command).output().await.unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{told}");
    // What would go into the row.
    let result: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&result["n"], &result["files"][0]["name"]), (&json!(1), &json!("WORDS")));
    assert_eq!(std::fs::read_to_string(place.directory.path().join("out/new/WORDS")).unwrap(), "ABC");
    assert_eq!(std::fs::read_dir(place.directory.path().join("in")).unwrap().count(), 1);
}
