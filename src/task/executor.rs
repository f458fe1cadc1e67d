//! By what name this executor is known to `task_start`, which admits one per attempt.

use super::contract::variable;

/// Names the executor for the programs that one runs: `task_start(token, executor)` is then the same one's
/// second call.
pub const EXECUTOR: &str = "ROWCALL_EXECUTOR";

/// A name that no other executor has: a second start of the attempt is refused, even here.
pub fn fresh() -> String {
    format!("rowcall-task {:032x}", rand::random::<u128>())
}

/// A name that all processes of this container share and no other container has, so that each line of a shell
/// script is the same executor: what `ROWCALL_EXECUTOR` says, or else host, boot, process namespace, and when its
/// first process started. A container that was restarted is another one.
pub fn shared() -> String {
    if let Some(named) = variable(EXECUTOR) {
        return named;
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let first = read("/proc/1/stat");
    format!(
        "{} {} {} {}",
        host.to_string_lossy(),
        boot.trim(),
        namespace.display(),
        start_time(&first).unwrap_or_default()
    )
}

/// Field 22 of `/proc/PID/stat` (see proc(5)), in clock ticks since boot. The second field is a program's name,
/// in parentheses, and may hold anything.
fn start_time(stat: &str) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_when_a_process_started_whatever_its_name() {
        let stat = "1 (a) b (c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000";
        assert_eq!(start_time(stat), Some("4711"));
        assert_eq!(start_time(""), None);
    }
}
