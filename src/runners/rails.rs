//! What the guard rails of all runners share: lists of what a table may choose from, which only the operator writes.

use wildmatch::WildMatch;

use crate::job::RunnerName;

/// What decides who a container or function is towards AWS: set by the runner, not by a table.
const OF_AWS: &str = "AWS_*";

/// What ECS tells a container about itself.
const OF_ECS: &str = "ECS_*";

/// Whether a string is one of these patterns, in which * means any characters.
pub fn matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| WildMatch::new(pattern).matches(text))
}

/// The refusal of a value that is not in a list of the settings, with the line that would allow it.
pub fn outside(what: &str, value: &str, runner: RunnerName, list: &str) -> String {
    let quoted = toml_string(value);
    format!(
        "{what} {value} is not among runners.{runner}.{list} of this dispatcher's settings (to allow it, add {quoted} there)"
    )
}

/// Refuses variables that a table may not set: for processes those that the operator does not list, because a variable
/// can make nearly any program run another; for the others those of AWS, unless the operator lists them.
pub fn check_environment<'a>(
    runner: RunnerName,
    mut names: impl Iterator<Item = &'a String>,
    listed: &[String],
) -> Result<(), String> {
    let reserved = |name: &str| match runner {
        RunnerName::Process => true,
        RunnerName::Ecs => [OF_AWS, OF_ECS].iter().any(|pattern| WildMatch::new(pattern).matches(name)),
        RunnerName::Docker | RunnerName::Lambda => WildMatch::new(OF_AWS).matches(name),
    };
    match names.find(|name| reserved(name) && !matches(listed, name)) {
        Some(name) => Err(outside("environment:", name, runner, "environment")),
        None => Ok(()),
    }
}

/// As a string of a settings file.
fn toml_string(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_gets_only_listed_variables() {
        let check = |name: &str, listed: &[&str]| {
            let listed: Vec<String> = listed.iter().map(|s| (*s).to_owned()).collect();
            check_environment(RunnerName::Process, [name.to_owned()].iter(), &listed)
        };
        let refused = check("PYTHONWARNINGS", &[]).unwrap_err();
        assert_eq!(
            refused,
            "environment: PYTHONWARNINGS is not among runners.process.environment of this dispatcher's settings (to \
             allow it, add \"PYTHONWARNINGS\" there)"
        );
        assert!(check("PERLLIB", &["BUCKET"]).is_err());
        assert_eq!(check("BUCKET", &["BUCKET"]), Ok(()));
        assert_eq!(check("APP_MODE", &["APP_*"]), Ok(()));
    }

    #[test]
    fn a_container_is_not_told_another_identity() {
        let check = |runner, name: &str, listed: &[String]| {
            check_environment(runner, [name.to_owned()].iter(), listed).is_ok()
        };
        for runner in [RunnerName::Docker, RunnerName::Ecs, RunnerName::Lambda] {
            assert!(check(runner, "BUCKET", &[]), "{runner}");
            assert!(!check(runner, "AWS_CONTAINER_CREDENTIALS_FULL_URI", &[]), "{runner}");
            assert!(check(runner, "AWS_REGION", &["AWS_REGION".to_owned()]), "{runner}");
        }
        assert!(!check(RunnerName::Ecs, "ECS_CONTAINER_METADATA_URI_V4", &[]));
    }
}
