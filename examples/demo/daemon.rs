//! The real `rowcall` binary, as a user would start it.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::Place;

/// `rowcall migrate`
pub fn migrate(programs: &Path, url: &str) -> anyhow::Result<()> {
    let output = Command::new(programs.join("rowcall")).arg("migrate").env("DATABASE_URL", url).output()?;
    ensure!(output.status.success(), "rowcall migrate: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// `rowcall serve`, ended with this value.
pub struct Daemon {
    process: Option<Child>,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with a settings file that allows what the demo needs and nothing else.
    pub fn start(
        programs: &Path,
        url: &str,
        task_url: &str,
        directory: &Path,
        place: &Place,
    ) -> anyhow::Result<Self> {
        let settings = directory.join("rowcall.toml");
        let text = format!("[tasks]\ndatabase_url = {task_url:?}\n\n{}", place.settings(directory)?);
        std::fs::write(&settings, text)?;
        let log = directory.join("serve.log");
        let process = Command::new(programs.join("rowcall"))
            .arg("serve")
            .arg("--config")
            .arg(&settings)
            .env("DATABASE_URL", url)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start rowcall serve")?;
        Ok(Self { process: Some(process), log })
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Leaves it running; returns its process id.
    pub fn keep(mut self) -> u32 {
        self.process.take().map(|process| process.id()).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if let Ok(pid) = i32::try_from(process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = process.wait();
    }
}
