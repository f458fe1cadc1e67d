//! The daemons, each begun anew when it has ended, as by what watches over them on a machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::ledger::Ledger;
use crate::support::rowcall;

/// One of them.
pub struct Daemon {
    pub name: String,
    pub log: PathBuf,
    /// By how much its clock is wrong; read by what lies to it about the time.
    pub clock: PathBuf,
    state: Arc<State>,
    watching: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    pid: AtomicI32,
    /// For so many milliseconds it is not begun anew.
    away_for: AtomicU32,
    is_over: AtomicBool,
    /// It was told to end.
    asked: AtomicBool,
}

impl Daemon {
    pub fn new(machine: Machine, ledger: &Arc<Ledger>) -> Self {
        let (name, directory) = (machine.name, machine.directory.clone());
        let clock = machine.clock();
        let state = Arc::<State>::default();
        let (theirs, log, called) =
            (Arc::clone(&state), directory.join(format!("log-{name}")), name.to_owned());
        let (ledger, file) = (Arc::clone(ledger), log.clone());
        let watching = tokio::spawn(async move {
            while !theirs.is_over.load(Ordering::SeqCst) {
                let log = std::fs::File::options().create(true).append(true).open(&file).unwrap();
                let mut child = machine.command().stderr(log).spawn().unwrap();
                theirs.asked.store(false, Ordering::SeqCst);
                theirs.pid.store(child.id().unwrap_or_default() as i32, Ordering::SeqCst);
                let ended = child.wait().await.unwrap();
                theirs.pid.store(0, Ordering::SeqCst);
                if !theirs.asked.load(Ordering::SeqCst) {
                    ledger.fault(format!("daemon {called} has ended by itself: {ended}"));
                }
                let ended = Instant::now();
                while ended.elapsed()
                    < Duration::from_millis(theirs.away_for.load(Ordering::SeqCst).max(50).into())
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                theirs.away_for.store(0, Ordering::SeqCst);
            }
        });
        Self { name: name.to_owned(), log, clock, state, watching }
    }

    /// Sends it a signal. After one that ends it, it is away for so long.
    pub fn signal(&self, signal: Signal, away: Duration) {
        if matches!(signal, Signal::SIGKILL | Signal::SIGTERM) {
            self.state.away_for.store(away.as_millis() as u32, Ordering::SeqCst);
            self.state.asked.store(true, Ordering::SeqCst);
        }
        let pid = self.pid();
        if pid != 0 {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// The id of its process; 0 while there is none.
    pub fn pid(&self) -> i32 {
        self.state.pid.load(Ordering::SeqCst)
    }

    /// It is away no longer.
    pub fn come_back(&self) {
        self.state.away_for.store(0, Ordering::SeqCst);
    }

    /// Ends it in good order, for good.
    pub async fn end(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        self.signal(Signal::SIGTERM, Duration::ZERO);
        if tokio::time::timeout(Duration::from_secs(30), &mut self.watching).await.is_err() {
            self.signal(Signal::SIGKILL, Duration::ZERO);
            panic!("daemon {} does not end; its log is {}", self.name, self.log.display());
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        self.signal(Signal::SIGKILL, Duration::ZERO);
    }
}

/// Where a daemon runs, and how. The second goes through a pooler. The third is an older one, on a machine of its own, with other
/// runners.
pub struct Machine {
    pub name: &'static str,
    pub directory: PathBuf,
    pub url: String,
    pub pooler: Option<String>,
    /// What tasks are given.
    pub tasks: String,
    /// None: with nothing but processes, and with the default settings.
    pub aws: Option<String>,
}

/// What `rowcall()` sets to be quick.
const QUICK: [&str; 3] = ["HEARTBEAT_INTERVAL", "DEAD_AFTER", "WATCH_INTERVAL"];

impl Machine {
    fn clock(&self) -> PathBuf {
        self.directory.join(format!("clock-{}", self.name))
    }

    fn command(&self) -> Command {
        let is_third = self.name == "c";
        let host = if is_third { "machine-two" } else { "machine-one" };
        let state = self.directory.join(host);
        std::fs::create_dir_all(&state).unwrap();
        let mut command = rowcall(&self.url, &state);
        command.env("ROWCALL_TASKS__DATABASE_URL", &self.tasks);
        command.env("ROWCALL_DISPATCHER__HOST", host);
        if self.aws.is_none() {
            for name in QUICK {
                command.env_remove(format!("ROWCALL_DISPATCHER__{name}"));
            }
            command.arg("serve");
            return command;
        }
        command.env("ROWCALL_DISPATCHER__LOST_AFTER", "5s");
        command.env("ROWCALL_DISPATCHER__MAX_RUNNER_FAILURES", "1000");
        command.env("ROWCALL_DISPATCHER__JANITOR_INTERVAL", "2s");
        command.env("ROWCALL_DISPATCHER__POLL_INTERVAL", "2s");
        if let Some(aws) = self.aws.as_ref().filter(|_| !is_third) {
            command.env("ROWCALL_RUNNERS__ECS__ENABLED", "true");
            command.env("ROWCALL_RUNNERS__ECS__CLUSTERS", "jobs");
            command.env("ROWCALL_RUNNERS__ECS__TASK_DEFINITIONS", "file-loader*");
            command.env("ROWCALL_RUNNERS__ECS__SUBNETS", "subnet-*");
            command.env("ROWCALL_AWS__ENDPOINT", aws).env("ROWCALL_AWS__REGION", "eu-west-1");
            command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
            command.env("ROWCALL_RUNNERS__DOCKER__ENABLED", "true");
            command.env("ROWCALL_RUNNERS__DOCKER__IMAGES", "rowcall-test-*");
            command.env("ROWCALL_RUNNERS__DOCKER__MOUNTS", "/tmp");
        }
        if let Some(pooler) = &self.pooler {
            command.env("DATABASE_URL", pooler).env("ROWCALL_DATABASE__LISTEN_URL", &self.url);
        }
        if let Ok(library) = std::env::var("ROWCALL_TEST_FAKETIME") {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", self.clock());
            command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        let mut command = match std::env::var("ROWCALL_TEST_OLDER") {
            Ok(older) if is_third => instead(&older, &command),
            _ => command,
        };
        command.arg("serve");
        command
    }
}

/// The same command of another program.
fn instead(program: &str, command: &Command) -> Command {
    let mut other = Command::new(program);
    other.env_clear().stdin(std::process::Stdio::null()).kill_on_drop(true);
    other.envs(command.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    other
}
