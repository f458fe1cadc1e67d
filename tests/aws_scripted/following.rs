//! How tasks are found, described, stopped and forgotten.

use std::time::{Duration, Instant};

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::{DesiredStatus, TaskField, TaskStopCode};
use serde_json::json;

use super::{aws, described, launch, launched};

#[tokio::test]
async fn a_life_is_told_in_the_form_of_aws() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let arn = launched(&ecs, "t1").await;
    let task = described(&ecs, &arn).await.unwrap();
    assert_eq!((task.last_status(), task.desired_status()), (Some("PROVISIONING"), Some("RUNNING")));
    assert!(task.started_at().is_none() && task.stop_code().is_none() && task.stopped_reason().is_none());
    assert_eq!(task.group(), Some("family:file-loader"));

    aws.advance(Duration::from_millis(1500));
    aws.advance_task(&arn, "RUNNING");
    let task = described(&ecs, &arn).await.unwrap();
    let (created, started) = (task.created_at().unwrap(), task.started_at().unwrap());
    assert!((started.as_secs_f64() - created.as_secs_f64() - 1.5).abs() < 0.001);
    assert_eq!((task.containers()[0].last_status(), task.version()), (Some("RUNNING"), 2));

    aws.finish(&arn, 3);
    let task = described(&ecs, &arn).await.unwrap();
    assert_eq!((task.last_status(), task.containers()[0].exit_code()), (Some("STOPPED"), Some(3)));
    assert_eq!(task.stop_code(), Some(&TaskStopCode::EssentialContainerExited));
    assert_eq!(task.stopped_reason(), Some("Essential container in task exited"));
    assert!(task.stopped_at().is_some());
    assert_eq!(aws.task(&arn).state(), "STOPPED");
}

#[tokio::test]
async fn a_life_may_have_odd_ends() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let arn = launched(&ecs, "t1").await;
    aws.fail_to_start(&arn, "CannotPullContainerError: i/o timeout");
    aws.patch(&arn, json!({ "containers": [] }));
    let task = described(&ecs, &arn).await.unwrap();
    assert!(task.containers().is_empty() && task.started_at().is_none());
    assert_eq!(task.stop_code(), Some(&TaskStopCode::TaskFailedToStart));

    let arn = launched(&ecs, "t2").await;
    aws.stop_task(&arn, |task| {
        task["stopCode"] = json!("SomethingNew");
        task["stoppedReason"] = json!("Your Spot Task was interrupted.");
    });
    let task = described(&ecs, &arn).await.unwrap();
    assert_eq!(task.stop_code().map(TaskStopCode::as_str), Some("SomethingNew"));
    assert_eq!((task.containers().len(), task.containers()[0].exit_code()), (1, None));
    aws.patch(&arn, json!({ "stopCode": null }));
    assert!(described(&ecs, &arn).await.unwrap().stop_code().is_none());
}

#[tokio::test]
async fn tasks_run_by_themselves_if_wanted() {
    let aws = aws().await;
    aws.auto_run(true);
    let arn = launched(&aws.ecs(), "t1").await;
    assert_eq!(aws.task(&arn).state(), "PROVISIONING");
    assert_eq!(described(&aws.ecs(), &arn).await.unwrap().last_status(), Some("RUNNING"));
    let clusters = aws.ecs().describe_clusters().clusters("jobs").clusters("nope").send().await.unwrap();
    assert_eq!(clusters.clusters()[0].running_tasks_count(), 1);
    assert_eq!(clusters.failures()[0].reason(), Some("MISSING"));
}

#[tokio::test]
async fn stopping_takes_its_time() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let arn = launched(&ecs, "t1").await;
    aws.advance_task(&arn, "RUNNING");
    aws.hold_stops(true);
    let stop = || ecs.stop_task().cluster("jobs").task(&arn).reason("nobody wants it").send();
    let task = stop().await.unwrap().task.unwrap();
    assert_eq!((task.last_status(), task.desired_status()), (Some("RUNNING"), Some("STOPPED")));
    assert_eq!(described(&ecs, &arn).await.unwrap().last_status(), Some("RUNNING"));
    aws.hold_stops(false);
    let task = described(&ecs, &arn).await.unwrap();
    assert_eq!((task.last_status(), task.stopped_reason()), (Some("STOPPED"), Some("nobody wants it")));
    assert_eq!(task.stop_code(), Some(&TaskStopCode::UserInitiated));
    assert_eq!(task.containers()[0].exit_code(), Some(143));
    stop().await.unwrap();

    let error = ecs.stop_task().cluster("jobs").task("a".repeat(32)).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterException"));
    assert_eq!(error.message(), Some("The referenced task was not found."));
}

