//! Processes that lost their parent: as the first process of a container (PID 1) they are ours, and elsewhere they
//! are made so. They are reaped while the program runs, and told to end when it has ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{Pid, getpid};
use tokio::signal::unix::{SignalKind, signal};

/// From SIGTERM to SIGKILL for those that the program left behind: it is over, and its end wants to be reported.
const GRACE: Duration = Duration::from_secs(1);
/// One that SIGKILL does not end hangs in the kernel; it is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reaps.
pub struct Children {
    changed: Option<tokio::signal::unix::Signal>,
}

impl Children {
    /// Before the program starts.
    pub fn adopt() -> Self {
        // Where the kernel refuses, another process adopts them, as it would without us.
        let _ = set_child_subreaper(true);
        Self { changed: signal(SignalKind::child()).ok() }
    }

    /// When some child may have ended.
    async fn changed(&mut self) {
        match &mut self.changed {
            Some(changed) => drop(changed.recv().await),
            None => std::future::pending().await,
        }
    }

    /// Reaps for ever, except the program itself: who waits for that wants to see its end.
    pub async fn reap(&mut self, program: Option<Pid>) {
        loop {
            self.changed().await;
            reap(program);
        }
    }

    /// Ends what the program has left behind.
    pub async fn end(&mut self) {
        let begun = Instant::now();
        let mut told = HashMap::new();
        while reap(None) && begun.elapsed() < PATIENCE {
            let signal = if begun.elapsed() < GRACE { Signal::SIGTERM } else { Signal::SIGKILL };
            for pid in descendants() {
                if told.insert(pid, signal) != Some(signal) {
                    let _ = kill(pid, signal);
                }
            }
            // The end of a grandchild is not ours to hear, hence the clock.
            let _ = tokio::time::timeout(Duration::from_millis(20), self.changed()).await;
        }
    }
}

/// Returns whether any child is left. The one excepted may stand before others that have ended; those are reaped
/// when it is gone.
fn reap(except: Option<Pid>) -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::All, look).map(|status| status.pid()) {
            Ok(Some(pid)) if Some(pid) != except => {
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
            Err(Errno::EINTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

/// All living processes below this one.
fn descendants() -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parents: HashMap<i32, i32> = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    let below = |pid: i32| {
        let mut above = pid;
        // A table read while processes come and go may be a circle.
        for _ in 0..parents.len() {
            match parents.get(&above) {
                Some(parent) if *parent == getpid().as_raw() => return true,
                Some(parent) => above = *parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().copied().filter(|pid| below(*pid)).map(Pid::from_raw).collect()
}

/// Field 4 of `/proc/PID/stat`, unless it is dead already and waits for its parent (`Z`).
fn parent(stat: &str) -> Option<i32> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    fields.next().filter(|state| *state != "Z")?;
    fields.next()?.parse().ok()
}
