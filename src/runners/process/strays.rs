//! What is left of attempts that are perhaps over: programs of a killed supervisor, directories of a dead dispatcher.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid;

use super::attempt_dir::{AttemptDir, Life, SUFFIX};
use crate::runners::{Attempt, Stray};

/// A directory that no open attempt owns is left alone for so long, in case its attempt is only about to be seen.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// The variable by which a process tells whose it is, whatever group or session it has made for itself.
pub const LAUNCH: &str = "ROWCALL_LAUNCH";

/// Kills the processes that carry this attempt's launch key in their environment. Returns how many were killed.
pub fn kill(attempt: &Attempt) -> usize {
    let ours = format!("{LAUNCH}={}", attempt.launch_key);
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| carries(*pid, &ours))
        .filter(|pid| signal(Pid::from_raw(*pid), Signal::SIGKILL).is_ok())
        .count()
}

fn carries(pid: i32, variable: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|b| *b == 0).any(|v| v == variable.as_bytes()))
}

/// Attempts of this installation that are old and that no supervisor holds; the place of one is its directory.
pub fn strays(state_dir: &Path, prefix: &str) -> Vec<Stray> {
    let Ok(entries) = std::fs::read_dir(state_dir) else { return Vec::new() };
    let stray = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let launch_key =
            name.to_str()?.strip_suffix(SUFFIX).filter(|key| key.starts_with(prefix))?.to_owned();
        let old = entry.metadata().and_then(|m| m.modified()).ok()?.elapsed().ok()? > FORGOTTEN_AFTER;
        let dir = AttemptDir::new(state_dir, &launch_key);
        let ended = dir.life().is_ok_and(|life| life != Life::Supervised);
        (old && ended).then(|| Stray { launch_key, place: dir.path().to_string_lossy().into_owned() })
    };
    entries.flatten().filter_map(stray).collect()
}

/// Removes the directory of an attempt that is over.
pub fn discard(stray: &Stray) {
    if AttemptDir::at(stray.place.clone().into()).remove().is_ok() {
        tracing::info!(directory = stray.place, "removed what a dead dispatcher left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn strays_are_old_directories_of_ours_without_a_supervisor() {
        let state = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - 2 * FORGOTTEN_AFTER;
        let make = |key: &str, modified: SystemTime| {
            let dir = AttemptDir::new(state.path(), key);
            dir.create(true).unwrap();
            let lock = dir.lock().unwrap();
            std::fs::File::open(dir.file()).unwrap().set_modified(modified).unwrap();
            lock
        };
        let _ = make("rowcall-a-1", long_ago);
        let _ = make("rowcall-a-2", SystemTime::now());
        let _ = make("rowcall-b-3", long_ago);
        let _ = make("somebody-elses", long_ago);
        let _supervised = make("rowcall-a-4", long_ago);
        let found = strays(state.path(), "rowcall-a-");
        assert_eq!(found.iter().map(|s| s.launch_key.as_str()).collect::<Vec<_>>(), ["rowcall-a-1"]);
        discard(&found[0]);
        assert!(!state.path().join("rowcall-a-1").exists());
        assert!(!state.path().join("rowcall-a-1.attempt").exists());
    }
}
