//! Which programs may run. The list is the daemon's own; a parameters row can only choose from it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Refuses a program outside the list, or one that is not there, naming the rule.
pub fn check_program(target: &str, allowed: &[String]) -> Result<(), String> {
    if !target.starts_with('/') {
        return Err(format!("target {target:?} must be the full path of a program"));
    }
    // Resolved first, so that neither ".." nor a link leads out of an allowed directory.
    let resolved = std::fs::canonicalize(target).map_err(|e| format!("target {target}: {e}"))?;
    let permitted = allowed.iter().any(|rule| {
        let path = std::fs::canonicalize(rule).unwrap_or_else(|_| Path::new(rule).to_owned());
        if rule.ends_with('/') { resolved.starts_with(path) } else { resolved == path }
    });
    if !permitted {
        return Err(format!(
            "target {target} is not among the programs this dispatcher may run (setting runners.process.programs)"
        ));
    }
    let metadata = std::fs::metadata(&resolved).map_err(|e| format!("target {target}: {e}"))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("target {target} is not an executable file"));
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
    fn a_directory_allows_what_is_below_it_and_nothing_linked_from_it() {
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
    fn a_file_that_cannot_run_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        assert!(check_program(&path, std::slice::from_ref(&path)).unwrap_err().contains("executable"));
    }
}
