//! What a state directory keeps of one attempt: how a process outlives the daemon that began it.
//!
//! `<state_dir>/<launch key>` is the directory in which its program begins, unless the settings name another place.
//! `<launch key>.attempt` beside it is all that daemon and supervisor tell each other. It is one file because to make and remove files
//! is what a short program costs most: ext4 looks through all that were removed within five seconds.
//!
//! - Its lock is held by the supervisor as long as it lives. The kernel drops it whatever kills the supervisor,
//!   so it tells the truth about life where a process id, which is used again, cannot.
//! - It is empty until a supervisor has begun. A second supervisor for the same launch key finds it written to and
//!   leaves, which makes launching idempotent.
//! - Its first line says how far the attempt is, and the process group of the program.
//! - What follows is room for the end, and then the end, as JSON. The first line says so only when all of it is there.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::crash::at;
use crate::job::End;

/// Of the file's name, after the launch key.
pub const SUFFIX: &str = ".attempt";

/// Bytes of the first line: a word, a process group, the end of the line.
const FIRST_LINE: usize = 20;

/// A supervisor has begun, or may not begin any more.
const STARTED: &str = "started";

/// The end is there, whole.
const ENDED: &str = "ended";

/// Enough for an end without its output; with the first line, a page of the disk.
const RESERVED_BYTES: usize = 4096 - FIRST_LINE;

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
        let exit_code = file.exit_code.or(file.signal.map(|signal| 128_i32.saturating_add(signal)));
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

/// One attempt's directory, and the file beside it.
#[derive(Debug, Clone)]
pub struct AttemptDir {
    path: PathBuf,
    file: PathBuf,
}

impl AttemptDir {
    /// Names it; nothing is created.
    pub fn new(state_dir: &Path, launch_key: &str) -> Self {
        Self::at(state_dir.join(launch_key))
    }

    /// From the path a supervisor was given.
    pub fn at(path: PathBuf) -> Self {
        let mut file = path.clone().into_os_string();
        file.push(SUFFIX);
        Self { path, file: file.into() }
    }

    /// Where it is, and where the task starts unless the settings name another place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file beside it, which is made first and removed last.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Makes file and directory, for this user only; the latter if the task starts there. Existing ones are fine, and have time
    /// again to begin.
    pub fn create(&self, with_directory: bool) -> io::Result<()> {
        let directory = |path: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        let open = || File::options().create(true).append(true).mode(0o600).open(&self.file);
        let file = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.path.parent().map_or(Ok(()), directory)?;
                open()?
            }
            opened => opened?,
        };
        at("after", "the file of an attempt was made");
        if file.metadata()?.len() == 0 {
            file.set_modified(SystemTime::now())?;
        }
        if with_directory { directory(&self.path) } else { Ok(()) }
    }

    /// Takes the lock of the file, as a supervisor does; `None` if another supervisor holds it. Waits out those who only look.
    pub fn lock(&self) -> io::Result<Option<Supervised>> {
        let file = File::options().read(true).write(true).open(&self.file)?;
        let deadline = Instant::now() + LOOKERS_LEAVE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Supervised { file })),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
    }

    /// Sees to it that no supervisor begins any more; false if one has begun.
    pub fn give_up(&self) -> io::Result<bool> {
        match self.lock()? {
            Some(supervised) => supervised.mark_started(),
            None => Ok(false),
        }
    }

    /// The program's process group, once there is one.
    pub fn child(&self) -> Option<i32> {
        let (_, group, _) = self.read()?;
        (group > 0).then_some(group)
    }

    /// The end, once it is written.
    pub fn end(&self) -> Option<End> {
        let (word, _, rest) = self.read()?;
        if word != ENDED {
            return None;
        }
        let end = End::from(serde_json::from_slice::<EndFile>(&rest).ok()?);
        let written = std::fs::metadata(&self.file).and_then(|metadata| metadata.modified()).ok();
        Some(End { ago: written.and_then(|written| written.elapsed().ok()), ..end })
    }

    /// The word and the process group of the first line, and what follows it.
    fn read(&self) -> Option<(String, i32, Vec<u8>)> {
        let mut bytes = std::fs::read(&self.file).ok()?;
        let rest = bytes.split_off(bytes.len().min(FIRST_LINE));
        let mut words = std::str::from_utf8(&bytes).ok()?.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?, rest))
    }

    /// Whether a supervisor watches over it. The look shares the lock for a moment if it is free.
    pub fn life(&self) -> io::Result<Life> {
        let file = File::open(&self.file)?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Ok(Life::Supervised),
            Err(TryLockError::Error(e)) => Err(e),
            Ok(()) if file.metadata()?.len() > 0 => Ok(Life::Ended),
            Ok(()) => Ok(Life::NotBegun),
        }
    }

    /// Since when it has not begun.
    pub fn age(&self) -> Option<Duration> {
        std::fs::metadata(&self.file).and_then(|m| m.modified()).ok()?.elapsed().ok()
    }

    /// Removes both. What is not there is fine.
    pub fn remove(&self) -> io::Result<()> {
        let gone = |removed: io::Result<()>| match removed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        gone(std::fs::remove_dir_all(&self.path))?;
        at("before", "the file of an attempt is removed");
        gone(std::fs::remove_file(&self.file))
    }
}

