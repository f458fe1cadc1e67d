//! What a state directory knows of itself and of the dispatchers that use it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use crate::crash::at;

/// The file with the directory's id. It moves with the directory, as the attempts in it do.
const ID: &str = ".id";

/// The files that dispatchers hold locked while they live. No attempt's directory begins so.
const LIFE: &str = ".dispatcher-";

/// One that has no name yet.
const DRAFT: &str = ".life-";

/// Others have noted long before that its dispatcher is gone.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// A state directory that has an id.
#[derive(Debug)]
pub struct Place {
    state_dir: PathBuf,
    id: String,
    /// Locked until this process ends: the kernel then drops it, whatever the end.
    life: Mutex<Option<File>>,
}

impl Place {
    /// Reads the id, or gives one.
    pub fn of(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join(ID);
        let id = match std::fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
            // Half a file, of a disk that was full.
            Ok(_) => {
                std::fs::remove_file(&path).map_err(Into::into).and_then(|()| Self::make(state_dir, &path))?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::make(state_dir, &path)?,
            Err(e) => return Err(e).with_context(|| format!("{}: its id cannot be read", path.display())),
        };
        Ok(Self { state_dir: state_dir.to_owned(), id, life: Mutex::new(None) })
    }

    /// Whole or not at all, and the first of two that do so at the same moment gives it.
    fn make(state_dir: &Path, path: &Path) -> anyhow::Result<String> {
        let draft = state_dir.join(format!("{ID}-{:016x}", rand::random::<u64>()));
        let id = format!("{:032x}", rand::random::<u128>());
        std::fs::write(&draft, &id)
            .inspect(|()| at("before", "a state directory gets its id"))
            .and_then(|()| match std::fs::hard_link(&draft, path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
                _ => std::fs::remove_file(&draft),
            })
            .with_context(|| format!("{}: no id can be written", path.display()))?;
        Ok(std::fs::read_to_string(path)?.trim().to_owned())
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn life_of(&self, label: &str) -> PathBuf {
        self.state_dir.join(format!("{LIFE}{label}"))
    }

    /// Shows that a dispatcher lives. The file is locked before it has its name: one that is there and free is of the dead.
    pub fn show_life(&self, label: &str) -> io::Result<()> {
        self.sweep();
        let draft = self.state_dir.join(format!("{DRAFT}{:016x}", rand::random::<u64>()));
        let file = File::create(&draft)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        })?;
        at("before", "a life is shown");
        std::fs::rename(&draft, self.life_of(label))?;
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    /// The dispatcher ends in order, and says so elsewhere.
    pub fn hide_life(&self, label: &str) {
        if self.life.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            at("before", "a life is hidden");
            // What is left of it otherwise is an empty file.
            let _ = std::fs::remove_file(self.life_of(label));
        }
    }

    /// Whether a dispatcher has shown that it lives, and its process has ended since.
    pub fn is_gone(&self, label: &str) -> bool {
        File::open(self.life_of(label)).is_ok_and(|file| file.try_lock().is_ok())
    }

    /// Removes old files of dispatchers that have ended.
    fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.state_dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with(LIFE) && !name.starts_with(DRAFT) {
                continue;
            }
            let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
            let is_free = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
            if age.is_some_and(|age| age > FORGOTTEN_AFTER) && is_free() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_id_and_no_two_have_the_same() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = |dir: &tempfile::TempDir| Place::of(dir.path()).unwrap().id().to_owned();
        assert_eq!(id(&one), id(&one));
        assert_ne!(id(&one), id(&other));
        std::fs::write(one.path().join(ID), "").unwrap();
        assert_eq!(id(&one).len(), 32, "half a file is none");
    }

    #[test]
    fn who_has_shown_life_and_ended_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (living, looking) = (Place::of(dir.path()).unwrap(), Place::of(dir.path()).unwrap());
        assert!(!looking.is_gone("a-1"), "nothing is known of it");
        living.show_life("a-1").unwrap();
        assert!(!looking.is_gone("a-1"));
        drop(living);
        assert!(looking.is_gone("a-1"));
        let orderly = Place::of(dir.path()).unwrap();
        orderly.show_life("a-2").unwrap();
        orderly.hide_life("a-2");
        assert!(!looking.is_gone("a-2"), "it has said so itself");
    }
}
