//! A signal to stop while files are under way.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Child;

use super::{Attempt, text};

fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().unwrap() as i32), Signal::SIGTERM).unwrap();
}

/// A file that takes long to copy: it has no content, but a size.
fn huge(attempt: &Attempt, name: &str) {
    std::fs::create_dir_all(attempt.path(name).parent().unwrap()).unwrap();
    std::fs::File::create(attempt.path(name)).unwrap().set_len(1 << 40).unwrap();
}

#[tokio::test]
async fn in_the_middle_of_a_fetch_ends_it_and_leaves_nothing() {
    let attempt = Attempt::new(json!({"u": "file://DATA/huge"})).await;
    huge(&attempt, "data/huge");
    let child = attempt.spawn(&["--heartbeat-interval", "20ms", "--input-dir", "in"], "echo started");
    attempt.db.until("select progress_message = 'fetching 1 of 1: huge' from rowcall.attempts").await;
    terminate(&child);
    let done = child.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(143), ""));
    assert_eq!(attempt.report().await, "failed retry true stopped by signal SIGTERM");
    assert!(!attempt.path("in").exists());
}

#[tokio::test]
async fn in_the_middle_of_a_store_ends_it_and_leaves_no_half_file() {
    let attempt = Attempt::new(json!({})).await;
    let options = ["--heartbeat-interval", "20ms", "--output-dir", "out", "--output-to", "PLACE/store"];
    // Its hash alone takes longer than the test.
    let child = attempt.spawn(&options, "truncate -s 1T out/huge; echo '{}'");
    attempt.db.until("select progress_message like '% huge' from rowcall.attempts").await;
    terminate(&child);
    let done = child.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(143), "{}", text(&done.stderr));
    assert_eq!(attempt.report().await, "failed retry true stopped by signal SIGTERM");
    assert!(attempt.tree("store").is_empty() && !attempt.path("out").exists());
}
