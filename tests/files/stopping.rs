//! A signal to stop while files are under way.

use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Child;

use super::s3_scripted::{Endpoint, now};
use super::{Attempt, text};

fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().unwrap() as i32), Signal::SIGTERM).unwrap();
}

#[tokio::test]
async fn in_the_middle_of_a_fetch_ends_it_and_leaves_nothing() {
    let endpoint = Endpoint::new(|_| {
        let half = stream::iter([Ok::<_, std::io::Error>("half")]).chain(stream::pending());
        now(Response::builder().header("content-length", 8).body(Body::from_stream(half)).unwrap())
    })
    .await;
    let attempt = Attempt::new(json!({"u": ["s3://b/x", "file://DATA/a.nc"]})).await;
    let options = ["--heartbeat-interval", "20ms", "--input-dir", "in"];
    let child = endpoint.command(&attempt, &options, "echo started").spawn().unwrap();
    attempt.db.until("select progress_message = 'fetching 2 of 2: a.nc' from rowcall.attempts").await;
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
    // It has no content, but a size: to read it takes longer than the test.
    let child = attempt.spawn(&options, "truncate -s 1T out/huge; echo '{}'");
    attempt.db.until("select progress_message = 'reading 1 of 1: huge' from rowcall.attempts").await;
    terminate(&child);
    let done = child.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(143), "{}", text(&done.stderr));
    assert_eq!(attempt.report().await, "failed retry true stopped by signal SIGTERM");
    assert!(attempt.tree("store").is_empty() && !attempt.path("out").exists());
}

#[tokio::test]
async fn an_attempt_that_is_over_fetches_no_more() {
    let endpoint = Endpoint::new(|_| Box::pin(std::future::pending())).await;
    let attempt = Attempt::new(json!({"u": "s3://b/x"})).await;
    let options = ["--heartbeat-interval", "20ms", "--input-dir", "in"];
    let child = endpoint.command(&attempt, &options, "echo started").spawn().unwrap();
    attempt.db.until("select progress_message = 'fetching 1 of 1: x' from rowcall.attempts").await;
    attempt.db.run("select rowcall.cancel(id) from rowcall.jobs").await;
    let done = child.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(77), ""), "{}", text(&done.stderr));
    assert!(!attempt.path("in").exists());
}
