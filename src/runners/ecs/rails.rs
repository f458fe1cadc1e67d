//! The operator's guard rails: what a table may not make this daemon do.

use super::settings::TaskSettings;
use crate::job::RunnerName;
use crate::runners::rails::{matches, outside};
use crate::settings::EcsSettings;

/// Refuses what the daemon's own settings do not allow, naming the rule. `own_region`: where this daemon is at home.
pub fn check(
    target: &str,
    task: &TaskSettings,
    settings: &EcsSettings,
    own_region: &str,
) -> Result<(), String> {
    let outside = |what: &str, value: &str, list: &str| Err(outside(what, value, RunnerName::Ecs, list));
    if !matches(&settings.clusters, &task.cluster) {
        return outside("settings.cluster", &task.cluster, "clusters");
    }
    if !matches(&settings.task_definitions, target) {
        return outside("target", target, "task_definitions");
    }
    if let Some(region) = task.region()
        && region != own_region
        && !settings.regions.iter().any(|allowed| allowed == region)
    {
        return outside("settings.region", region, "regions");
    }
    let chosen = [
        ("task_role", "role_overrides", task.task_role.as_slice(), &settings.role_overrides),
        ("execution_role", "role_overrides", task.execution_role.as_slice(), &settings.role_overrides),
        ("subnets", "subnets", &task.subnets, &settings.subnets),
        ("security_groups", "security_groups", &task.security_groups, &settings.security_groups),
        ("environment_files", "environment_files", &task.environment_files, &settings.environment_files),
    ];
    for (key, list, values, allowed) in chosen {
        if let Some(value) = values.iter().find(|value| !matches(allowed, value)) {
            return outside(&format!("settings.{key}:"), value, list);
        }
    }
    let switches = [
        (
            "enable_execute_command",
            task.enable_execute_command,
            settings.allow_execute_command,
            "allow_execute_command",
        ),
        (
            "assign_public_ip",
            task.assign_public_ip == Some(true),
            settings.allow_public_ip,
            "allow_public_ip",
        ),
    ];
    for (key, wanted, allowed, switch) in switches {
        if wanted && !allowed {
            return Err(format!(
                "settings.{key} needs runners.ecs.{switch} = true in this dispatcher's settings"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};
    use serde_json::json;

    #[test]
    fn what_is_not_allowed_is_refused_by_the_name_of_its_rule() {
        let all = load(&Sources::default()).unwrap();
        let settings = EcsSettings {
            clusters: vec!["jobs".into(), "arn:aws:ecs:*:1:cluster/jobs".into()],
            task_definitions: vec!["loader:*".into()],
            role_overrides: vec!["arn:aws:iam::1:role/rowcall-*".into()],
            regions: vec!["eu-west-1".into()],
            subnets: vec!["subnet-1".into()],
            ..all.runners.ecs
        };
        let check = |target: &str, mut more: serde_json::Value| {
            if more.get("cluster").is_none() {
                more["cluster"] = json!("jobs");
            }
            super::check(target, &TaskSettings::read(&more).unwrap(), &settings, "eu-central-1")
        };
        assert_eq!(check("loader:7", json!({})), Ok(()));
        let in_arn = json!({"cluster": "arn:aws:ecs:eu-west-1:1:cluster/jobs"});
        assert_eq!(check("loader:7", in_arn), Ok(()));
        assert_eq!(check("loader:7", json!({"task_role": "arn:aws:iam::1:role/rowcall-x"})), Ok(()));
        let cases = [
            ("loader:7", json!({"cluster": "prod"}), "runners.ecs.clusters"),
            ("loader:7", json!({"cluster": "arn:aws:ecs:eu-west-1:2:cluster/jobs"}), "runners.ecs.clusters"),
            ("admin:1", json!({}), "runners.ecs.task_definitions"),
            ("loader", json!({}), "runners.ecs.task_definitions"),
            ("loader:7", json!({"region": "us-east-1"}), "runners.ecs.regions"),
            ("loader:7", json!({"cluster": "arn:aws:ecs:us-east-1:1:cluster/jobs"}), "runners.ecs.regions"),
            ("loader:7", json!({"task_role": "arn:aws:iam::1:role/admin"}), "runners.ecs.role_overrides"),
            (
                "loader:7",
                json!({"execution_role": "arn:aws:iam::1:role/admin"}),
                "runners.ecs.role_overrides",
            ),
            ("loader:7", json!({"enable_execute_command": true}), "runners.ecs.allow_execute_command"),
            (
                "loader:7",
                json!({"subnets": ["subnet-1", "subnet-open"]}),
                "subnet-open is not among runners.ecs.subnets",
            ),
            (
                "loader:7",
                json!({"subnets": ["subnet-1"], "security_groups": ["sg-open"]}),
                "runners.ecs.security_groups",
            ),
            (
                "loader:7",
                json!({"subnets": ["subnet-1"], "assign_public_ip": true}),
                "runners.ecs.allow_public_ip",
            ),
            (
                "loader:7",
                json!({"environment_files": ["arn:aws:s3:::other/x.env"]}),
                "runners.ecs.environment_files",
            ),
        ];
        for (target, more, rule) in cases {
            let error = check(target, more).unwrap_err();
            assert!(error.contains(rule), "{error}");
        }
    }
}