#[tokio::test]
async fn a_stopped_task_is_missing_after_an_hour() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let arn = launched(&ecs, "t1").await;
    aws.advance(Duration::from_hours(48));
    aws.finish(&arn, 0);
    aws.advance(Duration::from_mins(59));
    assert!(described(&ecs, &arn).await.is_some());
    aws.advance(Duration::from_mins(1));
    assert!(described(&ecs, &arn).await.is_none());
    let stopped = ecs.list_tasks().cluster("jobs").desired_status(DesiredStatus::Stopped);
    assert!(stopped.send().await.unwrap().task_arns().is_empty());
    assert_eq!(aws.tasks().len(), 1, "it existed all the same");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let aws = aws().await;
    let ecs = aws.ecs();
    for call in 0..25 {
        launch(&ecs, &format!("t{call}")).count(10).send().await.unwrap();
    }
    launch(&ecs, "other").started_by("somebody-else").send().await.unwrap();
    let (mut pages, mut arns, mut next) = (Vec::new(), Vec::new(), None);
    loop {
        let page = ecs.list_tasks().cluster("jobs").started_by("rowcall-7").set_next_token(next);
        let page = page.send().await.unwrap();
        pages.push(page.task_arns().len());
        arns.extend(page.task_arns().to_vec());
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(pages, [100, 100, 50]);
    arns.sort();
    arns.dedup();
    assert_eq!(arns.len(), 250);
}

#[tokio::test]
async fn lists_are_by_state_starter_and_family() {
    let aws = aws().await;
    aws.define("other", json!({}));
    let ecs = aws.ecs();
    let stopped = launched(&ecs, "t1").await;
    aws.finish(&stopped, 0);
    let running = launched(&ecs, "t2").await;
    let list = || ecs.list_tasks().cluster("jobs");
    let stopped_ones = list().desired_status(DesiredStatus::Stopped).send().await.unwrap();
    assert_eq!(stopped_ones.task_arns(), [stopped]);
    assert_eq!(list().send().await.unwrap().task_arns(), std::slice::from_ref(&running));
    assert_eq!(list().family("file-loader").send().await.unwrap().task_arns(), [running]);
    assert!(list().family("other").send().await.unwrap().task_arns().is_empty());
    assert!(list().started_by("nobody").send().await.unwrap().task_arns().is_empty());
}

#[tokio::test]
async fn tags_are_told_to_those_who_ask() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let tag = aws_sdk_ecs::types::Tag::builder().key("rowcall:attempt").value("7").build();
    let arn = launch(&ecs, "t1").tags(tag).send().await.unwrap().tasks()[0].task_arn().unwrap().to_owned();
    assert!(described(&ecs, &arn).await.unwrap().tags().is_empty());
    let asked =
        ecs.describe_tasks().cluster("jobs").tasks(&arn).include(TaskField::Tags).send().await.unwrap();
    assert_eq!(asked.tasks()[0].tags()[0].value(), Some("7"));
    assert_eq!(aws.task(&arn).tags[0]["value"], "7");
}

#[tokio::test]
async fn ten_thousand_tasks_are_described_in_seconds() {
    let aws = aws().await;
    let ecs = aws.ecs();
    for call in 0..1000 {
        launch(&ecs, &format!("t{call}")).count(10).send().await.unwrap();
    }
    aws.auto_run(true);
    let ids: Vec<_> = aws.tasks().iter().map(|task| task.id().to_owned()).collect();
    let began = Instant::now();
    for ids in ids.chunks(100) {
        let answer = ecs.describe_tasks().cluster("jobs").set_tasks(Some(ids.to_vec())).send().await.unwrap();
        assert_eq!((answer.tasks().len(), answer.failures().len()), (100, 0));
    }
    println!("10,000 tasks described in {:?}", began.elapsed());
    assert_eq!(aws.count_tasks(|task| task.state() == "RUNNING"), 10_000);
}
