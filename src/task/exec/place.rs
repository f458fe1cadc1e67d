//! A directory of the program's own for what it tells us.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::crash;

/// Private to this user, and removed with all that is in it.
pub struct Place(PathBuf);

impl Place {
    /// Where files may be made: the usual place, or shared memory, which containers have also with a read-only root
    /// and in images with nothing in them. None if there is neither.
    pub fn find() -> Option<Self> {
        let name = format!("rowcall-{:016x}", rand::random::<u64>());
        [std::env::temp_dir(), "/dev/shm".into(), "/run".into()].into_iter().find_map(|parent| {
            let path = parent.join(&name);
            DirBuilder::new().mode(0o700).create(&path).ok().map(|()| Self(path))
        })
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // An error cannot be reported any more, and the container's end removes the directory too.
        crash::at("before", "the program's own directory is removed");
        let _ = std::fs::remove_dir_all(&self.0);
        crash::at("after", "the program's own directory is removed");
    }
}

/// Reads at most `limit` bytes from the end of a file, and its length. Anything else that the program has put in
/// its place, such as a pipe, must not make us wait.
pub fn read_end(path: &Path, limit: u64) -> Option<(Vec<u8>, u64)> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let length = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?.len();
    let mut file = std::fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(length.saturating_sub(limit))).ok()?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some((bytes, length))
}
