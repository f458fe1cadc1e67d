//! S3 as it is when the network or its owner are against us.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Command;

use super::{Attempt, text};

/// One call as it arrived: `GET /bucket/key?query range`.
type Call = String;
pub type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// An endpoint that answers as the test says.
pub struct Endpoint {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Endpoint {
    pub async fn new(answer: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&calls);
        let handle = async move |request: Request| {
            let (head, body) = request.into_parts();
            let header =
                |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let call = format!("{} {} {} {}", head.method, head.uri, header("range"), header("if-match"));
            let call = call.trim_end().to_owned();
            theirs.lock().unwrap().push(call.clone());
            body.into_data_stream().for_each(|_| async {}).await;
            answer(&call).await
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(handle);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, calls, serving }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Runs to the end, quickly tried again.
    pub fn command(&self, attempt: &Attempt, options: &[&str], script: &str) -> Command {
        let mut command = attempt.command(options, script);
        command.env("AWS_ENDPOINT_URL_S3", &self.url);
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub fn now(response: Response) -> Answer {
    Box::pin(async { response })
}

fn error(status: u16, code: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>so it is</Message></Error>");
    Response::builder().status(status).body(body.into()).unwrap()
}

/// Promises all of `content` and breaks off after so many bytes.
fn broken(content: &'static str, after: usize) -> Response {
    let pieces = stream::iter([Ok(&content[..after]), Err(std::io::Error::other("cut"))]);
    // The first piece must be on its way before the connection ends.
    let pieces = pieces.then(|piece| async {
        tokio::time::sleep(std::time::Duration::from_millis(if piece.is_ok() { 0 } else { 100 })).await;
        piece
    });
    let answer = Response::builder().header("content-length", content.len()).header("etag", "\"e\"");
    answer.body(Body::from_stream(pieces)).unwrap()
}

const CONTENT: &str = "0123456789";

#[tokio::test]
async fn what_broke_off_goes_on_where_it_was() {
    let endpoint = Endpoint::new(|call| {
        now(if call.ends_with("bytes=4- \"e\"") {
            let rest = Response::builder().status(206).header("content-range", "bytes 4-9/10");
            rest.header("etag", "\"e\"").body(CONTENT[4..].into()).unwrap()
        } else {
            broken(CONTENT, 4)
        })
    })
    .await;
    let attempt = Attempt::new(json!({"path": "s3://b/x"})).await;
    let done = endpoint.command(&attempt, &["--input-dir", "in"], "cat in/x").output().await.unwrap();
    assert_eq!(text(&done.stdout), CONTENT, "{} {:?}", text(&done.stderr), endpoint.calls());
    assert_eq!(endpoint.calls().len(), 2);
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_begins_again() {
    let first = Arc::new(Mutex::new(true));
    let endpoint = Endpoint::new(move |_| {
        let first = std::mem::replace(&mut *first.lock().unwrap(), false);
        now(if first { broken(CONTENT, 4) } else { Response::new(CONTENT.into()) })
    })
    .await;
    let attempt = Attempt::new(json!({"path": "s3://b/x"})).await;
    let done = endpoint.command(&attempt, &["--input-dir", "in"], "cat in/x").output().await.unwrap();
    assert_eq!(text(&done.stdout), CONTENT, "{}", text(&done.stderr));
}

#[tokio::test]
async fn a_fetch_that_always_breaks_off_may_be_tried_another_time() {
    let endpoint = Endpoint::new(|_| now(broken(CONTENT, 0))).await;
    let attempt = Attempt::new(json!({"path": "s3://b/x"})).await;
    let done = endpoint.command(&attempt, &["--input-dir", "in"], "echo started").output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""));
    let told = attempt.report().await;
    assert!(told.starts_with("failed retry true s3://b/x cannot be fetched: it broke off 6 times"), "{told}");
    assert!(!attempt.path("in").exists());
}

#[tokio::test]
async fn errors_say_whether_another_time_may_be_better() {
    for (status, code, report) in [
        (503, "SlowDown", "retry true s3://b/x cannot be fetched: SlowDown: so it is"),
        (500, "InternalError", "retry true s3://b/x cannot be fetched: InternalError: so it is"),
        (403, "ExpiredToken", "retry true s3://b/x cannot be fetched: ExpiredToken: so it is"),
        (
            403,
            "AccessDenied",
            "retry false s3://b/x cannot be fetched: AccessDenied: so it is (S3 says so of an object",
        ),
        (
            403,
            "InvalidObjectState",
            "retry false s3://b/x cannot be fetched: InvalidObjectState: so it is (it is archived",
        ),
        (
            301,
            "PermanentRedirect",
            "retry false s3://b/x cannot be fetched: PermanentRedirect: so it is (the bucket is in",
        ),
    ] {
        let endpoint = Endpoint::new(move |_| now(error(status, code))).await;
        let attempt = Attempt::new(json!({"path": "s3://b/x"})).await;
        let mut command = endpoint.command(&attempt, &["--input-dir", "in"], "echo started");
        let done = command.env("AWS_MAX_ATTEMPTS", "2").output().await.unwrap();
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""), "{code}");
        let told = attempt.report().await;
        assert!(told.starts_with(&format!("failed {report}")), "{told}");
        assert_eq!(endpoint.calls().len(), if status >= 500 { 2 } else { 1 }, "{code}");
    }
}

