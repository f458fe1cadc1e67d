//! What is in a directory: name, size and hash of each file, as a task's result lists them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Below the directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
}

/// All files below a directory, by name. What is no plain file (a link, a socket) is left out, as an upload would.
pub fn read(directory: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for found in std::fs::read_dir(directory.join(&below))? {
            let found = found?;
            let path = below.join(found.file_name());
            let kind = found.file_type()?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let (bytes, sha256) = hash(&found.path())?;
                entries.push(Entry { name: path.to_string_lossy().into_owned(), bytes, sha256 });
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn hash(path: &Path) -> io::Result<(u64, String)> {
    use std::fmt::Write as _;
    let mut file = File::open(path)?;
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
    let mut text = String::new();
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok((bytes, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plain_file_is_listed_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        std::fs::write(dir.path().join("b/c/x"), "abc").unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let found = read(dir.path()).unwrap();
        let of = |name: &str, bytes, sha256: &str| Entry { name: name.into(), bytes, sha256: sha256.into() };
        let expected = [
            of("a", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            of("b/c/x", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        assert_eq!(found, expected);
        assert!(read(&dir.path().join("none")).is_err());
    }
}
