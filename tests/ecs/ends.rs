//! Every end is explained, in the row, by the table that `docs/ecs-outcomes.md` shows.

use rowcall::runners::ecs::outcome::{Evidence, RULES, end};
use serde_json::{Value, json};

use super::Ecs;

/// Ends a task as the evidence says.
fn stop(ecs: &Ecs, arn: &str, evidence: &Evidence, containers: bool) {
    ecs.aws.stop_task(arn, |task| {
        let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        task["stopCode"] = text(&evidence.stop_code);
        task["stoppedReason"] = text(&evidence.stopped_reason);
        if !evidence.started {
            task["startedAt"] = Value::Null;
        }
        task["containers"][0]["reason"] = text(&evidence.container_reason);
        task["containers"][0]["exitCode"] = json!(evidence.exit_code);
        if !containers {
            task["containers"] = json!([]);
        }
        strip_nulls(task);
    });
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

async fn settled_as(evidence: &Evidence, containers: bool) -> (String, String) {
    let mut ecs = Ecs::without_parameters().await;
    ecs.settings.dispatcher.max_runner_failures = 1;
    ecs.parameters_with("", (", max_attempts", ", 1")).await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    stop(&ecs, &arn, evidence, containers);
    ecs.settled().await;
    assert_eq!(ecs.tasks(), 1);
    ecs.stop(dispatcher).await;
    let row = ecs
        .db
        .client
        .query_one("select outcome, coalesce(reason, '') from rowcall.attempts", &[])
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn every_line_of_the_table_holds_from_the_wire_to_the_row() {
    for rule in RULES {
        let evidence = (rule.example)();
        let (outcome, reason) = settled_as(&evidence, true).await;
        let expected = end(&evidence);
        let told = expected.reason.unwrap_or_default();
        assert!(reason.contains(&told), "{}: {reason:?} does not tell {told:?}", rule.when);
        let page = include_str!("../../docs/ecs-outcomes.md");
        assert!(page.contains(&format!("| {} | {outcome} |", rule.when)), "{}: {outcome}", rule.when);
    }
}

#[tokio::test]
async fn without_any_containers_the_task_itself_tells() {
    let never = Evidence {
        stop_code: "TaskFailedToStart".to_owned(),
        stopped_reason: "Unable to assign public IP address".to_owned(),
        ..Evidence::default()
    };
    let (outcome, reason) = settled_as(&never, false).await;
    assert_eq!(
        (outcome.as_str(), reason.as_str()),
        ("RUNNER_FAILED", "never started: Unable to assign public IP address")
    );
    let ran =
        Evidence { started: true, stop_code: "EssentialContainerExited".to_owned(), ..Evidence::default() };
    assert_eq!(settled_as(&ran, false).await.0, "RUNNER_FAILED");
}

#[tokio::test]
async fn exit_0_with_the_row_open_is_no_success_where_a_report_is_due() {
    let ecs = Ecs::without_parameters().await;
    ecs.parameters_with("", (", max_attempts, completion", ", 1, 'report'")).await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    ecs.aws.finish(&arn, 0);
    assert_eq!(ecs.settled().await, ["TASK_FAILED: exited with code 0 without reporting a result"]);
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_reported_success_stands_even_if_spot_takes_the_task_back() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    let token = ecs.aws.task(&arn).environment("ROWCALL_TOKEN").unwrap().to_owned();
    ecs.db.client.execute("select rowcall.task_succeed($1, '{}')", &[&token]).await.unwrap();
    ecs.aws.stop_task(&arn, |task| {
        task["stopCode"] = json!("SpotInterruption");
        task["stoppedReason"] = json!("Your Spot Task was interrupted.");
        task["containers"][0]["exitCode"] = json!(143);
    });
    let settled = ecs.settled().await;
    assert!(settled[0].starts_with("SUCCEEDED: succeeded, then taken back"), "{settled:?}");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_failed_sidecar_means_nothing() {
    let ecs = Ecs::without_parameters().await;
    ecs.aws.define(
        "file-loader",
        json!({"containerDefinitions": [{"name": "metrics", "essential": false}, {"name": "main"}]}),
    );
    ecs.parameters("").await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    ecs.aws.stop_task(&arn, |task| {
        task["stopCode"] = json!("EssentialContainerExited");
        for container in task["containers"].as_array_mut().unwrap() {
            container["exitCode"] = json!(i32::from(container["name"] != "main"));
        }
    });
    assert_eq!(ecs.settled().await, ["SUCCEEDED"]);
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_failure_keeps_the_last_lines_of_its_log() {
    let ecs = Ecs::without_parameters().await;
    ecs.aws.define(
        "file-loader",
        json!({"containerDefinitions": [{"name": "main", "logConfiguration":
            {"logDriver": "awslogs", "options": {"awslogs-group": "/jobs", "awslogs-stream-prefix": "job"}}}]}),
    );
    ecs.parameters_with("", (", max_attempts", ", 1")).await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    let stream = format!("job/main/{}", ecs.aws.task(&arn).id());
    ecs.aws.log("/jobs", &stream, &["loading", "no such bucket"]);
    ecs.aws.finish(&arn, 3);
    assert_eq!(ecs.settled().await, ["TASK_FAILED: exit code 3: no such bucket"]);
    let output: String = ecs.db.one("select output from rowcall.attempts").await;
    assert_eq!(output, "loading\nno such bucket\n");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_failure_whose_log_cannot_be_read_is_told_all_the_same() {
    let ecs = Ecs::without_parameters().await;
    ecs.aws.define(
        "file-loader",
        json!({"containerDefinitions": [{"name": "main", "logConfiguration":
            {"logDriver": "awslogs", "options": {"awslogs-group": "/jobs", "awslogs-stream-prefix": "job"}}}]}),
    );
    ecs.parameters_with("", (", max_attempts", ", 1")).await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    ecs.aws.finish(&arn, 3);
    assert_eq!(ecs.settled().await, ["TASK_FAILED: exit code 3"]);
    ecs.stop(dispatcher).await;
}
