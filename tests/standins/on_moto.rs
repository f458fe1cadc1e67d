use aws_sdk_ecs::types::{ContainerDefinition, LaunchType, NetworkMode};

use crate::support::standins::{Moto, unique};

#[tokio::test]
#[ignore = "needs moto: ./dev test"]
async fn a_cluster_that_is_not_there_is_refused() {
    let ecs = Moto::shared().await.ecs();
    let family = registered(&ecs, NetworkMode::Bridge).await;
    let answer = ecs.run_task().cluster("nowhere").task_definition(family).send().await;
    assert!(answer.unwrap_err().into_service_error().is_cluster_not_found_exception());
}

#[tokio::test]
#[ignore = "needs moto: ./dev test"]
async fn a_task_with_an_interface_of_its_own_needs_a_network() {
    let ecs = Moto::shared().await.ecs();
    let cluster = unique("cluster");
    ecs.create_cluster().cluster_name(&cluster).send().await.unwrap();
    let family = registered(&ecs, NetworkMode::Awsvpc).await;
    let call = ecs.run_task().cluster(cluster).task_definition(family).launch_type(LaunchType::Fargate);
    let error = call.send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
}

async fn registered(ecs: &aws_sdk_ecs::Client, mode: NetworkMode) -> String {
    let family = unique("family");
    let container = ContainerDefinition::builder().name("main").image("image").memory(64).build();
    let call = ecs.register_task_definition().family(&family).network_mode(mode);
    call.container_definitions(container).send().await.unwrap();
    family
}
