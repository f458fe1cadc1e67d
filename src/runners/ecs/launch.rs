//! One launch, once: the same token and the same bytes while its outcome is in doubt, adoption of whatever a
//! first call started, and a refusal only after it is proven that nothing runs.

use super::definitions::definition;
use super::reasons;
use super::refusal::{Answer, understand};
use super::region::{Region, learn};
use super::request::run_task;
use super::settings::TaskSettings;
use super::timing::Timing;
use aws_sdk_ecs::types::DesiredStatus;

use crate::runners::aws::{Fault, Kind};
use crate::runners::{Attempt, LaunchError, Launched, LogPlace};

/// A refusal, and whether anything may run all the same.
struct Refusal {
    reason: String,
    retryable: bool,
    /// This call has started nothing, for certain.
    certain: bool,
}

impl Refusal {
    fn of_settings(reason: String) -> Self {
        Self { reason, retryable: false, certain: true }
    }
}

enum Failed {
    Refused(Refusal),
    Other(LaunchError),
}

/// Launches an attempt, or finds what an earlier call with its key has started. A refusal counts only once it is
/// proven that nothing runs, unless nothing can.
pub async fn launch(
    region: &Region,
    attempt: &Attempt,
    settings: &TaskSettings,
    contract: &[(String, String)],
    timing: &Timing,
) -> Result<Launched, LaunchError> {
    let refusal = match try_launch(region, attempt, settings, contract, timing).await {
        Ok(launched) => return Ok(launched),
        Err(Failed::Other(error)) => return Err(error),
        Err(Failed::Refused(refusal)) => refusal,
    };
    let Refusal { reason, retryable, certain } = refusal;
    let cause = reasons::why_not_started(&reason);
    if certain && !attempt.in_doubt {
        return Err(LaunchError::Refused { reason, retryable, cause });
    }
    match find(region, &settings.cluster, &attempt.launch_key, timing).await {
        Ok(None) => Err(LaunchError::Refused { reason, retryable, cause }),
        Ok(Some(arn)) => {
            tracing::warn!(
                attempt = attempt.id.get(),
                arn,
                reason,
                "a launch was refused, and a task runs all the same"
            );
            Ok(Launched { external_id: arn, begun: false, log: None })
        }
        Err(fault) if fault.code == "ClusterNotFoundException" => {
            Err(LaunchError::Refused { reason, retryable, cause })
        }
        Err(fault) => Err(LaunchError::Ambiguous(format!("{reason}; and then ListTasks: {fault}"))),
    }
}

async fn try_launch(
    region: &Region,
    attempt: &Attempt,
    settings: &TaskSettings,
    contract: &[(String, String)],
    timing: &Timing,
) -> Result<Launched, Failed> {
    let of_settings = |reason| Failed::Refused(Refusal::of_settings(reason));
    let ambiguous = |reason| Failed::Other(LaunchError::Ambiguous(reason));
    let definition = definition(region, &attempt.request.target).await.map_err(|fault| match fault.kind {
        Kind::Refused => Failed::Refused(Refusal {
            reason: format!("DescribeTaskDefinition {}: {fault}", attempt.request.target),
            retryable: reasons::passes(&fault.code, &fault.message),
            certain: true,
        }),
        Kind::Throttled => Failed::Other(LaunchError::Busy(format!("DescribeTaskDefinition: {fault}"))),
        // What it is to run was only asked for.
        Kind::NotSent | Kind::Unclear => {
            Failed::Other(LaunchError::Away(format!("DescribeTaskDefinition: {fault}")))
        }
    })?;
    let container = definition.container(settings.container.as_deref()).map_err(of_settings)?;
    definition.check_subnets(settings).map_err(of_settings)?;
    let launched = |arn: String| Launched { log: container.log_place(&arn), external_id: arn, begun: false };

    if attempt.age.get() > timing.token_life {
        return match find(region, &settings.cluster, &attempt.launch_key, timing).await {
            Ok(Some(arn)) => Ok(launched(arn)),
            Ok(None) => Err(Failed::Other(LaunchError::Lost(
                "its launch was never confirmed, and is too long ago to be repeated safely".to_owned(),
            ))),
            Err(fault) => Err(ambiguous(format!("ListTasks: {fault}"))),
        };
    }
    let call = run_task(attempt, settings, contract, &container.name).map_err(of_settings)?;
    let answer = call.send_with(&region.ecs).await;
    let conflict = super::refusal::conflicting_tasks(&answer);
    match understand(learn(&region.run, "RunTask", answer), conflict) {
        Answer::Launched(arn) => Ok(launched(arn)),
        Answer::Conflict => match find(region, &settings.cluster, &attempt.launch_key, timing).await {
            Ok(Some(arn)) => Ok(launched(arn)),
            Ok(None) => Err(ambiguous("another RunTask call has used this launch key".to_owned())),
            Err(fault) => Err(ambiguous(format!("ListTasks: {fault}"))),
        },
        Answer::Busy(reason) => Err(Failed::Other(LaunchError::Busy(reason))),
        Answer::Away(reason) => Err(Failed::Other(LaunchError::Away(reason))),
        Answer::Unclear(reason) => Err(ambiguous(reason)),
        Answer::Refused { reason, retryable, certain } => {
            Err(Failed::Refused(Refusal { reason, retryable, certain }))
        }
    }
}

/// The task that runs, or has run lately, under a launch key. Looks, and after a while once more: what was accepted
/// a moment ago may not be listed yet, and a task may appear although failures were returned.
pub async fn find(
    region: &Region,
    cluster: &str,
    launch_key: &str,
    timing: &Timing,
) -> Result<Option<String>, Fault> {
    let found = find_once(region, cluster, launch_key).await?;
    if found.is_some() {
        return Ok(found);
    }
    tokio::time::sleep(timing.second_look).await;
    find_once(region, cluster, launch_key).await
}

/// Asks for what runs by `startedBy` alone, as the API's documentation has it; and for what has stopped, which needs
/// a second filter that the same documentation rules out and that others use all the same.
async fn find_once(region: &Region, cluster: &str, launch_key: &str) -> Result<Option<String>, Fault> {
    region.find.wait().await;
    let running = region.ecs.list_tasks().cluster(cluster).started_by(launch_key);
    let stopped = running.clone().desired_status(DesiredStatus::Stopped);
    let answer = learn(&region.find, "ListTasks", running.send().await)?;
    if let Some(arn) = answer.task_arns().first() {
        return Ok(Some(arn.clone()));
    }
    region.find.wait().await;
    match learn(&region.find, "ListTasks", stopped.send().await) {
        Ok(answer) => Ok(answer.task_arns().first().cloned()),
        Err(fault) if fault.code == "InvalidParameterException" => {
            tracing::warn!(launch_key, %fault, "stopped tasks cannot be looked for by their launch key");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
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
