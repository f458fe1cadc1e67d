//! How long the arguments and variables of a program may be.

use crate::parameters::LaunchSpec;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::RunnerName;

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
}
