//! What AWS refuses, told apart: what a new attempt may mend, and what it never will.

use serde_json::json;

use super::Ecs;
use crate::support::aws::{Fault, Refusal};

/// A refusal that passes: the next attempt has a new token and succeeds, and max_attempts is not touched.
async fn passes(fault: Fault) {
    let ecs = Ecs::without_parameters().await;
    ecs.parameters_with("", (", max_attempts", ", 1")).await;
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", [fault]);
    let arn = ecs.running().await;
    ecs.succeeds(&arn).await;
    assert_eq!((ecs.attempts().await, ecs.tasks(), ecs.aws.count("RunTask")), (2, 1, 2));
    let tokens: Vec<_> =
        ecs.aws.calls("RunTask").iter().map(|call| call.json()["clientToken"].clone()).collect();
    assert_ne!(tokens[0], tokens[1]);
    let first: String = ecs.db.one("select outcome from rowcall.attempts where number = 1").await;
    assert_eq!(first, "RUNNER_FAILED");
    ecs.stop(dispatcher).await;
}

/// A refusal that stays: the row says so, in AWS's words, and nothing ever ran.
async fn stays(fault: Fault, words: &str) {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", [fault]);
    ecs.insert().await;
    let settled = ecs.settled().await;
    assert!(settled[0].starts_with("RUNNER_FAILED: ") && settled[0].contains(words), "{settled:?}");
    assert_eq!((ecs.attempts().await, ecs.tasks(), ecs.aws.count("RunTask")), (1, 0, 1));
    let row: String = ecs.db.one("select status || ' ' || (attributes->>'message') from rowcall.files").await;
    assert!(row.starts_with("ERROR ") && row.contains(words), "{row}");
    ecs.stop(dispatcher).await;
}

macro_rules! passes {
    ($($name:ident: $fault:expr;)*) => { mod passes { use super::*; $(
        #[tokio::test]
        async fn $name() {
            super::passes($fault).await;
        }
    )* } };
}

macro_rules! stays {
    ($($name:ident: $fault:expr, $words:expr;)*) => { mod stays { use super::*; $(
        #[tokio::test]
        async fn $name() {
            super::stays($fault, $words).await;
        }
    )* } };
}

passes! {
    no_capacity: Fault::failures(
        "Capacity is unavailable at this time. Please try again later or in a different availability zone");
    no_cpu: Fault::failures("RESOURCE:CPU");
    no_memory: Fault::failures("RESOURCE:MEMORY");
    no_network_interface: Fault::failures("RESOURCE:ENI");
    no_gpu: Fault::failures("RESOURCE:GPU");
    no_port: Fault::failures("RESOURCE:PORTS");
    an_agent_that_is_away: Fault::failures("AGENT");
    a_reason_nobody_has_seen: Fault::failures("SOMETHING NEW");
    too_many_provisioning: Fault::Error(Refusal::client(
        "You've reached the limit on the number of tasks that can be in the PROVISIONING state."));
    a_quota_of_vcpus: Fault::Error(Refusal::client(
        "You've reached the limit on the number of vCPUs you can run concurrently"));
    credentials_that_have_just_expired: Fault::error(400, "ExpiredTokenException", "The security token is expired");
}

stays! {
    another_zone: Fault::failures("LOCATION"), "LOCATION";
    an_attribute: Fault::failures("ATTRIBUTE"), "ATTRIBUTE";
    a_constraint: Fault::failures("MemberOf placement constraint unsatisfied."), "MemberOf";
    access_denied: Fault::error(400, "AccessDeniedException", "not authorized to perform: ecs:RunTask"),
        "AccessDeniedException: not authorized";
    an_inactive_definition: Fault::Error(Refusal::client("TaskDefinition is inactive")), "TaskDefinition is inactive";
    a_blocked_account: Fault::error(400, "BlockedException", "Your account has been blocked"), "blocked";
    a_platform_that_does_not_fit: Fault::error(400, "PlatformTaskDefinitionIncompatibilityException", "no such"),
        "PlatformTaskDefinitionIncompatibilityException";
    no_instances: Fault::Error(Refusal::invalid("No Container Instances were found in your cluster.")),
        "No Container Instances";
}

