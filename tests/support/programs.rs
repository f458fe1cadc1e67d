//! The real programs.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// `rowcall` with the process runner and quick settings, and nothing of this program's environment.
pub fn rowcall(url: &str, state_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rowcall"));
    let settings = [
        ("DATABASE_URL", url),
        ("ROWCALL_TASKS__DATABASE_URL", url),
        ("ROWCALL_DISPATCHER__HEARTBEAT_INTERVAL", "200ms"),
        ("ROWCALL_DISPATCHER__DEAD_AFTER", "1s"),
        ("ROWCALL_DISPATCHER__WATCH_INTERVAL", "50ms"),
        ("ROWCALL_DISPATCHER__SHUTDOWN_GRACE", "200ms"),
        ("ROWCALL_RUNNERS__PROCESS__ENABLED", "true"),
        ("ROWCALL_RUNNERS__PROCESS__PROGRAMS", "/bin/, /usr/bin/"),
        ("ROWCALL_RUNNERS__PROCESS__MAX_RUNNING", "8"),
        ("ROWCALL_RUNNERS__PROCESS__STOP_GRACE", "300ms"),
    ];
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).envs(settings);
    command.env("ROWCALL_RUNNERS__PROCESS__STATE_DIR", state_dir);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// `rowcall-task exec` for an attempt.
pub fn rowcall_task(token: &str, url: &str, options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rowcall-task"));
    command.arg("exec").args(options).arg("--").args(program);
    command.env("ROWCALL_TOKEN", token).env("ROWCALL_DATABASE_URL", url);
    for name in ["PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Sends standard error to a file; returns its path as text for reading later.
pub fn log_to(command: &mut Command, directory: &Path) -> std::path::PathBuf {
    let path = directory.join("log");
    let file = File::options().create(true).append(true).open(&path).unwrap();
    command.stderr(file);
    path
}
