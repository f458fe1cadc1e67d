//! A launch happens once, whatever becomes of the call.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Ecs;
use crate::support::aws::{Fault, Ghost};

#[tokio::test]
async fn row_and_attempt_show_the_task_at_once_and_later_its_end() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    let arn = ecs.task(0).await;
    ecs.db.until(&format!("exists (select from rowcall.attempts where external_id = '{arn}')")).await;
    ecs.begun(&arn).await;
    ecs.succeeds(&arn).await;
    let task = ecs.aws.task(&arn);
    let key: String = ecs.db.one("select launch_key from rowcall.attempts").await;
    assert_eq!((task.started_by.as_str(), task.client_token.as_str()), (key.as_str(), key.as_str()));
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn everything_that_the_parameters_say_reaches_the_call() {
    let ecs = Ecs::without_parameters().await;
    ecs.aws.define(
        "file-loader",
        json!({"containerDefinitions": [
            {"name": "proxy", "essential": false},
            {"name": "main", "essential": true, "logConfiguration":
                {"logDriver": "awslogs", "options": {"awslogs-group": "/jobs", "awslogs-stream-prefix": "job"}}}]}),
    );
    ecs.parameters_with(
        r#""security_groups": ["sg-1"], "assign_public_ip": true, "cpu": 512, "memory": "1024", "ephemeral_storage_gib": 30,
           "container_memory": 900, "platform_version": "1.4.0", "tags": {"team": "data"}, "propagate_tags": true,
           "group": "nightly", "capacity_provider_strategy": [{"capacity_provider": "FARGATE_SPOT", "weight": 3, "base": 1},
           {"capacity_provider": "FARGATE", "weight": 1}]"#,
        (", environment", r#", '{"STATUS": "{{ row.status }}"}'"#),
    )
    .await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    ecs.task(0).await;
    let call = ecs.aws.calls("RunTask")[0].json();
    let key: String = ecs.db.one("select launch_key from rowcall.attempts").await;
    let container = &call["overrides"]["containerOverrides"][0];
    let variables: Vec<&str> =
        container["environment"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(
        variables,
        ["STATUS", "ROWCALL_JOB", "ROWCALL_ATTEMPT", "ROWCALL_TOKEN", "ROWCALL_DATABASE_URL"]
    );
    let expected = json!({
        "capacityProviderStrategy": [
            {"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 1},
            {"capacityProvider": "FARGATE", "weight": 1, "base": 0}],
        "clientToken": key, "startedBy": key, "cluster": "jobs", "count": 1, "taskDefinition": "file-loader",
        "enableECSManagedTags": false, "enableExecuteCommand": false, "group": "nightly", "platformVersion": "1.4.0",
        "networkConfiguration": {"awsvpcConfiguration":
            {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}},
        "overrides": {"cpu": "512", "memory": "1024", "ephemeralStorage": {"sizeInGiB": 30}, "containerOverrides": [
            {"name": "main", "memory": 900, "command": ["load", "1"], "environment": container["environment"]}]},
        "propagateTags": "TASK_DEFINITION",
        "tags": [{"key": "rowcall:task", "value": "loader"}, {"key": "rowcall:job", "value": "1"},
            {"key": "rowcall:attempt", "value": "1"}, {"key": "team", "value": "data"}],
    });
    assert_eq!(call, expected);
    let task = ecs.aws.tasks()[0].id().to_owned();
    let log = "select log_group || ' ' || log_stream from rowcall.attempts";
    ecs.db.until(&format!("({log}) = '/jobs job/main/{task}'")).await;
    ecs.stop(dispatcher).await;
}

/// A script of faults before the one launch. Afterwards there is one attempt, one task, and every call with its
/// token had the same bytes.
async fn one_launch(faults: Vec<Fault>, calls: usize) {
    let mut ecs = Ecs::new().await;
    ecs.settings.aws.call_timeout = Duration::from_millis(500);
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", faults);
    let arn = ecs.running().await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks()), (1, 1), "{}", ecs.aws.picture());
    let (_, times) = ecs.aws.repeated(&ecs.aws.task(&arn).client_token);
    assert_eq!((ecs.aws.count("RunTask"), times), (calls, calls));
    let spent: i32 = ecs.db.one("select attempt_count from rowcall.history").await;
    assert_eq!(spent, 1);
    ecs.stop(dispatcher).await;
}

macro_rules! one_launch {
    ($($name:ident: $faults:expr;)*) => { $(
        #[tokio::test]
        async fn $name() {
            let faults: Vec<Fault> = $faults.into();
            let calls = faults.len() + 1;
            one_launch(faults, calls).await;
        }
    )* };
}

one_launch! {
    a_reset_before_anything_was_done: [Fault::Reset];
    a_reset_after_the_task_was_accepted: [Fault::DoneThenReset];
    several_resets_of_both_kinds: [Fault::Reset, Fault::DoneThenReset, Fault::Reset, Fault::DoneThenReset];
    a_server_error_before_anything_was_done: [Fault::server_error()];
    a_server_error_after_the_task_was_accepted: [Fault::done_then_server_error()];
    an_answer_that_cannot_be_read: [Fault::Garbage];
    no_answer_before_anything_was_done: [Fault::Hold(Arc::new(Semaphore::new(0)))];
    no_answer_after_the_task_was_accepted: [Fault::DoneThenHold(Arc::new(Semaphore::new(0)))];
    throttled: [Fault::throttled(), Fault::throttled()];
    throttled_in_the_words_of_a_subnet: [Fault::throttled_in_disguise()];
    throttled_in_the_words_of_a_security_group: [Fault::request_limit_in_disguise()];
    throttled_after_a_reset_that_had_started_the_task: [Fault::DoneThenReset, Fault::throttled(), Fault::server_error()];
}

#[tokio::test]
async fn failures_with_a_task_all_the_same_adopt_that_task() {
    for ghost in [Ghost::AtOnce, Ghost::AfterCalls(2)] {
        let ecs = Ecs::new().await;
        let dispatcher = ecs.dispatcher().await;
        ecs.aws.script("RunTask", [Fault::failures_but("RESOURCE:MEMORY", ghost)]);
        let arn = ecs.running().await;
        ecs.succeeds(&arn).await;
        assert_eq!((ecs.attempts().await, ecs.tasks(), ecs.aws.count("RunTask")), (1, 1, 1), "{ghost:?}");
        ecs.stop(dispatcher).await;
    }
}

#[tokio::test]
async fn what_an_unanswered_launch_started_is_adopted_after_a_refusal() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    let inactive = Fault::error(400, "ClientException", "TaskDefinition is inactive");
    ecs.aws.script("RunTask", [Fault::DoneThenReset, inactive]);
    let arn = ecs.running().await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks()), (1, 1));
    ecs.stop(dispatcher).await;
}

