//! That the endpoint with which the runners on AWS are tested behaves as AWS, asked by AWS's own clients.

mod faults;
mod following;
mod hints;
mod invoking;
mod launching;
mod refusals;

use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, ContainerOverride, KeyValuePair, NetworkConfiguration, TaskOverride,
};

use crate::support::aws::ScriptedAws;

/// An endpoint with a definition `file-loader`.
async fn aws() -> ScriptedAws {
    let aws = ScriptedAws::start().await;
    aws.define("file-loader", serde_json::json!({}));
    aws
}

/// A launch that nothing is wrong with.
fn launch(ecs: &aws_sdk_ecs::Client, token: &str) -> RunTaskFluentBuilder {
    let subnets = AwsVpcConfiguration::builder().subnets("subnet-1").build().unwrap();
    ecs.run_task()
        .cluster("jobs")
        .task_definition("file-loader")
        .client_token(token)
        .started_by("rowcall-7")
        .network_configuration(NetworkConfiguration::builder().awsvpc_configuration(subnets).build())
        .overrides(overrides("file-loader", "x"))
}

fn overrides(container: &str, value: &str) -> TaskOverride {
    let variable = KeyValuePair::builder().name("ROWCALL_TOKEN").value(value).build();
    let container = ContainerOverride::builder().name(container).environment(variable).build();
    TaskOverride::builder().container_overrides(container).build()
}

/// Launches one task, which must succeed, and gives its ARN.
async fn launched(ecs: &aws_sdk_ecs::Client, token: &str) -> String {
    let answer = launch(ecs, token).send().await.unwrap();
    assert!(answer.failures().is_empty(), "{:?}", answer.failures());
    answer.tasks()[0].task_arn().unwrap().to_owned()
}

/// One task as DescribeTasks tells it; none if it is MISSING.
async fn described(ecs: &aws_sdk_ecs::Client, arn: &str) -> Option<aws_sdk_ecs::types::Task> {
    let answer = ecs.describe_tasks().cluster("jobs").tasks(arn).send().await.unwrap();
    assert!(answer.failures().iter().all(|failure| failure.reason() == Some("MISSING")));
    assert_eq!(answer.tasks().len() + answer.failures().len(), 1);
    answer.tasks().first().cloned()
}
