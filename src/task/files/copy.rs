//! Files of this machine, read and written piece by piece: a large one must not stop heartbeats, nor fill memory.

use std::fs::Metadata;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::crash;
use crate::task::failure::Failure;

const PIECE: usize = 1 << 20;

/// Beside the file while it grows; hidden, with a name that no other file is likely to have.
pub fn part(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // A name of the greatest length has no room for more; its own part is then the hash of it.
    if name.len() > 240 {
        name = format!(".{}", hex(&Sha256::digest(name.as_encoded_bytes()))).into();
    }
    name.push(".rowcall");
    path.with_file_name(name)
}

/// Copies a file; `to` appears when it is whole, and replaces what was there.
pub async fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let part = part(to);
    let mut source = File::open(from).await.map_err(|error| reading(from, &error))?;
    let mut target = File::create(&part).await.map_err(|error| writing(to, &error))?;
    let mut piece = vec![0; PIECE];
    loop {
        let n = source.read(&mut piece).await.map_err(|error| reading(from, &error))?;
        if n == 0 {
            break;
        }
        target.write_all(&piece[..n]).await.map_err(|error| writing(to, &error))?;
    }
    target.flush().await.map_err(|error| writing(to, &error))?;
    crash::at("before", "a copy appears");
    tokio::fs::rename(&part, to).await.map_err(|error| writing(to, &error))?;
    crash::at("after", "a copy appears");
    Ok(())
}

/// How many bytes a file has, and their SHA-256.
pub async fn hash(path: &Path) -> Result<(u64, String), Failure> {
    let mut file = File::open(path).await.map_err(|error| reading(path, &error))?;
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        let n = file.read(&mut piece).await.map_err(|error| reading(path, &error))?;
        if n == 0 {
            return Ok((bytes, hex(&hash.finalize())));
        }
        hash.update(&piece[..n]);
        bytes += n as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The metadata of a file that a row names; an error if the file must not be copied or cannot be read.
pub fn look(path: &Path) -> Result<Metadata, Failure> {
    let found = std::fs::metadata(path).map_err(|error| reading(path, &error))?;
    let real = std::fs::canonicalize(path).map_err(|error| reading(path, &error))?;
    // Not data: what the kernel tells of processes includes their environment, with the token in it.
    if ["/proc", "/sys", "/dev"].iter().any(|root| real.starts_with(root) && !real.starts_with("/dev/shm")) {
        return Err(Failure::lasting(format!("{} is the system's own, and not fetched", path.display())));
    }
    Ok(found)
}

/// An error of a file that is there to be read.
pub fn reading(path: &Path, error: &Error) -> Failure {
    let lasting = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::PermissionDenied];
    let retry = !lasting.contains(&error.kind());
    Failure { message: format!("{} cannot be read: {error}", path.display()), retry }
}

/// An error of a file that is made.
pub fn writing(path: &Path, error: &Error) -> Failure {
    let place = path.parent().unwrap_or(path).display();
    Failure::passing(match error.kind() {
        ErrorKind::StorageFull => format!("the disk below {place} is full: {} does not fit", path.display()),
        ErrorKind::QuotaExceeded => {
            format!("the quota below {place} is used up: {} does not fit", path.display())
        }
        _ => format!("{} cannot be written: {error}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_a_name_of_its_own_that_always_fits() {
        assert_eq!(part(Path::new("/a/b.nc")), Path::new("/a/.b.nc.rowcall"));
        let long = ["x".repeat(255), format!("{}y", "x".repeat(254))].map(|name| part(Path::new(&name)));
        assert!(long[0] != long[1] && long.iter().all(|part| part.as_os_str().len() <= 255));
    }

    #[tokio::test]
    async fn a_copy_is_whole_and_its_hash_known() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        let bytes = vec![b'x'; 2 * PIECE + 7];
        std::fs::write(&from, &bytes).unwrap();
        std::fs::write(&to, "old").unwrap();
        copy(&from, &to).await.unwrap();
        assert!(std::fs::read(&to).unwrap() == bytes);
        assert_eq!(hash(&to).await.unwrap(), (bytes.len() as u64, hex(&Sha256::digest(&bytes))));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
        std::fs::write(&from, "").unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(&from).await.unwrap(), (0, empty.to_owned()));
    }

    #[tokio::test]
    async fn a_full_disk_is_explained() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        std::fs::write(&from, "x").unwrap();
        std::os::unix::fs::symlink("/dev/full", part(&to)).unwrap();
        let failure = copy(&from, &to).await.unwrap_err();
        assert!(failure.retry && failure.message.contains("is full"), "{failure:?}");
    }

    #[test]
    fn what_the_kernel_tells_is_not_fetched() {
        for path in ["/proc/self/environ", "/dev/null", "/dev/../proc/self/status"] {
            let failure = look(Path::new(path)).unwrap_err();
            assert!(!failure.retry && failure.message.contains("system's own"), "{failure:?}");
        }
        assert!(look(Path::new("/no/such/file")).unwrap_err().message.contains("No such file"));
    }
}
