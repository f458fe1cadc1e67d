//! What a killed supervisor left running.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::runners::Attempt;

/// Kills the processes of a group that carry this attempt's name in their environment. A group's number may be
/// another's by now; the environment cannot. Returns how many were killed.
pub fn kill_group(group: Option<i32>, attempt: &Attempt) -> usize {
    let Some(group) = group else { return 0 };
    let ours = [format!("ROWCALL_JOB={}", attempt.job_id), format!("ROWCALL_ATTEMPT={}", attempt.number)];
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            process_group(*pid) == Some(group) && ours.iter().all(|variable| carries(*pid, variable))
        })
        .filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok())
        .count()
}

/// The fifth field of `/proc/<pid>/stat`; the second, a name in parentheses, may hold spaces.
fn process_group(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn carries(pid: i32, variable: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|b| *b == 0).any(|v| v == variable.as_bytes()))
}
