//! Looks at the disk that come to an end: a file system whose server is gone holds a look for ever, and the thread with it.

use std::collections::BTreeSet;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// For so long a look holds up its caller, which may have other work on the same thread. A disk answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Threads that hang at the same time. A further look would most likely hang, too.
const MOST_HUNG: usize = 32;

/// What hangs, by name.
static HUNG: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn hung() -> MutexGuard<'static, BTreeSet<String>> {
    HUNG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The result of a look at the disk, or that it takes too long. While it hangs, it is not begun once more.
pub fn in_time<T: Send + 'static>(
    what: &str,
    look: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    within(PATIENCE, what, look)
}

fn within<T: Send + 'static>(
    patience: Duration,
    what: &str,
    look: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let too_long =
        || Err(format!("{what}: its file system does not answer; see whether its server is there"));
    {
        let hung = hung();
        if hung.contains(what) || hung.len() >= MOST_HUNG {
            return too_long();
        }
    }
    let (answer, answered) = mpsc::channel();
    // Whether the look is over, under the lock of `HUNG`.
    let over = Arc::new(Mutex::new(false));
    let (name, its_over) = (what.to_owned(), Arc::clone(&over));
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
                hung.insert(what.to_owned());
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
        let (end, ends) = mpsc::channel::<()>();
        let hangs = move || ends.recv().map_err(|error| error.to_string());
        let error = within(Duration::from_millis(1), "/hangs", hangs).unwrap_err();
        assert!(error.contains("/hangs") && error.contains("does not answer"), "{error}");
        // Not begun again: this one would panic.
        assert!(within(PATIENCE, "/hangs", || -> Result<(), String> { unreachable!() }).is_err());
        assert_eq!(within(PATIENCE, "/elsewhere", || Ok(7)), Ok(7));
        end.send(()).unwrap();
        while hung().contains("/hangs") {
            std::thread::yield_now();
        }
        assert_eq!(within(PATIENCE, "/hangs", || Ok(8)), Ok(8));
    }
}