#[tokio::test]
async fn nobody_there_and_nothing_known_are_told_apart() {
    let attempt = Attempt::new(json!({"path": "s3://b/x"})).await;
    let endpoint = Endpoint::new(|_| now(error(500, "never"))).await;
    let mut command = endpoint.command(&attempt, &["--input-dir", "in"], "echo started");
    drop(endpoint);
    let done = command.env("AWS_MAX_ATTEMPTS", "1").output().await.unwrap();
    assert_eq!(done.status.code(), Some(65));
    let told = attempt.report().await;
    assert!(told.starts_with("failed retry true s3://b/x cannot be fetched: "), "{told}");

    // As in an image with nothing in it; no call leaves this machine.
    for (name, value, words) in [
        ("SSL_CERT_FILE", "/dev/null", "no CA certificates in this image"),
        ("AWS_EC2_METADATA_DISABLED", "true", "no AWS region is known: set AWS_REGION"),
    ] {
        // Also if it only matters at the end, before the program works in vain.
        let attempt = Attempt::new(json!({})).await;
        let options = ["--output-dir", "out", "--output-to", "s3://b/x/"];
        let mut command = attempt.command(&options, "echo started");
        for unset in
            ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "SSL_CERT_DIR"]
        {
            command.env_remove(unset);
        }
        let done = command.env(name, value).env("HOME", attempt.path("")).output().await.unwrap();
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""));
        let told = attempt.report().await;
        assert!(told.starts_with(&format!("failed retry false {words}")), "{told}");
    }
}

#[tokio::test]
async fn keys_that_lead_out_of_the_directory_are_refused() {
    let endpoint = Endpoint::new(|_| {
        let list = "<ListBucketResult><Contents><Key>f/../../x</Key></Contents></ListBucketResult>";
        now(Response::new(list.into()))
    })
    .await;
    let attempt = Attempt::new(json!({"path": "s3://b/f/"})).await;
    let done = endpoint.command(&attempt, &["--input-dir", "in"], "echo started").output().await.unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""));
    let told = attempt.report().await;
    assert!(told.contains("retry false") && told.contains("could lead out of the directory"), "{told}");
    assert_eq!(endpoint.calls().len(), 1);
}

/// Begins an upload in parts, and answers to a part as the test says.
fn uploads(call: &str, part: impl FnOnce() -> Answer) -> Answer {
    let begun = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
    match call.split_once(' ').unwrap().0 {
        "POST" => now(Response::new(begun.into())),
        "DELETE" => now(Response::builder().status(204).body(Body::empty()).unwrap()),
        _ => part(),
    }
}

const LARGE: [&str; 4] = ["--output-dir", "out", "--output-to", "s3://b/out/"];
const ABORTED: &str = "DELETE /b/out/large?";

#[tokio::test]
async fn an_upload_that_fails_is_taken_back() {
    let endpoint = Endpoint::new(|call| uploads(call, || now(error(403, "AccessDenied")))).await;
    let attempt = Attempt::new(json!({})).await;
    let done = endpoint.command(&attempt, &LARGE, "truncate -s 70M out/large").output().await.unwrap();
    assert_eq!(done.status.code(), Some(65), "{}", text(&done.stderr));
    let told = attempt.report().await;
    assert!(told.starts_with("failed retry false s3://b/out/large cannot be stored: AccessDenied"), "{told}");
    let calls = endpoint.calls();
    assert!(
        calls.last().unwrap().starts_with(ABORTED) && calls.last().unwrap().contains("uploadId=u1"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn an_upload_that_is_stopped_is_taken_back_after_the_report() {
    let (asked, mut parts) = tokio::sync::mpsc::unbounded_channel();
    let endpoint = Endpoint::new(move |call| {
        uploads(call, || {
            asked.send(()).unwrap();
            Box::pin(std::future::pending())
        })
    })
    .await;
    let attempt = Attempt::new(json!({})).await;
    let child = endpoint.command(&attempt, &LARGE, "truncate -s 70M out/large").spawn().unwrap();
    parts.recv().await.unwrap();
    kill(Pid::from_raw(child.id().unwrap() as i32), Signal::SIGTERM).unwrap();
    let done = child.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(143), "{}", text(&done.stderr));
    assert_eq!(attempt.report().await, "failed retry true stopped by signal SIGTERM");
    assert!(endpoint.calls().last().unwrap().starts_with(ABORTED), "{:?}", endpoint.calls());
    assert!(!attempt.path("out").exists());
}