/// An attempt's file, locked for as long as this lives.
#[derive(Debug)]
pub struct Supervised {
    file: File,
}

impl Supervised {
    /// Marks the attempt as started; false if it was before.
    pub fn mark_started(&self) -> io::Result<bool> {
        if self.file.metadata()?.len() > 0 {
            return Ok(false);
        }
        at("before", "an attempt is marked as started");
        self.write_first_line(STARTED, 0)?;
        Ok(true)
    }

    /// Notes the program's process group.
    pub fn write_child(&self, group: u32) -> io::Result<()> {
        at("before", "the process group is written");
        self.write_first_line(STARTED, group)
    }

    fn write_first_line(&self, word: &str, group: u32) -> io::Result<()> {
        self.file.write_all_at(format!("{word:<8} {group:>10}\n").as_bytes(), 0)
    }

    /// Takes room on the disk for an end, before there is anything that could end: a program whose end cannot be written down
    /// would be run again.
    pub fn reserve_end(&self) -> io::Result<()> {
        at("before", "room for an end is taken");
        self.file.write_all_at(&[b' '; RESERVED_BYTES], FIRST_LINE as u64)
    }

    /// Writes the end; without its output, if the disk has no room for that.
    pub fn write_end(&self, end: &EndFile, group: u32) -> io::Result<()> {
        if let Err(error) = self.write_rest(serde_json::to_vec(end)?) {
            self.write_short(end, &error)?;
        }
        at("before", "an end is said to be whole");
        self.write_first_line(ENDED, group)
    }

    /// In the room that was reserved, and over whatever the disk has taken of the whole end.
    fn write_short(&self, end: &EndFile, error: &io::Error) -> io::Result<()> {
        let not_started =
            end.not_started.as_ref().map(|why| why.chars().take(LONGEST_REASON).collect::<String>());
        let short = EndFile { not_started, output: format!("(its output is lost: {error})"), ..*end };
        self.file.set_len((FIRST_LINE + RESERVED_BYTES) as u64)?;
        self.write_rest(serde_json::to_vec(&short)?)
    }

