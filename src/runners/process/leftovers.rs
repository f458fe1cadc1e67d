//! What a killed supervisor left running.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::runners::Attempt;

/// The variable by which a process tells whose it is, whatever group or session it has made for itself.
pub const LAUNCH: &str = "ROWCALL_LAUNCH";

/// Kills the processes that carry this attempt's launch key in their environment. Returns how many were killed.
pub fn kill_leftovers(attempt: &Attempt) -> usize {
    let ours = format!("{LAUNCH}={}", attempt.launch_key);
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| carries(*pid, &ours))
        .filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok())
        .count()
}

fn carries(pid: i32, variable: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|b| *b == 0).any(|v| v == variable.as_bytes()))
}