#[tokio::test]
async fn a_cluster_that_does_not_exist_is_named() {
    let ecs = Ecs::without_parameters().await;
    ecs.parameters(r#""cluster": "nowhere""#).await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    let settled = ecs.settled().await;
    assert!(settled[0].contains("ClusterNotFoundException"), "{settled:?}");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn what_the_definition_does_not_fit_is_said_before_aws_is_asked() {
    let cases = [
        (r#""subnets": null"#, json!({}), "settings.subnets is missing"),
        ("", json!({"networkMode": "host"}), "settings.subnets must be absent"),
        (r#""container": "main""#, json!({}), "has no container main; it has file-loader"),
        (
            "",
            json!({"containerDefinitions": [{"name": "a"}, {"name": "b"}]}),
            "settings.container is missing: the task definition has several",
        ),
    ];
    for (settings, definition, words) in cases {
        let ecs = Ecs::without_parameters().await;
        ecs.aws.define("file-loader", definition);
        ecs.parameters(settings).await;
        let dispatcher = ecs.dispatcher().await;
        ecs.insert().await;
        let settled = ecs.settled().await;
        assert!(settled[0].contains(words), "{settled:?}");
        assert_eq!(ecs.aws.count("RunTask"), 0);
        ecs.stop(dispatcher).await;
    }
}

#[tokio::test]
async fn an_unknown_definition_fails_the_row_but_a_busy_ecs_does_not() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("DescribeTaskDefinition", [Fault::throttled(), Fault::server_error(), Fault::Reset]);
    let arn = ecs.running().await;
    ecs.succeeds(&arn).await;
    ecs.db.run("update rowcall.parameters set target = 'file-loader-of-tomorrow'").await;
    ecs.insert().await;
    let settled = ecs.settled().await;
    assert!(
        settled[1].contains("DescribeTaskDefinition file-loader-of-tomorrow: ClientException"),
        "{settled:?}"
    );
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn outside_the_guard_rails_a_job_is_blocked_and_the_rule_named() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    let cases = [
        ("target = 'admin:1'", "runners.ecs.task_definitions"),
        (r#"target = 'file-loader', settings = '{"cluster": "prod"}'"#, "runners.ecs.clusters"),
        (
            r#"settings = '{"cluster": "jobs", "task_role": "arn:aws:iam::1:role/admin"}'"#,
            "runners.ecs.role_overrides",
        ),
        (
            r#"settings = '{"cluster": "jobs", "enable_execute_command": true}'"#,
            "runners.ecs.allow_execute_command",
        ),
        (r#"settings = '{"cluster": "jobs", "region": "us-east-1"}'"#, "runners.ecs.regions"),
        ("settings = '{}'", "settings.cluster is missing"),
    ];
    for (edit, rule) in cases {
        ecs.db.run(&format!("delete from rowcall.jobs; update rowcall.parameters set {edit}")).await;
        ecs.insert().await;
        ecs.db.until(&format!("select state = 'blocked' and reason like '%{rule}%' from rowcall.jobs")).await;
    }
    assert_eq!((ecs.attempts().await, ecs.aws.count("RunTask")), (0, 0));
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn overlong_overrides_block_the_job_and_a_little_less_passes() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.db.run("update rowcall.parameters set command = '{load,\"{{ row.attributes.path }}\"}'").await;
    let insert = |length: usize| {
        let path = "x".repeat(length);
        format!("insert into rowcall.files (attributes) values ('{{\"path\": \"{path}\"}}')")
    };
    ecs.db.run(&insert(8000)).await;
    ecs.db.until("select state = 'blocked' and reason like '%ECS takes 8192%' from rowcall.jobs").await;
    ecs.db.run(&format!("delete from rowcall.jobs; {}", insert(7000))).await;
    ecs.task(0).await;
    ecs.stop(dispatcher).await;
}
