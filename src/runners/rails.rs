//! What the guard rails of all runners share: lists of what a table may choose from, which only the operator writes.

use wildmatch::WildMatch;

use crate::job::RunnerName;
use crate::parameters::LaunchSpec;

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

/// What Linux takes of one argument or one variable with its name, in bytes, and of all together with the least stack that is
/// usual: execve(2).
const LONGEST_ARGUMENT: usize = 128 * 1024 - 1;
const ALL_ARGUMENTS: usize = 2 * 1024 * 1024 - 64 * 1024;

/// Refuses arguments and variables that no program could be started with, on any machine with Linux.
pub fn check_lengths(request: &LaunchSpec) -> Result<(), String> {
    let refuse = |what: String, bytes: usize, most: usize| {
        Err(format!(
            "{what} has {bytes} bytes, and a program takes {most}: let it read long values from its row, with task_start"
        ))
    };
    let mut all = 0;
    for (place, argument) in request.command.iter().enumerate() {
        all += argument.len() + 1;
        if argument.len() > LONGEST_ARGUMENT {
            return refuse(format!("command[{}]", place + 1), argument.len(), LONGEST_ARGUMENT);
        }
    }
    for (name, value) in &request.environment {
        let bytes = name.len() + 1 + value.len();
        all += bytes + 1;
        if bytes > LONGEST_ARGUMENT {
            return refuse(format!("environment.{name}"), bytes, LONGEST_ARGUMENT);
        }
    }
    if all > ALL_ARGUMENTS {
        return refuse("command with environment".to_owned(), all, ALL_ARGUMENTS);
    }
    Ok(())
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
    fn what_is_too_long_for_any_program_is_refused_by_its_name() {
        let mut request = LaunchSpec::unread(RunnerName::Process);
        request.command = vec!["a".to_owned(), "x".repeat(LONGEST_ARGUMENT)];
        assert_eq!(check_lengths(&request), Ok(()));
        request.command[1].push('x');
        let refused = check_lengths(&request).unwrap_err();
        assert!(refused.starts_with("command[2] has 131072 bytes, and a program takes 131071"), "{refused}");
        request.command = vec!["x".repeat(100_000); 21];
        assert!(check_lengths(&request).unwrap_err().starts_with("command with environment has 2100021"));
        request.command.clear();
        request.environment.insert("A".to_owned(), "x".repeat(131_070));
        assert!(check_lengths(&request).unwrap_err().starts_with("environment.A has 131072"));
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