/// The first dispatcher dies while RunTask is under way: the task exists, and nobody has its ARN.
async fn dies_in_the_call(ecs: &Ecs) -> String {
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", [Fault::DoneThenHold(Arc::new(Semaphore::new(0)))]);
    ecs.insert().await;
    let arn = ecs.task(0).await;
    dispatcher.abandon();
    arn
}

#[tokio::test]
async fn the_next_dispatcher_finds_what_a_dead_one_had_launched() {
    let ecs = Ecs::new().await;
    let arn = dies_in_the_call(&ecs).await;
    let next = ecs.dispatcher().await;
    ecs.begun(&arn).await;
    ecs.aws.finish(&arn, 3);
    ecs.db.run("update rowcall.parameters set max_attempts = 1").await;
    ecs.db.until("exists (select from rowcall.attempts where exit_code = 3)").await;
    let (_, times) = ecs.aws.repeated(&ecs.aws.task(&arn).client_token);
    assert_eq!(times, 2, "the same call, byte by byte");
    ecs.stop(next).await;
}

#[tokio::test]
async fn a_launch_that_has_changed_adopts_what_the_first_call_started() {
    let ecs = Ecs::new().await;
    let arn = dies_in_the_call(&ecs).await;
    // The latest revision has another container, so the repeated call cannot have the same bytes.
    ecs.aws.define("file-loader", json!({"containerDefinitions": [{"name": "renamed"}]}));
    let next = ecs.dispatcher().await;
    ecs.begun(&arn).await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks(), ecs.aws.count("RunTask")), (1, 1, 2));
    ecs.stop(next).await;
}

/// As if the first dispatcher had died long ago.
async fn long_ago(ecs: &Ecs, minutes: u32) {
    ecs.db
        .run(&format!("update rowcall_internal.attempts set created_at = created_at - interval '{minutes} minutes', launch_timeout = '1 day'"))
        .await;
    ecs.aws.advance(Duration::from_mins(minutes.into()));
}

#[tokio::test]
async fn a_token_that_may_have_expired_is_not_used_again() {
    let ecs = Ecs::new().await;
    let arn = dies_in_the_call(&ecs).await;
    ecs.aws.advance_task(&arn, "RUNNING");
    long_ago(&ecs, 51).await;
    let next = ecs.dispatcher().await;
    ecs.begun(&arn).await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks(), ecs.aws.count("RunTask")), (1, 1, 1));
    ecs.stop(next).await;
}

