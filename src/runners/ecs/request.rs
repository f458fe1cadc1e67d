//! From a frozen request to a RunTask call: the same call, byte by byte, at every repetition.

use aws_sdk_ecs::operation::run_task::RunTaskInput;
use aws_sdk_ecs::operation::run_task::builders::RunTaskInputBuilder;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerOverride, EnvironmentFile,
    EnvironmentFileType, EphemeralStorage, KeyValuePair, LaunchType, NetworkConfiguration,
    PlacementConstraint, PlacementConstraintType, PlacementStrategy, PlacementStrategyType, PropagateTags,
    ResourceRequirement, ResourceType, Tag, TaskOverride,
};
use serde_json::{Map, Value, json};

use super::settings::TaskSettings;
use crate::parameters::LaunchSpec;
use crate::runners::Attempt;

/// What ECS takes as overrides, "including the JSON formatting characters" (API reference of RunTask).
pub const OVERRIDES_LIMIT: usize = 8192;

/// Room for the contract's variables (job, attempt, token) before they are known, and for the numbers.
const CONTRACT_SIZE: usize = 400;

/// The call that launches an attempt in a container.
pub fn run_task(
    attempt: &Attempt,
    settings: &TaskSettings,
    contract: &[(String, String)],
    container: &str,
) -> Result<RunTaskInputBuilder, String> {
    let mut builder = RunTaskInput::builder()
        .cluster(&settings.cluster)
        .task_definition(&attempt.request.target)
        .count(1)
        .client_token(&attempt.launch_key)
        .started_by(&attempt.launch_key)
        .overrides(overrides(&attempt.request, settings, contract, container)?)
        .enable_ecs_managed_tags(false)
        .enable_execute_command(settings.enable_execute_command)
        .set_group(settings.group.clone())
        .set_platform_version(settings.platform_version.clone())
        .set_launch_type(settings.launch_type.as_deref().map(LaunchType::from));
    for item in &settings.capacity_provider_strategy {
        let item = CapacityProviderStrategyItem::builder()
            .capacity_provider(&item.capacity_provider)
            .weight(item.weight)
            .base(item.base)
            .build()
            .map_err(|e| e.to_string())?;
        builder = builder.capacity_provider_strategy(item);
    }
    if !settings.subnets.is_empty() {
        let public = if settings.assign_public_ip == Some(true) {
            AssignPublicIp::Enabled
        } else {
            AssignPublicIp::Disabled
        };
        let vpc = AwsVpcConfiguration::builder()
            .set_subnets(Some(settings.subnets.clone()))
            .set_security_groups(Some(settings.security_groups.clone()).filter(|groups| !groups.is_empty()))
            .assign_public_ip(public)
            .build()
            .map_err(|e| e.to_string())?;
        builder =
            builder.network_configuration(NetworkConfiguration::builder().awsvpc_configuration(vpc).build());
    }
    for constraint in &settings.placement_constraints {
        builder = builder.placement_constraints(
            PlacementConstraint::builder()
                .r#type(PlacementConstraintType::from(constraint.kind.as_str()))
                .set_expression(constraint.expression.clone())
                .build(),
        );
    }
    for strategy in &settings.placement_strategy {
        builder = builder.placement_strategy(
            PlacementStrategy::builder()
                .r#type(PlacementStrategyType::from(strategy.kind.as_str()))
                .set_field(strategy.field.clone())
                .build(),
        );
    }
    if settings.propagate_tags {
        builder = builder.propagate_tags(PropagateTags::TaskDefinition);
    }
    let own = [
        ("rowcall:task".to_owned(), attempt.task.clone()),
        ("rowcall:job".to_owned(), attempt.job_id.to_string()),
        ("rowcall:attempt".to_owned(), attempt.number.to_string()),
    ];
    for (key, value) in own.into_iter().chain(settings.tags.clone()) {
        builder = builder.tags(Tag::builder().key(key).value(value).build());
    }
    Ok(builder)
}

fn overrides(
    request: &LaunchSpec,
    settings: &TaskSettings,
    contract: &[(String, String)],
    container: &str,
) -> Result<TaskOverride, String> {
    let mut inner = ContainerOverride::builder()
        .name(container)
        .set_cpu(settings.container_cpu)
        .set_memory(settings.container_memory)
        .set_memory_reservation(settings.container_memory_reservation);
    if !request.command.is_empty() {
        inner = inner.set_command(Some(request.command.clone()));
    }
    for (name, value) in variables(request, contract) {
        inner = inner.environment(KeyValuePair::builder().name(name).value(value).build());
    }
    for file in &settings.environment_files {
        let file = EnvironmentFile::builder()
            .value(file)
            .r#type(EnvironmentFileType::S3)
            .build()
            .map_err(|e| e.to_string())?;
        inner = inner.environment_files(file);
    }
    if let Some(gpu) = settings.gpu {
        let requirement = ResourceRequirement::builder()
            .r#type(ResourceType::Gpu)
            .value(gpu.to_string())
            .build()
            .map_err(|e| e.to_string())?;
        inner = inner.resource_requirements(requirement);
    }
    let storage =
        settings.ephemeral_storage_gib.map(|gib| EphemeralStorage::builder().size_in_gib(gib).build());
    Ok(TaskOverride::builder()
        .container_overrides(inner.build())
        .set_cpu(settings.cpu.as_ref().map(|units| units.0.clone()))
        .set_memory(settings.memory.as_ref().map(|units| units.0.clone()))
        .set_ephemeral_storage(storage)
        .set_task_role_arn(settings.task_role.clone())
        .set_execution_role_arn(settings.execution_role.clone())
        .build())
}

/// The parameters' variables and the contract's, which win.
fn variables<'a>(
    request: &'a LaunchSpec,
    contract: &'a [(String, String)],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let contract = contract.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    request.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(contract)
}

/// Refuses overrides that AWS would refuse for their length. `passed`: the database URL, if tasks get it.
pub fn check_length(request: &LaunchSpec, settings: &TaskSettings, passed: &str) -> Result<(), String> {
    let container = settings.container.as_deref().unwrap_or("a container's name of some length");
    let length = length(request, settings, container) + CONTRACT_SIZE + passed.chars().count();
    if length > OVERRIDES_LIMIT {
        return Err(format!(
            "parameters.command and environment come to about {length} characters of container overrides, and \
             ECS takes {OVERRIDES_LIMIT}: let the task read long values from its row, with task_start"
        ));
    }
    Ok(())
}

/// Characters of the overrides as JSON.
fn length(request: &LaunchSpec, settings: &TaskSettings, container: &str) -> usize {
    let environment: Vec<Value> =
        variables(request, &[]).map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut inner = Map::new();
    inner.insert("name".into(), container.into());
    inner.insert("command".into(), request.command.clone().into());
    inner.insert("environment".into(), environment.into());
    inner.insert("environmentFiles".into(), settings.environment_files.clone().into());
    let overrides = json!({
        "containerOverrides": [inner],
        "taskRoleArn": settings.task_role,
        "executionRoleArn": settings.execution_role,
    });
    overrides.to_string().chars().count()
}
