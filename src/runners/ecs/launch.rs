//! One launch, once: the same token and the same bytes while its outcome is in doubt, adoption of whatever a
//! first call started, and a refusal only after it is proven that nothing runs.

use std::time::Duration;

use super::definitions::definition;
use super::refusal::{Answer, understand};
use super::region::{Region, learn};
use super::request::run_task;
use super::settings::TaskSettings;
use super::timing::Timing;
use crate::runners::aws::{Fault, Kind};
use crate::runners::{Attempt, LaunchError, Launched, LogPlace};

/// Launches an attempt, or finds what an earlier call with its key has started.
pub async fn launch(
    region: &Region,
    attempt: &Attempt,
    settings: &TaskSettings,
    contract: &[(String, String)],
    timing: &Timing,
) -> Result<Launched, LaunchError> {
    let refused = |reason: String| LaunchError::Refused { reason, retryable: false };
    let definition = definition(region, &attempt.request.target).await.map_err(|fault| match fault.kind {
        Kind::Refused => refused(format!("DescribeTaskDefinition {}: {fault}", attempt.request.target)),
        _ => LaunchError::Busy(format!("DescribeTaskDefinition: {fault}")),
    })?;
    let container = definition.container(settings.container.as_deref()).map_err(refused)?;
    definition.check_subnets(settings).map_err(refused)?;
    let launched = |arn: String| Launched { log: container.log_place(&arn), external_id: arn, begun: false };

    if attempt.age.get() > timing.token_life {
        return match find(region, &settings.cluster, &attempt.launch_key).await {
            Ok(Some(arn)) => Ok(launched(arn)),
            Ok(None) => Err(LaunchError::Lost(
                "its launch was never confirmed, and is too long ago to be repeated safely".to_owned(),
            )),
            Err(fault) => Err(LaunchError::Ambiguous(format!("ListTasks: {fault}"))),
        };
    }
    let call = run_task(attempt, settings, contract, &container.name).map_err(refused)?;
    region.run.turn().await;
    let answer = call.send_with(&region.ecs).await;
    let conflict = super::refusal::conflicting_tasks(&answer);
    match understand(learn(&region.run, "RunTask", answer), conflict) {
        Answer::Launched(arn) => Ok(launched(arn)),
        Answer::Conflict => match find(region, &settings.cluster, &attempt.launch_key).await {
            Ok(Some(arn)) => Ok(launched(arn)),
            Ok(None) => {
                Err(LaunchError::Ambiguous("another RunTask call has used this launch key".to_owned()))
            }
            Err(fault) => Err(LaunchError::Ambiguous(format!("ListTasks: {fault}"))),
        },
        Answer::Busy(reason) => Err(LaunchError::Busy(reason)),
        Answer::Unclear(reason) => Err(LaunchError::Ambiguous(reason)),
        Answer::Refused { reason, retryable, certain } => {
            let wait = if certain { Duration::ZERO } else { timing.second_look };
            match prove_nothing(region, &settings.cluster, &attempt.launch_key, wait).await {
                Ok(None) => Err(LaunchError::Refused { reason, retryable }),
                Ok(Some(arn)) => {
                    tracing::warn!(
                        attempt = attempt.id,
                        arn,
                        reason,
                        "RunTask refused, and a task runs all the same"
                    );
                    Ok(launched(arn))
                }
                // Who may not look has nothing to find, either: it is the same cluster, or the same credentials.
                Err(fault) if fault.kind == Kind::Refused => Err(LaunchError::Refused { reason, retryable }),
                Err(fault) => Err(LaunchError::Ambiguous(format!("{reason}; and then ListTasks: {fault}"))),
            }
        }
    }
}

/// The task that runs, or has run lately, under a launch key.
pub async fn find(region: &Region, cluster: &str, launch_key: &str) -> Result<Option<String>, Fault> {
    use aws_sdk_ecs::types::DesiredStatus::{Running, Stopped};
    for status in [Running, Stopped] {
        region.read.turn().await;
        let answer = region
            .ecs
            .list_tasks()
            .cluster(cluster)
            .started_by(launch_key)
            .desired_status(status)
            .send()
            .await;
        if let Some(arn) = learn(&region.read, "ListTasks", answer)?.task_arns().first() {
            return Ok(Some(arn.clone()));
        }
    }
    Ok(None)
}

/// Looks, and after a while once more: a task may appear although failures were returned, and not at once.
async fn prove_nothing(
    region: &Region,
    cluster: &str,
    launch_key: &str,
    wait: Duration,
) -> Result<Option<String>, Fault> {
    let found = find(region, cluster, launch_key).await?;
    if found.is_some() || wait.is_zero() {
        return Ok(found);
    }
    tokio::time::sleep(wait).await;
    find(region, cluster, launch_key).await
}

/// Where the log of a task is, as far as its definition tells.
pub async fn log_place(
    region: &Region,
    definition_arn: &str,
    container: Option<&str>,
    task_arn: &str,
) -> Option<LogPlace> {
    definition(region, definition_arn).await.ok()?.container(container).ok()?.log_place(task_arn)
}