#[tokio::test]
async fn an_unknowable_launch_is_lost_and_tried_anew_with_a_new_token() {
    let ecs = Ecs::new().await;
    let arn = dies_in_the_call(&ecs).await;
    ecs.aws.finish(&arn, 0);
    long_ago(&ecs, 61).await;
    let next = ecs.dispatcher().await;
    let again = ecs.task(1).await;
    let lost: String =
        ecs.db.one("select outcome || ' ' || reason from rowcall.attempts where number = 1").await;
    assert!(lost.contains("LOST its launch was never confirmed"), "{lost}");
    assert_ne!(ecs.aws.task(&again).client_token, ecs.aws.task(&arn).client_token);
    ecs.stop(next).await;
}

#[tokio::test]
async fn an_unconfirmed_launch_is_found_and_stopped_at_its_deadline() {
    let ecs = Ecs::without_parameters().await;
    ecs.parameters_with("", (", launch_timeout", ", '1 second'")).await;
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", std::iter::repeat_n(Fault::DoneThenReset, 60));
    ecs.insert().await;
    let first = ecs.task(0).await;
    ecs.aws.until(|aws| aws.count("StopTask") > 0).await;
    assert_eq!(ecs.aws.calls("StopTask")[0].json()["task"], Value::from(first.as_str()));
    ecs.db.until("exists (select from rowcall.attempts where outcome = 'RUNNER_FAILED')").await;
    assert_eq!(ecs.aws.task(&first).state(), "STOPPED", "nothing new before the old one has ended");
    let reason: String = ecs.db.one("select reason from rowcall.attempts where number = 1").await;
    assert!(reason.starts_with("not launched within 00:00:01 (RunTask: "), "{reason}");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn no_password_goes_into_overrides() {
    let mut ecs = Ecs::new().await;
    ecs.settings.tasks.database_url = "postgresql://task:secret@db/app".to_owned();
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    ecs.task(0).await;
    let call = String::from_utf8_lossy(&ecs.aws.repeated(&ecs.aws.tasks()[0].client_token).0).into_owned();
    assert!(!call.contains("secret") && !call.contains("ROWCALL_DATABASE_URL"), "{call}");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn launches_keep_the_pace_and_leave_other_dispatchers_the_rest() {
    let mut ecs = Ecs::new().await;
    ecs.settings.runners.ecs.run_task_rate = 2.0;
    let dispatcher = ecs.dispatcher().await;
    ecs.db.run("insert into rowcall.files select from generate_series(1, 40)").await;
    ecs.task(3).await;
    // Two at once, six waiting for their turn; more are claimed only as those are launched.
    let claimed: i64 = ecs.attempts().await;
    assert!((4..=12).contains(&claimed), "{claimed}");
    let pending: i64 = ecs.db.one("select count(*) from rowcall.jobs where state = 'pending'").await;
    assert!(pending >= 28, "{pending}");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_definition_now_unfit_hides_nothing_the_first_call_started() {
    let ecs = Ecs::new().await;
    let arn = dies_in_the_call(&ecs).await;
    ecs.aws.define("file-loader", json!({"containerDefinitions": [{"name": "a"}, {"name": "b"}]}));
    let next = ecs.dispatcher().await;
    ecs.begun(&arn).await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks(), ecs.aws.count("RunTask")), (1, 1, 1));
    ecs.stop(next).await;
}

#[tokio::test]
async fn credentials_expired_after_a_lost_answer_start_nothing_new() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    let expired = || {
        Fault::error(400, "ExpiredTokenException", "The security token included in the request is expired")
    };
    ecs.aws.script("RunTask", [Fault::DoneThenReset, expired(), expired()]);
    ecs.aws.script("ListTasks", [Fault::None, expired(), expired()]);
    let arn = ecs.running().await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks()), (1, 1));
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn what_was_accepted_a_moment_ago_may_not_be_listed_yet() {
    let ecs = Ecs::new().await;
    let arn = dies_in_the_call(&ecs).await;
    ecs.aws.unlist(&arn, 1);
    ecs.aws.script("RunTask", [Fault::error(400, "ClientException", "TaskDefinition is inactive")]);
    let next = ecs.dispatcher().await;
    ecs.begun(&arn).await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks()), (1, 1));
    ecs.stop(next).await;
}

#[tokio::test]
async fn the_region_is_frozen_with_the_request() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    ecs.task(0).await;
    let region: String =
        ecs.db.one("select request->'launch'->'settings'->>'region' from rowcall.attempts").await;
    assert_eq!(region, "eu-west-1");
    ecs.stop(dispatcher).await;
}
