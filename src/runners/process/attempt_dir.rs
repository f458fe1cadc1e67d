//! The directory of one attempt, `<state_dir>/<launch key>`: how a process outlives the daemon that began it.
//!
//! - `lock` is held by the supervisor as long as it lives. The kernel drops it whatever kills the supervisor,
//!   so it tells the truth about life where a process id, which is used again, cannot.
//! - `started` is created once and never removed: a second supervisor for the same launch key finds it and
//!   leaves, which makes launching idempotent.
//! - `child` holds the process group of the program.
//! - `end.json` appears, whole, when the program has ended.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::job::End;

/// The file that takes room for the end.
const RESERVED: &str = "end.reserved";

/// Enough for an end without its output.
const RESERVED_BYTES: usize = 4096;

/// Of the reason why a program was not started, in characters, where there is little room.
const LONGEST_REASON: usize = 500;

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
    /// Why it could not be started may pass.
    #[serde(default)]
    pub retryable: bool,
}

impl From<EndFile> for End {
    fn from(file: EndFile) -> Self {
        let output = Some(file.output).filter(|o| !o.is_empty());
        if let Some(reason) = file.not_started {
            return End { output, ..End::not_started(reason, file.retryable) };
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

    /// Takes room on the disk for an end, before there is anything that could end: a program whose end cannot be written down
    /// would be run again.
    pub fn reserve_end(&self) -> io::Result<()> {
        std::fs::write(self.path.join(RESERVED), [b' '; RESERVED_BYTES])
    }

    /// Writes the end, all at once; without its output, if the disk has no room for that.
    pub fn write_end(&self, end: &EndFile) -> io::Result<()> {
        let (draft, reserved) = (self.path.join("end.json.new"), self.path.join(RESERVED));
        let place = self.path.join("end.json");
        match std::fs::write(&draft, serde_json::to_vec(end)?).and_then(|()| std::fs::rename(&draft, &place))
        {
            Ok(()) => Ok(()),
            Err(error) if reserved.exists() => {
                let not_started =
                    end.not_started.as_ref().map(|why| why.chars().take(LONGEST_REASON).collect::<String>());
                let short = EndFile { not_started, output: format!("(its output is lost: {error})"), ..*end };
                // What follows in the file are blanks, which JSON allows.
                let mut file = File::options().write(true).open(&reserved)?;
                file.write_all(&serde_json::to_vec(&short)?)?;
                std::fs::rename(&reserved, &place)
            }
            Err(error) => Err(error),
        }
    }

    /// The end, once it is written.
    pub fn end(&self) -> Option<End> {
        let file = self.path.join("end.json");
        let end = End::from(serde_json::from_slice::<EndFile>(&std::fs::read(&file).ok()?).ok()?);
        let written = file.metadata().and_then(|metadata| metadata.modified()).ok();
        Some(End { ago: written.and_then(|written| written.elapsed().ok()), ..end })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_as_old_as_its_file() {
        let place = tempfile::tempdir().unwrap();
        let dir = AttemptDir::new(place.path(), "a");
        dir.create().unwrap();
        let end = EndFile {
            exit_code: Some(0),
            signal: None,
            not_started: None,
            output: String::new(),
            retryable: false,
        };
        dir.write_end(&end).unwrap();
        let hour = Duration::from_hours(1);
        let file = File::options().write(true).open(dir.path().join("end.json")).unwrap();
        file.set_modified(std::time::SystemTime::now() - hour).unwrap();
        let ago = dir.end().unwrap().ago.unwrap();
        assert!(ago >= hour && ago < 2 * hour, "{ago:?}");
    }

    #[test]
    fn garbage_in_its_files_is_no_end() {
        let state = tempfile::tempdir().unwrap();
        let dir = AttemptDir::new(state.path(), "rowcall-a-1");
        dir.create().unwrap();
        let deep = "[".repeat(100_000);
        for garbage in ["", "{", "null", "\u{0}", "{\"exit_code\": 1e99}", "{\"output\": 3}", deep.as_str()] {
            for file in ["end.json", "child"] {
                std::fs::write(dir.path().join(file), garbage).unwrap();
            }
            assert!(dir.end().is_none() && dir.child().is_none(), "{garbage:.20}");
        }
        std::fs::write(dir.path().join("end.json"), b"\xff\xfe").unwrap();
        assert!(dir.end().is_none());
    }

    #[test]
    fn an_end_is_kept_although_the_disk_is_full() {
        let state = tempfile::tempdir().unwrap();
        let dir = AttemptDir::new(state.path(), "rowcall-a-1");
        dir.create().unwrap();
        dir.reserve_end().unwrap();
        // As on a full disk: the file for the whole end cannot be written.
        std::fs::create_dir(dir.path().join("end.json.new")).unwrap();
        let end = EndFile {
            exit_code: Some(3),
            signal: None,
            not_started: None,
            output: "x".repeat(100_000),
            retryable: false,
        };
        dir.write_end(&end).unwrap();
        let kept = dir.end().unwrap();
        assert_eq!(kept.exit_code, Some(3));
        assert!(kept.output.unwrap().starts_with("(its output is lost: "));
    }
}
