//! What AWS refuses before it does anything.

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::operation::run_task::RunTaskError;
use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::types::{CapacityProviderStrategyItem, LaunchType, PropagateTags, Tag};
use serde_json::json;

use super::{aws, described, launch, overrides};

#[tokio::test]
async fn parameters_that_aws_refuses_are_refused_and_nothing_runs() {
    let aws = aws().await;
    aws.define("bridged", json!({ "networkMode": "bridge" }));
    let ecs = aws.ecs();
    let spot = CapacityProviderStrategyItem::builder().capacity_provider("FARGATE_SPOT").build().unwrap();
    let tag = |key: &str| Tag::builder().key(key).value("v").build();
    let with = |change: &dyn Fn(RunTaskFluentBuilder) -> RunTaskFluentBuilder| change(launch(&ecs, "t1"));
    let invalid = "InvalidParameterException";
    let cases = vec![
        (with(&|run| run.count(11)), invalid, "count"),
        (with(&|run| run.count(0)), invalid, "count"),
        (with(&|run| run.started_by("a:b")), invalid, "startedBy"),
        (with(&|run| run.started_by("a".repeat(129))), invalid, "startedBy"),
        (with(&|run| run.client_token("a".repeat(65))), invalid, "clientToken"),
        (with(&|run| run.client_token("a b")), invalid, "clientToken"),
        (
            with(&|run| run.overrides(overrides("file-loader", &"x".repeat(8192)))),
            invalid,
            "Container Overrides length must be at most 8192",
        ),
        (with(&|run| run.overrides(overrides("sidecar", "x"))), invalid, "container named sidecar"),
        (
            with(&|run| run.launch_type(LaunchType::Fargate).capacity_provider_strategy(spot.clone())),
            invalid,
            "both a launch type and capacity provider strategy",
        ),
        (with(&|run| run.set_network_configuration(None)), invalid, "must be provided"),
        (with(&|run| run.task_definition("bridged").set_overrides(None)), invalid, "is not valid"),
        (with(&|run| run.tags(tag("a*b"))), invalid, "tags"),
        (with(&|run| run.tags(tag("aws:a"))), invalid, "tags"),
        (with(&|run| run.set_tags(Some(vec![tag("a"); 51]))), invalid, "50"),
        (with(&|run| run.propagate_tags(PropagateTags::Service)), invalid, "SERVICE"),
        (with(&|run| run.task_definition("nope")), "ClientException", "not found"),
        (with(&|run| run.task_definition("file-loader:2")), "ClientException", "not found"),
        (with(&|run| run.cluster("nope")), "ClusterNotFoundException", "Cluster not found."),
        (with(&|run| run.set_cluster(None)), "ClusterNotFoundException", "Cluster not found."),
    ];
    for (run, code, words) in cases {
        let error = run.send().await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{words}");
        assert!(error.message().unwrap().contains(words), "{words}: {error:?}");
    }
    assert_eq!(aws.tasks().len(), 0);
}

#[tokio::test]
async fn the_limit_of_overrides_is_kept_to_the_character() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let bare = serde_json::to_string(&json!({ "containerOverrides": [
        { "name": "file-loader", "environment": [{ "name": "ROWCALL_TOKEN", "value": "" }] }
    ] }));
    let room = 8192 - bare.unwrap().len();
    let with = |length| launch(&ecs, "t1").overrides(overrides("file-loader", &"é".repeat(length))).send();
    assert!(with(room + 1).await.is_err());
    with(room).await.unwrap();
    assert_eq!(aws.tasks()[0].overrides["containerOverrides"][0]["name"], "file-loader");
}

#[tokio::test]
async fn more_than_a_hundred_are_not_described_at_once() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let ask =
        |count| ecs.describe_tasks().cluster("jobs").set_tasks(Some(vec!["a".repeat(32); count])).send();
    assert_eq!(ask(100).await.unwrap().failures().len(), 100);
    for count in [0, 101] {
        assert_eq!(ask(count).await.unwrap_err().code(), Some("InvalidParameterException"));
    }
    let elsewhere = "arn:aws:ecs:eu-west-1:123456789012:task/elsewhere/aaaa";
    let error = ecs.describe_tasks().cluster("jobs").tasks(elsewhere).send().await.unwrap_err();
    assert!(error.message().unwrap().contains("Identifier is for cluster elsewhere"), "{error:?}");
}

#[tokio::test]
async fn definitions_are_found_by_family_revision_and_arn() {
    let aws = aws().await;
    let second = aws.define("file-loader", json!({ "cpu": "1024" }));
    let ecs = aws.ecs();
    let describe = |named: &str| ecs.describe_task_definition().task_definition(named).send();
    for named in ["file-loader", "file-loader:2", &second] {
        let told = describe(named).await.unwrap().task_definition.unwrap();
        assert_eq!((told.revision(), told.cpu()), (2, Some("1024")), "{named}");
        assert_eq!(told.container_definitions()[0].name(), Some("file-loader"));
    }
    aws.deactivate("file-loader:2");
    assert_eq!(describe("file-loader").await.unwrap().task_definition.unwrap().revision(), 1);
    assert_eq!(describe(&second).await.unwrap().task_definition.unwrap().revision(), 2);
    let error = launch(&ecs, "t1").task_definition(&second).send().await.unwrap_err();
    assert!(error.as_service_error().is_some_and(RunTaskError::is_client_exception), "{error:?}");
    assert_eq!(error.message(), Some("TaskDefinition is inactive"));
    let error = describe("nope").await.unwrap_err();
    assert_eq!(error.code(), Some("ClientException"));
    assert_eq!(error.message(), Some("Unable to describe task definition."));
}

#[tokio::test]
async fn what_was_asked_is_told_in_the_words_of_iam() {
    let aws = aws().await;
    aws.define("with-role", json!({ "taskRoleArn": "arn:aws:iam::123456789012:role/rowcall-task-loader" }));
    let ecs = aws.ecs();
    launch(&ecs, "t1").send().await.unwrap();
    assert_eq!(Vec::from_iter(aws.actions()), ["ecs:RunTask"]);
    let tag = Tag::builder().key("a").value("b").build();
    let run =
        launch(&ecs, "t2").task_definition("with-role").overrides(overrides("with-role", "x")).tags(tag);
    let arn = run.send().await.unwrap().tasks()[0].task_arn().unwrap().to_owned();
    described(&ecs, &arn).await.unwrap();
    let _ = aws.lambda().invoke().function_name("nope").send().await;
    let _ = aws.sqs().delete_message_batch().queue_url(aws.queue_url()).send().await;
    let needed = [
        "ecs:DescribeTasks",
        "ecs:RunTask",
        "ecs:TagResource",
        "iam:PassRole",
        "lambda:InvokeFunction",
        "sqs:DeleteMessage",
    ];
    assert_eq!(Vec::from_iter(aws.actions()), needed);
    let calls = aws.calls("DescribeTasks");
    assert_eq!((calls[0].number, calls[0].json()["cluster"].as_str()), (3, Some("jobs")));
}
