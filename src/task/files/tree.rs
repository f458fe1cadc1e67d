//! What lies below a directory.

use std::fs::{DirEntry, FileType};
use std::path::{Path, PathBuf};

use super::copy;
use crate::crash;
use crate::task::failure::Failure;

/// What was found.
#[derive(Debug, Default)]
pub struct Kept {
    /// Names below the directory, in order.
    pub files: Vec<String>,
    /// What is no regular file: links, pipes, devices.
    pub others: Vec<PathBuf>,
}

/// Finds all files, at most so many. Links are not followed: they may lead out, or in circles.
pub fn walk(dir: &Path, limit: usize) -> Result<Kept, Failure> {
    let mut kept = Kept::default();
    let mut ahead = vec![(dir.to_owned(), String::new())];
    while let Some((path, prefix)) = ahead.pop() {
        for (entry, kind) in entries(&path)? {
            let path = entry.path();
            let Ok(step) = entry.file_name().into_string() else {
                return Err(Failure::lasting(format!(
                    "{} has a name that is not UTF-8 text",
                    path.display()
                )));
            };
            let name = format!("{prefix}{step}");
            if kind.is_dir() {
                ahead.push((path, format!("{name}/")));
            } else if kind.is_file() {
                kept.files.push(name);
            } else {
                kept.others.push(path);
            }
            if kept.files.len() > limit {
                return Err(Failure::lasting(format!(
                    "there are more files below {} than the {limit} that are taken",
                    dir.display()
                )));
            }
        }
    }
    kept.files.sort_unstable();
    Ok(kept)
}

fn entries(dir: &Path) -> Result<Vec<(DirEntry, FileType)>, Failure> {
    let each = |entry: std::io::Result<DirEntry>| {
        entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind)))
    };
    let entries = std::fs::read_dir(dir).and_then(|entries| entries.map(each).collect());
    entries.map_err(|error| copy::reading(dir, &error))
}

/// Removes all that is in a directory, as far as it may be removed.
pub fn empty(dir: &Path) {
    crash::at("before", "a directory is emptied");
    for (entry, kind) in entries(dir).unwrap_or_default() {
        // An error cannot be reported any more: the report is sent, and in most places the container goes too.
        let _ = if kind.is_dir() {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        };
    }
    crash::at("after", "a directory is emptied");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_order_and_links_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path();
        std::fs::create_dir_all(dir.join("b/c")).unwrap();
        for name in ["z", "b/c/x", "a", ".hidden"] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("/", dir.join("link")).unwrap();
        let kept = walk(dir, 4).unwrap();
        assert_eq!(kept.files, [".hidden", "a", "b/c/x", "z"]);
        assert_eq!(kept.others, [dir.join("link")]);
        assert!(walk(dir, 3).unwrap_err().message.contains("than the 3"));
        empty(dir);
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
    }
}
