//! The operator's guard rails: what a table may not make this daemon do.

use wildmatch::WildMatch;

use super::settings::TaskSettings;
use crate::settings::EcsSettings;

/// Refuses what the daemon's own settings do not allow, naming the rule. `own_region`: where this daemon is at home.
pub fn check(
    target: &str,
    task: &TaskSettings,
    settings: &EcsSettings,
    own_region: &str,
) -> Result<(), String> {
    let outside = |what: &str, value: &str, rule: &str| {
        Err(format!("{what} {value} is not among runners.ecs.{rule} of this daemon's settings"))
    };
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
    for (key, role) in [("task_role", &task.task_role), ("execution_role", &task.execution_role)] {
        if let Some(role) = role
            && !matches(&settings.role_overrides, role)
        {
            return outside(&format!("settings.{key}"), role, "role_overrides");
        }
    }
    if task.enable_execute_command && !settings.allow_execute_command {
        return Err("settings.enable_execute_command needs runners.ecs.allow_execute_command in this \
                    daemon's settings"
            .to_owned());
    }
    Ok(())
}

/// Whether a text is one of these, in which * stands for any characters.
fn matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| WildMatch::new(pattern).matches(text))
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
        ];
        for (target, more, rule) in cases {
            let error = check(target, more).unwrap_err();
            assert!(error.contains(rule), "{error}");
        }
    }
}
