//! Which programs may run. The list is the daemon's own; a parameters row can only choose from it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The program that runs another: allowing it must not allow whatever comes after its `--`.
const EXEC: &str = "rowcall-task";

/// Its supervisor runs what it is told to.
const DAEMON: &str = "rowcall";

/// Refuses a request for a program outside the list, naming the rule. What `rowcall-task exec` is to run must be
/// on the list like any other.
pub fn check_command(target: &str, command: &[String], allowed: &[String]) -> Result<(), String> {
    check_program(target, allowed)?;
    let resolved = std::fs::canonicalize(target).unwrap_or_default();
    match resolved.file_name().and_then(std::ffi::OsStr::to_str) {
        Some(EXEC) => {
            let mut rest = command.iter().skip_while(|argument| *argument != "--").skip(1);
            let program =
                rest.next().ok_or("command: rowcall-task needs exec, --, and the full path of a program")?;
            check_command(program, &rest.cloned().collect::<Vec<_>>(), allowed)
        }
        Some(DAEMON) => Err(format!("{target} is the dispatcher itself, which could run anything")),
        _ => Ok(()),
    }
}

/// Variables with which a program can be made to run something else than itself.
const HIJACKING: [&str; 22] = [
    "DOTNET_STARTUP_HOOKS",
    "HOME",
    "JDK_JAVA_OPTIONS",
    "OPENSSL_CONF",
    "PERL5DB",
    "PS4",
    "PYTHONHOME",
    "SHELLOPTS",
    "_JAVA_OPTIONS",
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "NODE_OPTIONS",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
];

/// Refuses variables that would lead around the list of programs.
pub fn check_environment<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    match names.find(|name| name.starts_with("LD_") || HIJACKING.contains(&name.as_str())) {
        Some(name) => Err(format!(
            "environment.{name} could make an allowed program run another; set it for the daemon, and name it in \
             runners.process.pass_environment"
        )),
        None => Ok(()),
    }
}

/// Refuses a program outside the list, or one that is not there, naming the rule.
fn check_program(target: &str, allowed: &[String]) -> Result<(), String> {
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
        return Err(format!(
            "{target} is not among the programs this dispatcher may run (setting runners.process.programs)"
        ));
    }
    let metadata = std::fs::metadata(&resolved).map_err(|e| format!("{target}: {e}"))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("{target} is not an executable file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_programs_pass() {
        let allowed = ["/bin/sh".to_owned()];
        assert_eq!(check_program("/bin/sh", &allowed), Ok(()));
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
        assert_eq!(check_program(inside.to_str().unwrap(), &rule), Ok(()));
        assert!(check_program(link.to_str().unwrap(), &rule).is_err());
        let dotted = format!("{}/../../bin/sh", dir.path().display());
        assert!(check_program(&dotted, &rule).is_err());
    }

    #[test]
    fn variables_that_lead_around_the_list_are_refused() {
        let check = |name: &str| check_environment([name.to_owned()].iter());
        assert_eq!(check("BUCKET"), Ok(()));
        assert!(check("LD_PRELOAD").unwrap_err().contains("environment.LD_PRELOAD"));
        assert!(check("BASH_ENV").unwrap_err().contains("pass_environment"));
    }

    #[test]
    fn the_database_refuses_the_same_variables() {
        let sql = include_str!("../../../sql/functions/checks/environment_error.sql");
        let missing: Vec<_> = HIJACKING.iter().filter(|name| !sql.contains(&format!("'{name}'"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
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
