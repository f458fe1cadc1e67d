//! Named pipes: how a test and a program of a task wait for each other without a clock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A pipe with a name, for `read x < pipe` and `echo up > pipe` in a task's program.
pub struct Fifo(PathBuf);

impl Fifo {
    /// Makes one.
    pub fn new(directory: &Path, name: &str) -> Self {
        let path = directory.join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }

    /// For use in a shell script.
    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Waits for a writer, then until every writer is gone; what they wrote.
    pub async fn read(&self) -> String {
        let path = self.0.clone();
        elsewhere("nobody wrote and left", move || std::fs::read_to_string(path).unwrap()).await
    }

    /// The same from now on, for writers who hold the pipe open: ends when they are gone.
    pub fn closed(&self) -> impl Future<Output = String> + use<> {
        let path = self.0.clone();
        elsewhere("somebody still holds the pipe", move || std::fs::read_to_string(path).unwrap())
    }

    /// Waits for a reader and lets it go on.
    pub async fn open(&self) {
        let path = self.0.clone();
        elsewhere("nobody reads", move || std::fs::write(path, "go\n").unwrap()).await;
    }
}

/// On a thread of its own, which may hang without holding up the end of a test that has failed.
fn elsewhere<T: Send + 'static>(
    failure: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    let (done, answer) = oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    async move { tokio::time::timeout(LIMIT, answer).await.expect(failure).unwrap() }
}
