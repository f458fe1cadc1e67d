//! In a container whose root cannot be written to, with directories that are mounts and cannot be removed.

use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::{Attempt, entry, files, text, write};

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn mounted_directories_are_emptied_and_stay() {
    let attempt = Attempt::new(json!({"u": "/data/a.nc"})).await;
    write(&attempt.path("in/old"), "old");
    std::fs::create_dir(attempt.path("out")).unwrap();
    let image = std::env::var("ROWCALL_TEST_LOADER_IMAGE").expect("./dev test sets it");
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--network", "host", "--read-only"]);
    for directory in ["data", "in", "out", "store"] {
        command.arg("--volume").arg(format!("{}:/{directory}", attempt.path(directory).display()));
    }
    command.args([
        "--env",
        "ROWCALL_TOKEN",
        "--env",
        "ROWCALL_DATABASE_URL",
        &image,
        "/bin/rowcall-task",
        "exec",
    ]);
    command.args(["--input-dir", "/in", "--input-pattern", r"\.nc$", "--output-dir", "/out"]);
    command.args([
        "--output-to",
        "/store/{job}",
        "--",
        "/bin/sh",
        "-c",
        "cp /in/a.nc /out/b.nc; echo > /in/scratch",
    ]);
    command.env("ROWCALL_TOKEN", &attempt.launched.token).env("ROWCALL_DATABASE_URL", &attempt.db.url);
    let done = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), ""));
    let list = json!({"files": [entry("b.nc", "aa", "file:///store/1/b.nc")]});
    assert_eq!(attempt.result().await, list);
    assert_eq!(attempt.tree("store"), files(&[("1/b.nc", "aa")]));
    assert_eq!(attempt.tree("in"), files(&[("old", "old"), ("scratch", "\n")]));
    assert!(attempt.tree("out").is_empty() && attempt.path("out").exists());
}
