//! A directory that must still be the one that was opened: a program may put a link to somewhere else in its place, and
//! what lies there is not ours to store or to remove.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::copy;
use crate::task::failure::Failure;

/// A directory, known by its place on the disk.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Device and number; of what a link led to when it was opened.
    identity: (u64, u64),
}

impl Directory {
    /// As it is now.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let identity = identity(path).map_err(|error| copy::reading(path, &error))?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Where it is, or was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the same directory is still there.
    pub fn is_same(&self) -> bool {
        identity(&self.path).is_ok_and(|now| now == self.identity)
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_its_place_is_another_directory() {
        let place = tempfile::tempdir().unwrap();
        let (path, other) = (place.path().join("out"), place.path().join("other"));
        std::fs::create_dir(&path).unwrap();
        std::fs::create_dir(&other).unwrap();
        let directory = Directory::open(&path).unwrap();
        assert!(directory.is_same());
        std::fs::remove_dir(&path).unwrap();
        assert!(!directory.is_same());
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(!directory.is_same());
    }
}
