//! The operator's guard rails: which functions a table may make this daemon invoke.

use super::settings::Plan;
use crate::job::RunnerName;
use crate::runners::rails::{matches, outside};
use crate::settings::LambdaSettings;

/// Refuses what the daemon's own settings do not allow, naming the rule.
pub fn check(plan: &Plan, settings: &LambdaSettings, own_region: &str) -> Result<(), String> {
    let outside = |what: &str, value: &str, list: &str| Err(outside(what, value, RunnerName::Lambda, list));
    if !matches(&settings.functions, &plan.as_written) {
        return outside("target", &plan.as_written, "functions");
    }
    match &plan.region {
        Some(region) if region != own_region && !settings.regions.contains(region) => {
            outside("region", region, "regions")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runners::lambda::tests::request;
    use crate::settings::{Sources, load};
    use serde_json::{Value, json};

    #[test]
    fn what_is_not_allowed_is_refused_by_the_name_of_its_rule() {
        let all = load(&Sources::default()).unwrap();
        let settings = LambdaSettings {
            functions: vec!["load-*".into(), "one:live".into(), "arn:aws:lambda:*:1:function:x".into()],
            regions: vec!["eu-west-1".into()],
            ..all.runners.lambda
        };
        let check = |target: &str, more: Value| {
            super::check(&Plan::read(&request(target, more)).unwrap(), &settings, "eu-central-1")
        };
        assert_eq!(check("load-files:7", json!({"region": "eu-west-1"})), Ok(()));
        assert_eq!(check("one", json!({"qualifier": "live"})), Ok(()));
        assert_eq!(check("arn:aws:lambda:eu-west-1:1:function:x", json!({})), Ok(()));
        let cases = [
            ("one", json!({}), "runners.lambda.functions"),
            ("one", json!({"qualifier": "test"}), "target one:test is not among runners.lambda.functions"),
            ("load-files", json!({"region": "us-east-1"}), "runners.lambda.regions"),
            ("arn:aws:lambda:us-east-1:1:function:x", json!({}), "runners.lambda.regions"),
        ];
        for (target, more, rule) in cases {
            let error = check(target, more).unwrap_err();
            assert!(error.contains(rule), "{error}");
        }
    }
}