    /// With blanks, which JSON allows, over all that was reserved.
    fn write_rest(&self, mut json: Vec<u8>) -> io::Result<()> {
        json.resize(json.len().max(RESERVED_BYTES), b' ');
        at("before", "an end is written");
        self.file.write_all_at(&json, FIRST_LINE as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXITED: EndFile = EndFile {
        exit_code: Some(0),
        signal: None,
        not_started: None,
        output: String::new(),
        retryable: false,
    };

    fn started(place: &Path) -> (AttemptDir, Supervised) {
        let dir = AttemptDir::new(place, "rowcall-a-1");
        dir.create(true).unwrap();
        let supervised = dir.lock().unwrap().unwrap();
        assert!(supervised.mark_started().unwrap() && !supervised.mark_started().unwrap());
        supervised.reserve_end().unwrap();
        supervised.write_child(7).unwrap();
        (dir, supervised)
    }

    #[test]
    fn an_end_is_as_old_as_its_file() {
        let place = tempfile::tempdir().unwrap();
        let (dir, supervised) = started(place.path());
        assert!(dir.end().is_none() && dir.child() == Some(7) && dir.life().unwrap() == Life::Supervised);
        supervised.write_end(&EXITED, 7).unwrap();
        let hour = Duration::from_hours(1);
        supervised.file.set_modified(SystemTime::now() - hour).unwrap();
        drop(supervised);
        let ago = dir.end().unwrap().ago.unwrap();
        assert!(ago >= hour && ago < 2 * hour, "{ago:?}");
        assert!(dir.child() == Some(7) && dir.life().unwrap() == Life::Ended);
        dir.remove().unwrap();
        assert!(std::fs::read_dir(place.path()).unwrap().next().is_none(), "nothing stays");
    }

    #[test]
    fn a_supervisor_that_comes_too_late_does_not_begin() {
        let place = tempfile::tempdir().unwrap();
        let dir = AttemptDir::new(&place.path().join("made"), "rowcall-a-1");
        assert_eq!(dir.give_up().unwrap_err().kind(), io::ErrorKind::NotFound);
        dir.create(false).unwrap();
        assert_eq!(dir.life().unwrap(), Life::NotBegun);
        assert!(dir.give_up().unwrap());
        assert!(!dir.lock().unwrap().unwrap().mark_started().unwrap());
        let (dir, _supervised) = started(place.path());
        assert!(!dir.give_up().unwrap(), "one has begun");
    }

    #[test]
    fn garbage_in_its_file_is_no_end() {
        let state = tempfile::tempdir().unwrap();
        let (dir, _supervised) = started(state.path());
        let deep = "[".repeat(100_000);
        for garbage in ["", "{", "null", "\u{0}", "{\"exit_code\": 1e99}", "{\"output\": 3}", deep.as_str()] {
            for first_line in ["ended             7\n", "ended         seven\n", "started           7\n", ""]
            {
                std::fs::write(dir.file(), format!("{first_line}{garbage}")).unwrap();
                assert!(dir.end().is_none(), "{garbage:.20}");
            }
        }
        std::fs::write(dir.file(), b"\xff\xfe").unwrap();
        assert!(dir.end().is_none() && dir.child().is_none());
    }

    #[test]
    fn half_an_end_is_none() {
        let state = tempfile::tempdir().unwrap();
        let (dir, supervised) = started(state.path());
        supervised.write_rest(serde_json::to_vec(&EXITED).unwrap()).unwrap();
        assert!(dir.end().is_none(), "its supervisor was killed before it said that this is all");
        let long = EndFile { output: "x".repeat(100_000), ..EXITED };
        supervised.write_end(&long, 7).unwrap();
        assert_eq!(dir.end().unwrap().output.unwrap().len(), 100_000);
    }

    #[test]
    fn an_end_is_kept_although_the_disk_is_full() {
        let state = tempfile::tempdir().unwrap();
        let (dir, supervised) = started(state.path());
        let end = EndFile { exit_code: Some(3), output: "x".repeat(100_000), ..EXITED };
        // As on a full disk: it has taken some of it.
        supervised.write_rest(serde_json::to_vec(&end).unwrap()[..50_000].to_vec()).unwrap();
        supervised.write_short(&end, &io::ErrorKind::StorageFull.into()).unwrap();
        supervised.write_first_line(ENDED, 7).unwrap();
        assert_eq!(std::fs::metadata(dir.file()).unwrap().len(), 4096);
        let kept = dir.end().unwrap();
        assert_eq!(kept.exit_code, Some(3));
        assert!(kept.output.unwrap().starts_with("(its output is lost: "));
    }

    proptest! {
        /// A disk or a hand may have spoiled it.
        #[test]
        fn whatever_the_file_of_an_attempt_says_has_an_end(
            exit_code in prop::option::of(any::<i32>()), signal in prop::option::of(any::<i32>()),
            not_started in prop::option::of(".{0,9}"), output in ".{0,20}", more in ".{0,5}", cut in 0_usize..80
        ) {
            let file = serde_json::json!({
                "exit_code": exit_code, "signal": signal, "not_started": not_started, "output": output,
                "retryable": !more.is_empty(), more: 1
            });
            let text = file.to_string();
            if let Ok(read) = serde_json::from_value::<EndFile>(file) {
                let end = End::from(read);
                prop_assert!(not_started.is_none() || end.exit_code.is_none());
            }
            let cut: String = text.chars().take(cut).collect();
            let _ = serde_json::from_str::<EndFile>(&cut).map(End::from);
        }
    }
}
