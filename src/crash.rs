//! Places at which a test lets this program die, as by `kill -9`. They are there in debug builds only: a release build has nothing of
//! them.
//!
//! A place is what the program is about to do or has done: `before launch`, `after attempts_launched.sql`,
//! `before commit at src/dispatcher/settle/mod.rs:264`. With `CRASH_AT=place` and `CRASH_ONCE=file` the first process
//! that comes there ends, and makes that file, so that no other does. With `CRASH_LOG=file` each place is noted to which a process
//! comes. `tests/crashes.rs` visits all of them.

use std::panic::Location;

#[cfg(debug_assertions)]
mod debug {
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;

    use nix::sys::signal::{Signal, raise};

    /// What a test wants of this process.
    struct Wish {
        place: Option<String>,
        /// There when a process has died.
        once: PathBuf,
        log: Option<PathBuf>,
        /// The files of the statements, and their texts.
        statements: Vec<(String, String)>,
    }

    static WISH: OnceLock<Option<Wish>> = OnceLock::new();

    fn wish() -> Option<&'static Wish> {
        let read = || {
            let place = std::env::var("CRASH_AT").ok();
            let once = std::env::var_os("CRASH_ONCE").map(PathBuf::from).unwrap_or_default();
            let log = std::env::var_os("CRASH_LOG").map(PathBuf::from);
            let mut statements = Vec::new();
            if place.is_some() || log.is_some() {
                add(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/queries"), &mut statements);
                return Some(Wish { place, once, log, statements });
            }
            None
        };
        WISH.get_or_init(read).as_ref()
    }

    fn add(directory: &Path, statements: &mut Vec<(String, String)>) {
        for path in std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
            match (path.is_dir(), path.file_name(), std::fs::read_to_string(&path)) {
                (true, ..) => add(&path, statements),
                (false, Some(name), Ok(text)) => {
                    statements.push((name.to_string_lossy().into_owned(), text));
                }
                _ => {}
            }
        }
    }

    pub fn at(when: &str, what: &str) {
        let Some(wish) = wish() else { return };
        let place = format!("{when} {what}");
        if let Some(mut file) = wish
            .log
            .as_ref()
            .and_then(|log| std::fs::File::options().create(true).append(true).open(log).ok())
        {
            let _ = file.write_all(format!("{place}\n").as_bytes());
        }
        if wish.place.as_ref() == Some(&place) && std::fs::File::create_new(&wish.once).is_ok() {
            let _ = raise(Signal::SIGKILL);
        }
    }

    /// The file of a statement; a claim is put together from several, and is known by its first.
    pub fn file_of(sql: &str) -> Option<&'static str> {
        let begins = wish()?.statements.iter().filter(|(_, text)| sql.starts_with(text.as_str()));
        begins.max_by_key(|(_, text)| text.len()).map(|(name, _)| name.as_str())
    }
}

/// The program comes to a place.
#[inline]
pub fn at(when: &str, what: &str) {
    #[cfg(debug_assertions)]
    debug::at(when, what);
    #[cfg(not(debug_assertions))]
    let _ = (when, what);
}

/// Does something with a place before it and one after it. In a box, as the futures of a debug build are large as they are.
#[cfg(debug_assertions)]
pub fn around<T>(what: &str, doing: impl Future<Output = T>) -> impl Future<Output = T> {
    let doing = Box::pin(doing);
    async move {
        at("before", what);
        let done = doing.await;
        at("after", what);
        done
    }
}

/// Does something with a place before it and one after it.
#[cfg(not(debug_assertions))]
pub fn around<T>(_: &str, doing: impl Future<Output = T>) -> impl Future<Output = T> {
    doing
}

/// The same with a statement.
#[cfg(debug_assertions)]
pub fn around_statement<T>(sql: &str, doing: impl Future<Output = T>) -> impl Future<Output = T> {
    let doing = Box::pin(doing);
    async move {
        match debug::file_of(sql) {
            Some(file) => around(file, doing).await,
            None => doing.await,
        }
    }
}

/// The same with a statement.
#[cfg(not(debug_assertions))]
pub fn around_statement<T>(_: &str, doing: impl Future<Output = T>) -> impl Future<Output = T> {
    doing
}

/// The same with a commit, which has the name of the line that asks for it.
#[cfg(debug_assertions)]
pub fn around_commit<T>(
    place: &'static Location<'static>,
    committing: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let committing = Box::pin(committing);
    async move { around(&format!("commit at {}:{}", place.file(), place.line()), committing).await }
}

/// The same with a commit.
#[cfg(not(debug_assertions))]
pub fn around_commit<T>(
    _: &'static Location<'static>,
    committing: impl Future<Output = T>,
) -> impl Future<Output = T> {
    committing
}
