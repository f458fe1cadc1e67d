//! Which programs may run. The list is the daemon's own; a parameters row can only choose from it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::job::RunnerName;
use crate::runners::rails::outside;

/// Programs whose names begin so run another: allowing one must not allow whatever comes after its `--`. There is one
/// that speaks to S3, `rowcall-task-aws`, too.
const EXEC: &str = "rowcall-task";

/// Names that begin so are the dispatcher's own, whose supervisor runs what it is told to.
const DAEMON: &str = "rowcall";

/// More are not needed, and each takes a look at the disk.
const MOST_NESTED: usize = 4;

/// Refuses a request for a program outside the list, naming the rule. What `rowcall-task exec` is to run must be
/// on the list like any other; so must what any other program is told to run in that form, for it may be a copy of it.
pub fn check_command(target: &str, command: &[String], allowed: &[String]) -> Result<(), String> {
    let (mut target, mut command) = (target, command);
    for _ in 0..MOST_NESTED {
        let resolved = check_program(target, allowed)?;
        let name = resolved.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        let has_form_of_exec = command.first().is_some_and(|word| word == "exec");
        let after =
            command.iter().position(|argument| argument == "--").map_or(&[][..], |at| &command[at + 1..]);
        match after.split_first() {
            Some((program, rest)) if has_form_of_exec || name.starts_with(EXEC) => {
                (target, command) = (program, rest);
            }
            None if name.starts_with(EXEC) => {
                return Err(format!("command: {name} needs exec, --, and the full path of a program"));
            }
            _ if name.starts_with(DAEMON) && !name.starts_with(EXEC) => {
                return Err(format!("{target} is the dispatcher itself, which could run anything"));
            }
            _ => return Ok(()),
        }
    }
    Err(format!("command: exec within exec, more than {MOST_NESTED} times"))
}

/// Refuses a program outside the list, or one that is not there, naming the rule. Returns what links lead to.
fn check_program(target: &str, allowed: &[String]) -> Result<PathBuf, String> {
    if !target.starts_with('/') {
        return Err(format!("{target:?} must be the full path of a program"));
    }
    // Resolved first, so that neither ".." nor a link leads out of an allowed directory.
    let resolved = std::fs::canonicalize(target).map_err(|e| format!("{target}: {e}"))?;
    let permitted = allowed.iter().any(|rule| {
        let path = std::fs::canonicalize(rule).unwrap_or_else(|_| Path::new(rule).to_owned());
        if rule.ends_with('/') { resolved.starts_with(path) } else { resolved == path }
    });
    if !permitted {
        let place = resolved.display().to_string();
        let what = if place == target { "the program".to_owned() } else { format!("{target} leads to") };
        return Err(outside(&what, &place, RunnerName::Process, "programs"));
    }
    let metadata = std::fs::metadata(&resolved).map_err(|e| format!("{target}: {e}"))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("{target} is not an executable file"));
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_programs_pass() {
        let allowed = ["/bin/sh".to_owned()];
        assert!(check_program("/bin/sh", &allowed).is_ok());
        let error = check_program("/bin/cat", &allowed).unwrap_err();
        assert!(error.contains("runners.process.programs"), "{error}");
        assert!(check_program("sh", &allowed).unwrap_err().contains("full path"));
        assert!(check_program("/bin/no-such", &allowed).unwrap_err().contains("No such file"));
    }

    #[test]
    fn a_directory_allows_what_is_below_it_but_nothing_it_links_to() {
        let dir = tempfile::tempdir().unwrap();
        let rule = [format!("{}/", dir.path().display())];
        let inside = dir.path().join("tool");
        std::fs::copy("/bin/true", &inside).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
        assert!(check_program(inside.to_str().unwrap(), &rule).is_ok());
        assert!(check_program(link.to_str().unwrap(), &rule).is_err());
        let dotted = format!("{}/../../bin/sh", dir.path().display());
        assert!(check_program(&dotted, &rule).is_err());
    }

    #[test]
    fn what_exec_runs_must_be_listed_too() {
        let dir = tempfile::tempdir().unwrap();
        let exec = dir.path().join("rowcall-task");
        std::fs::copy("/bin/true", &exec).unwrap();
        let exec = exec.to_str().unwrap();
        let allowed = [exec.to_owned(), "/bin/sh".to_owned()];
        let check = |command: &[&str]| {
            let command: Vec<String> = command.iter().map(|s| (*s).to_owned()).collect();
            check_command(exec, &command, &allowed)
        };
        assert_eq!(check(&["exec", "--", "/bin/sh", "-c", "true"]), Ok(()));
        assert!(check(&["exec", "--", "/bin/cat"]).unwrap_err().contains("/bin/cat is not among"));
        assert!(check(&["exec"]).unwrap_err().contains("full path"));
        assert!(check(&["exec", "--", exec, "exec", "--", "/bin/cat"]).is_err());
        let daemon = dir.path().join("rowcall");
        std::fs::copy("/bin/true", &daemon).unwrap();
        let rule = [format!("{}/", dir.path().display())];
        let error = check_command(daemon.to_str().unwrap(), &[], &rule).unwrap_err();
        assert!(error.contains("could run anything"), "{error}");
        // Under another name it is the same program.
        let same = dir.path().join("rowcall-task-aws");
        std::fs::copy("/bin/true", &same).unwrap();
        let copy = dir.path().join("runs");
        std::fs::copy("/bin/true", &copy).unwrap();
        for other in [same, copy] {
            let other = other.to_str().unwrap();
            let command = ["exec", "--", "/bin/cat"].map(str::to_owned);
            let refused = check_command(other, &command, &[other.to_owned()]).unwrap_err();
            assert!(refused.contains("runners.process.programs"), "{refused}");
        }
        // The second "--" is the program's own.
        assert!(check(&["exec", "--", "/bin/cat", "--", "/bin/sh"]).is_err());
    }

    #[test]
    fn a_file_that_cannot_run_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        assert!(check_program(&path, std::slice::from_ref(&path)).unwrap_err().contains("executable"));
    }
}
