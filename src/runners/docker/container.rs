//! From a frozen request to a container, and how to tell that one is ours.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, Mount, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::settings::{MountSetting, TaskSettings};
use crate::runners::Attempt;

/// The installation of Rowcall that a container belongs to; strays are searched by it.
pub const INSTANCE: &str = "rowcall.instance";
/// Its launch key, which is its name, too.
pub const KEY: &str = "rowcall.key";
const JOB: &str = "rowcall.job";
const ATTEMPT: &str = "rowcall.attempt";
const TASK: &str = "rowcall.task";

/// The container of an attempt.
pub fn body(
    attempt: &Attempt,
    settings: &TaskSettings,
    contract: &[(String, String)],
) -> ContainerCreateBody {
    let request = &attempt.request;
    let environment = request.environment.iter().chain(contract.iter().map(|(name, value)| (name, value)));
    let given = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
    let memory = settings.memory.map(|mib| i64::from(mib.0) << 20);
    let host = HostConfig {
        nano_cpus: settings.cpu.map(|units| i64::from(units.0) * 1_000_000_000 / 1024),
        memory,
        // No swap on top, which Docker would give as much of again.
        memory_swap: memory,
        pids_limit: settings.pids_limit,
        init: Some(settings.init.unwrap_or(true)),
        mounts: Some(
            settings.mounts.iter().map(mount).chain(settings.tmpfs.iter().map(|path| tmpfs(path))).collect(),
        ),
        network_mode: settings.network.clone(),
        extra_hosts: given(&settings.extra_hosts),
        readonly_rootfs: Some(settings.read_only),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        // Its end would go with it.
        auto_remove: Some(false),
        privileged: Some(false),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(request.target.clone()),
        cmd: given(&request.command),
        entrypoint: given(&settings.entrypoint),
        env: Some(environment.map(|(name, value)| format!("{name}={value}")).collect()),
        user: settings.user.clone(),
        working_dir: settings.working_dir.clone(),
        stop_timeout: settings.stop_timeout,
        labels: Some(labels(attempt)),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

fn mount(setting: &MountSetting) -> Mount {
    Mount {
        typ: Some(if setting.is_path() { MountType::BIND } else { MountType::VOLUME }),
        source: Some(setting.source.clone()),
        target: Some(setting.target.clone()),
        read_only: Some(setting.read_only),
        ..Mount::default()
    }
}

fn tmpfs(path: &str) -> Mount {
    Mount { typ: Some(MountType::TMPFS), target: Some(path.to_owned()), ..Mount::default() }
}

fn labels(attempt: &Attempt) -> HashMap<String, String> {
    let labels = [
        (INSTANCE, instance(&attempt.launch_key).to_owned()),
        (KEY, attempt.launch_key.clone()),
        (JOB, attempt.job_id.to_string()),
        (ATTEMPT, attempt.number.to_string()),
        (TASK, attempt.task.clone()),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the launch keys of one installation have in common: all but the attempt's id and the chance at their end.
fn instance(launch_key: &str) -> &str {
    launch_key.rsplitn(3, '-').nth(2).unwrap_or(launch_key)
}

/// The same of a prefix of launch keys.
pub fn instance_of_prefix(prefix: &str) -> &str {
    prefix.trim_end_matches('-')
}

/// Whether a container is this attempt's, and not only called like it.
pub fn is_of(container: &ContainerInspectResponse, attempt: &Attempt) -> bool {
    let has = container.config.as_ref().and_then(|config| config.labels.as_ref());
    has.is_some_and(|has| {
        [(KEY, &attempt.launch_key), (JOB, &attempt.job_id.to_string())]
            .iter()
            .all(|(name, value)| has.get(*name) == Some(*value))
    })
}

/// Its variables.
pub fn environment(container: &ContainerInspectResponse) -> impl Iterator<Item = (String, String)> {
    let variables = container.config.as_ref().and_then(|config| config.env.as_deref()).unwrap_or_default();
    variables.iter().filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_is_what_launch_keys_begin_with() {
        assert_eq!(instance("rowcall-0a1b2c3d-17-89abcdef"), "rowcall-0a1b2c3d");
        assert_eq!(instance_of_prefix("rowcall-0a1b2c3d-"), "rowcall-0a1b2c3d");
    }
}
