//! A task that knows where on ECS it runs.

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use super::{Attempt, text};
use crate::support::{TestDatabase, rowcall_task};

const ARN: &str = "arn:aws:ecs:eu-west-1:123456789012:task/cluster/0123456789abcdef0123456789abcdef";

/// An attempt of the runner `ecs`, the answer to whose launch was lost.
async fn unanswered() -> Attempt {
    let attempt = Attempt::new(("", "")).await;
    attempt.db.run("update rowcall_internal.attempts set runner = 'ecs', external_id = null").await;
    attempt
}

/// Runs a program that sees this metadata endpoint.
async fn run(attempt: &Attempt, endpoint: &str) {
    let mut command = rowcall_task(&attempt.launched.token, &attempt.db.url, &[], &["true"]);
    let done = command.env("ECS_CONTAINER_METADATA_URI_V4", endpoint).output().await.unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
}

async fn external_id(db: &TestDatabase) -> Option<String> {
    db.one("select external_id from rowcall.attempts").await
}

/// Answers as the ECS agent does.
async fn metadata() -> String {
    let answer = format!(r#"{{"Cluster": "cluster", "TaskARN": "{ARN}", "Containers": [{{"Name": "ü"}}]}}"#);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v4/abc-123", listener.local_addr().unwrap());
    let router = Router::new().route("/v4/abc-123/task", get(async || answer));
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn a_launch_whose_answer_was_lost_is_linked_by_its_task() {
    let attempt = unanswered().await;
    run(&attempt, &metadata().await).await;
    assert_eq!(external_id(&attempt.db).await.as_deref(), Some(ARN));
}

#[tokio::test]
async fn what_the_dispatcher_knows_is_not_changed_by_the_task() {
    let attempt = unanswered().await;
    attempt.db.run("update rowcall_internal.attempts set external_id = 'as RunTask answered'").await;
    run(&attempt, &metadata().await).await;
    assert_eq!(external_id(&attempt.db).await.as_deref(), Some("as RunTask answered"));
    for (sql, external) in [
        ("update rowcall_internal.attempts set runner = 'docker', external_id = null", ARN),
        ("update rowcall_internal.attempts set runner = 'ecs', external_id = null", "arn:aws:s3:::bucket"),
    ] {
        let attempt = unanswered().await;
        attempt.db.run(sql).await;
        let start = format!("select rowcall.task_start('{}', null, '{external}')", attempt.launched.token);
        attempt.db.run(&start).await;
        assert_eq!(external_id(&attempt.db).await, None, "{external}");
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_or_says_nothing_stops_no_task() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/v4/abc", silent.local_addr().unwrap());
    let wrong = metadata().await.replace("abc", "xyz");
    for endpoint in [silent.as_str(), wrong.as_str(), "http://127.0.0.1:1", "nonsense", "http://"] {
        let attempt = unanswered().await;
        run(&attempt, endpoint).await;
        assert_eq!(
            (external_id(&attempt.db).await, attempt.report().await.as_str()),
            (None, "succeeded"),
            "{endpoint}"
        );
    }
}
