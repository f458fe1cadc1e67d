//! The real program, `rowcall serve` of the release build, with the process runner.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What its tasks may run.
pub const PROGRAM: &str = "/bin/true";

/// A running one. It is killed when this is dropped.
pub struct Daemon {
    child: Child,
    _state: TempDir,
}

impl Daemon {
    /// With default settings else.
    pub fn start(url: &str) -> anyhow::Result<Self> {
        let state = tempfile::tempdir()?;
        let child = Command::new(env!("CARGO_BIN_EXE_rowcall"))
            .arg("serve")
            .env("DATABASE_URL", url)
            .env("ROWCALL_RUNNERS__PROCESS__ENABLED", "true")
            .env("ROWCALL_RUNNERS__PROCESS__PROGRAMS", PROGRAM)
            .env("ROWCALL_RUNNERS__PROCESS__STATE_DIR", state.path())
            .env("ROWCALL_LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, _state: state })
    }

    /// Seconds of a processor that it has used so far.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        processor_seconds(&self.child.id().to_string())
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> anyhow::Result<f64> {
        memory(&self.child.id().to_string())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of a processor that the threads of a process have used so far; `self` is this one.
pub fn processor_seconds(process: &str) -> anyhow::Result<f64> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let times = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += times.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Resident memory of a process, in KiB; `self` is this one.
pub fn memory(process: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
}
