//! The directory of one attempt, `<state_dir>/<launch key>`: how a process outlives the daemon that began it.
//!
//! - `lock` is held by the supervisor as long as it lives. The kernel drops it whatever kills the supervisor,
//!   so it tells the truth about life where a process id, which is used again, cannot.
//! - `started` is created once and never removed: a second supervisor for the same launch key finds it and
//!   leaves, which makes launching idempotent.
//! - `child` holds the process group of the program.
//! - `end.json` appears, whole, when the program has ended.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::job::End;

/// A look takes microseconds; only a supervisor holds the lock longer.
const LOOKERS_LEAVE: Duration = Duration::from_millis(200);

/// How a program ended, as its supervisor saw it.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndFile {
    /// Exit code, or none if a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it could not be started.
    pub not_started: Option<String>,
    /// The tail of its output.
    pub output: String,
}

impl From<EndFile> for End {
    fn from(file: EndFile) -> Self {
        let output = Some(file.output).filter(|o| !o.is_empty());
        if let Some(reason) = file.not_started {
            return End { output, ..End::not_started(reason, false) };
        }
        let reason = file.signal.map(|signal| {
            let name =
                nix::sys::signal::Signal::try_from(signal).map_or("", nix::sys::signal::Signal::as_str);
            format!("killed by signal {signal} {name}").trim_end().to_owned()
        });
        // As a shell would report it.
        let exit_code = file.exit_code.or(file.signal.map(|signal| 128 + signal));
        End { exit_code, reason, output, ..End::exited(0) }
    }
}

/// Whether a supervisor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It holds its lock.
    Supervised,
    /// It began and is gone.
    Ended,
    /// It has not begun.
    NotBegun,
}

/// One attempt's directory.
#[derive(Debug, Clone)]
pub struct AttemptDir {
    path: PathBuf,
}

impl AttemptDir {
    /// Names it; nothing is created.
    pub fn new(state_dir: &Path, launch_key: &str) -> Self {
        Self { path: state_dir.join(launch_key) }
    }

    /// From the path a supervisor was given.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the task starts, unless the settings name another place.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Makes it, readable only by this user. An existing one is fine.
    pub fn create(&self) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(self.work())
    }

    /// Takes the supervisor's lock; `None` if another holds it. Waits out those who only look.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = self.lock_file()?;
        let deadline = Instant::now() + LOOKERS_LEAVE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        File::options().create(true).truncate(false).read(true).write(true).open(self.path.join("lock"))
    }

    /// Marks the attempt as started; false if it was before.
    pub fn mark_started(&self) -> io::Result<bool> {
        match File::create_new(self.path.join("started")) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Notes the program's process group.
    pub fn write_child(&self, group: u32) -> io::Result<()> {
        std::fs::write(self.path.join("child"), group.to_string())
    }

    /// The program's process group, once there is one.
    pub fn child(&self) -> Option<i32> {
        std::fs::read_to_string(self.path.join("child")).ok()?.parse().ok()
    }

    /// Writes the end, all at once.
    pub fn write_end(&self, end: &EndFile) -> io::Result<()> {
        let draft = self.path.join("end.json.new");
        std::fs::write(&draft, serde_json::to_vec(end)?)?;
        std::fs::rename(draft, self.path.join("end.json"))
    }

    /// The end, once it is written.
    pub fn end(&self) -> Option<End> {
        let text = std::fs::read(self.path.join("end.json")).ok()?;
        serde_json::from_slice::<EndFile>(&text).ok().map(End::from)
    }

    /// Whether a supervisor watches over it. The look shares the lock for a moment if it is free.
    pub fn life(&self) -> io::Result<Life> {
        match self.lock_file()?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Ok(Life::Supervised),
            Err(TryLockError::Error(e)) => Err(e),
            Ok(()) if self.path.join("started").exists() => Ok(Life::Ended),
            Ok(()) => Ok(Life::NotBegun),
        }
    }

    /// Removes it.
    pub fn remove(&self) -> io::Result<()> {
        std::fs::remove_dir_all(&self.path)
    }
}
