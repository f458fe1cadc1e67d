//! Looks at the disk that come to an end: a file system whose server is gone holds a look for ever, and the thread with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// For so long a look holds up its caller, which may have other work on the same thread. A disk answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Threads that hang at the same time below one directory of the root. A further look there would most likely hang, too; one
/// elsewhere is on another disk.
const MOST_HUNG: usize = 8;

/// What hangs.
static HUNG: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn hung() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    HUNG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The directory of the root in which a path lies.
fn top(path: &Path) -> PathBuf {
    path.components().take(2).collect()
}

/// The result of a look at a path, or that it takes too long. While it hangs, it is not begun once more.
pub fn in_time<T: Send + 'static>(
    path: &Path,
    look: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    within(PATIENCE, path, look)
}

fn within<T: Send + 'static>(
    patience: Duration,
    path: &Path,
    look: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let what = path.display();
    let too_long =
        || Err(format!("{what}: its file system does not answer; see whether its server is there"));
    {
        let hung = hung();
        let beside = hung.iter().filter(|other| top(other) == top(path)).count();
        if hung.contains(path) || beside >= MOST_HUNG {
            return too_long();
        }
    }
    let (answer, answered) = mpsc::channel();
    // Whether the look is over, under the lock of `HUNG`.
    let over = Arc::new(Mutex::new(false));
    let (name, its_over) = (path.to_owned(), Arc::clone(&over));
    let looking = std::thread::Builder::new().name("rowcall-disk".to_owned()).spawn(move || {
        // Its caller may have left.
        let _ = answer.send(look());
        let mut hung = hung();
        *its_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        hung.remove(&name);
    });
    if let Err(error) = looking {
        return Err(format!("{what}: no thread can be started to look at it: {error}"));
    }
    match answered.recv_timeout(patience) {
        Ok(result) => result,
        Err(RecvTimeoutError::Disconnected) => Err(format!("{what}: the look at it has failed")),
        Err(RecvTimeoutError::Timeout) => {
            let mut hung = hung();
            if !*over.lock().unwrap_or_else(PoisonError::into_inner) {
                hung.insert(path.to_owned());
            }
            too_long()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_hangs_holds_up_its_caller_once_and_for_a_bounded_time() {
        let here = Path::new("/hangs/here");
        let (end, ends) = mpsc::channel::<()>();
        let hangs = move || ends.recv().map_err(|error| error.to_string());
        let error = within(Duration::from_millis(1), here, hangs).unwrap_err();
        assert!(error.contains("/hangs/here") && error.contains("does not answer"), "{error}");
        // Not begun again: this one would panic.
        assert!(within(PATIENCE, here, || -> Result<(), String> { unreachable!() }).is_err());
        assert_eq!(within(PATIENCE, Path::new("/hangs/not"), || Ok(7)), Ok(7));
        end.send(()).unwrap();
        while hung().contains(here) {
            std::thread::yield_now();
        }
        assert_eq!(within(PATIENCE, here, || Ok(8)), Ok(8));
    }

    #[test]
    fn a_disk_that_hangs_refuses_nothing_of_another() {
        let mut ends = Vec::new();
        for n in 0..MOST_HUNG {
            let (end, hangs) = mpsc::channel::<()>();
            let look = move || hangs.recv().map_err(|error| error.to_string());
            assert!(within(Duration::from_millis(1), Path::new(&format!("/stale/{n}")), look).is_err());
            ends.push(end);
        }
        assert!(within(PATIENCE, Path::new("/stale/more"), || Ok(())).is_err());
        assert_eq!(within(PATIENCE, Path::new("/fresh/one"), || Ok(())), Ok(()));
    }
}
