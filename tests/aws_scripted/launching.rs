//! What a client token stands for, and how many tasks really exist in the end.

use std::time::Duration;

use aws_sdk_ecs::operation::run_task::RunTaskError;

use crate::support::aws::{Fault, Ghost};

use super::{aws, described, launch, launched, overrides};

#[tokio::test]
async fn a_token_sent_again_names_the_same_task() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let first = launched(&ecs, "t1").await;
    assert_eq!(launched(&ecs, "t1").await, first);
    assert_ne!(launched(&ecs, "t2").await, first);
    let tasks = aws.tasks();
    assert_eq!(tasks.len(), 2);
    assert_eq!(tasks[0].arn, first);
    assert_eq!((tasks[0].client_token.as_str(), tasks[0].started_by.as_str()), ("t1", "rowcall-7"));
    assert_eq!(tasks[0].environment("ROWCALL_TOKEN"), Some("x"));
    assert_eq!((tasks[0].family.as_str(), tasks[0].id().len()), ("file-loader", 32));
    assert!(first.starts_with("arn:aws:ecs:eu-west-1:123456789012:task/jobs/"), "{first}");
    let (body, times) = aws.repeated("t1");
    assert_eq!(times, 2);
    assert!(body.starts_with(b"{"));
}

#[tokio::test]
async fn a_token_with_other_parameters_is_a_conflict_naming_the_task() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let first = launched(&ecs, "t1").await;
    let error = launch(&ecs, "t1").overrides(overrides("file-loader", "y")).send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    let RunTaskError::ConflictException(conflict) = error.into_service_error() else { panic!("no conflict") };
    assert_eq!(conflict.resource_ids(), [first]);
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn a_token_counts_in_its_cluster_only() {
    let aws = aws().await;
    aws.add_cluster("others");
    let ecs = aws.ecs();
    launched(&ecs, "t1").await;
    launch(&ecs, "t1").cluster("others").send().await.unwrap();
    let clusters: Vec<_> = aws.tasks().iter().map(|task| task.cluster.clone()).collect();
    assert_eq!(clusters, ["jobs", "others"]);
}

#[tokio::test]
async fn a_token_ends_an_hour_after_its_task() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let first = launched(&ecs, "t1").await;
    aws.finish(&first, 0);
    aws.advance(Duration::from_mins(59));
    let again = launch(&ecs, "t1").send().await.unwrap();
    let told = &again.tasks()[0];
    assert_eq!((told.task_arn(), told.last_status()), (Some(first.as_str()), Some("STOPPED")));
    assert!(told.containers().is_empty() && told.created_at().is_none(), "little is told of a stopped task");
    aws.advance(Duration::from_mins(1));
    assert_ne!(launched(&ecs, "t1").await, first);
    assert_eq!(aws.tasks().len(), 2);
}

#[tokio::test]
async fn a_token_ends_after_a_day_though_its_task_runs() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let first = launched(&ecs, "t1").await;
    aws.advance(Duration::from_hours(24) - Duration::from_secs(1));
    assert_eq!(launched(&ecs, "t1").await, first);
    aws.advance(Duration::from_secs(1));
    assert_ne!(launched(&ecs, "t1").await, first);
}

#[tokio::test]
async fn failures_are_a_result_too_and_the_token_keeps_it() {
    let aws = aws().await;
    let ecs = aws.ecs();
    aws.script("RunTask", [Fault::failures("RESOURCE:MEMORY")]);
    for _ in 0..2 {
        let answer = launch(&ecs, "t1").send().await.unwrap();
        assert!(answer.tasks().is_empty());
        assert_eq!(answer.failures()[0].reason(), Some("RESOURCE:MEMORY"));
    }
    assert_eq!(aws.tasks().len(), 0);
    launched(&ecs, "t2").await;
}

#[tokio::test]
async fn a_task_may_appear_although_failures_were_told() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let capacity = "Capacity is unavailable at this time. Please try again later";
    let ghosts = [Ghost::AtOnce, Ghost::AfterCalls(1), Ghost::WhenTold];
    aws.script("RunTask", ghosts.map(|ghost| Fault::failures_but(capacity, ghost)));

    assert!(launch(&ecs, "t1").send().await.unwrap().tasks().is_empty());
    assert_eq!(aws.tasks().len(), 1);
    assert!(launch(&ecs, "t2").send().await.unwrap().tasks().is_empty());
    let listed = || async { ecs.list_tasks().cluster("jobs").send().await.unwrap().task_arns().len() };
    assert_eq!(listed().await, 1);
    assert_eq!(listed().await, 2);

    assert!(launch(&ecs, "t3").send().await.unwrap().tasks().is_empty());
    assert_eq!((listed().await, listed().await), (2, 2));
    aws.let_ghosts_appear();
    assert_eq!(listed().await, 3);
    assert_eq!(aws.tasks()[2].client_token, "t3");
}

#[tokio::test]
async fn several_copies_share_a_token() {
    let aws = aws().await;
    let ecs = aws.ecs();
    for _ in 0..2 {
        assert_eq!(launch(&ecs, "t1").count(3).send().await.unwrap().tasks().len(), 3);
    }
    assert_eq!(aws.tasks().len(), 3);
    let tasks = aws.tasks();
    aws.finish(&tasks[0].arn, 0);
    aws.advance(Duration::from_hours(2));
    let told = launch(&ecs, "t1").count(3).send().await.unwrap();
    assert_eq!(told.tasks().len(), 2, "of one that is long gone nothing is told, but its siblings run");
    assert!(described(&ecs, &tasks[0].arn).await.is_none());
}
