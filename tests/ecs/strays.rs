//! Tasks of ours that belong to nobody are stopped; those of others are left alone.

use super::Ecs;
use crate::support::aws::{Fault, Ghost};

#[tokio::test]
async fn a_task_that_appears_long_after_a_refused_launch_is_stopped() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", [Fault::failures_but("RESOURCE:ENI", Ghost::WhenTold)]);
    let arn = ecs.running().await;
    ecs.aws.let_ghosts_appear();
    let ghost = ecs.task(1).await;
    ecs.aws.until(|aws| aws.count("StopTask") == 1).await;
    let stop = ecs.aws.calls("StopTask")[0].json();
    assert_eq!(
        (stop["task"].as_str(), stop["reason"].as_str()),
        (Some(ghost.as_str()), Some("Rowcall: its attempt is over"))
    );
    ecs.succeeds(&arn).await;
    assert_eq!(ecs.aws.count("StopTask"), 1);
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn only_tasks_whose_attempt_is_known_to_be_over_are_stopped() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    let key = ecs.aws.task(&arn).started_by;
    let (prefix, _) = key.rsplit_once('-').unwrap();
    let launch = |started_by: &str| {
        ecs.aws
            .ecs()
            .run_task()
            .cluster("jobs")
            .task_definition("file-loader")
            .started_by(started_by)
            .network_configuration(
                aws_sdk_ecs::types::NetworkConfiguration::builder()
                    .awsvpc_configuration(
                        aws_sdk_ecs::types::AwsVpcConfiguration::builder()
                            .subnets("subnet-1")
                            .build()
                            .unwrap(),
                    )
                    .build(),
            )
            .send()
    };
    // Of a person, of another installation, of this one's copy elsewhere.
    for started_by in ["somebody", "rowcall-00000000-1", &format!("{prefix}-999999")] {
        launch(started_by).await.unwrap();
    }
    let before = ecs.aws.count("ListTasks");
    ecs.aws.until(|aws| aws.count("ListTasks") > before + 4).await;
    assert_eq!(ecs.aws.count("StopTask"), 0);
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn strays_are_only_reported_on_request() {
    let mut ecs = Ecs::new().await;
    ecs.settings.runners.ecs.stop_strays = false;
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", [Fault::failures_but("AGENT", Ghost::WhenTold)]);
    ecs.running().await;
    ecs.aws.let_ghosts_appear();
    ecs.task(1).await;
    let before = ecs.aws.count("ListTasks");
    ecs.aws.until(|aws| aws.count("ListTasks") > before + 4).await;
    assert_eq!(ecs.aws.count("StopTask"), 0);
    ecs.stop(dispatcher).await;
}
