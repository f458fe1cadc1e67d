//! The program itself, from its start to its end.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::Options;
use super::beats::Beats;
use super::children::Children;
use super::output::{Kept, Output};
use super::result::LastLine;
use crate::output::Tail;
use crate::task::contract;
use crate::task::exit::{self, complain};
use crate::task::signals::{Signals, is_stop};

/// How the program ended.
pub struct ProgramEnd {
    /// How it ended, if it was started.
    pub how: How,
    /// The signal that asked it to end before it did.
    pub told: Option<Signal>,
    /// It did not listen, and was killed so long after.
    pub killed_after: Option<Duration>,
    /// The database said that the attempt is over.
    pub over: Option<String>,
    /// What it printed.
    pub kept: Kept,
}

/// What was seen of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be started; the exit code as in a shell, and why.
    NotRun(i32, String),
    /// Its end could not be seen.
    Unseen(String),
}

impl ProgramEnd {
    fn not_seen(how: How) -> Self {
        let kept = Kept { tail: Tail::new(0), last_line: LastLine::default() };
        Self { how, told: None, killed_after: None, over: None, kept }
    }

    /// As a shell would say it.
    pub fn exit_code(&self) -> i32 {
        match self.how {
            How::Code(code) | How::NotRun(code, _) => code,
            How::Signal(number) => 128 + number,
            How::Unseen(_) => 1,
        }
    }
}

/// Runs the program with these variables besides, and everything that must go on meanwhile.
pub async fn run(
    options: &Options,
    environment: Vec<(String, String)>,
    beats: &mut Beats,
    signals: &mut Signals,
    children: &mut Children,
) -> ProgramEnd {
    let mut child = match command(options, environment).spawn() {
        Ok(child) => child,
        Err(error) => {
            let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
            let code = if denied { exit::NOT_EXECUTABLE } else { exit::NOT_FOUND };
            let what = format!("cannot run {}: {error}", options.command[0]);
            complain(code, &what);
            return ProgramEnd::not_seen(How::NotRun(code, what));
        }
    };
    let output = Output::of(&mut child, options.output_limit);
    let mut end = follow(&mut child, options.stop_grace(), beats, signals, children).await;
    children.end().await;
    end.kept = output.end().await;
    end
}

fn command(options: &Options, environment: Vec<(String, String)>) -> Command {
    let mut command = Command::new(&options.command[0]);
    command.args(&options.command[1..]).envs(environment);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if options.private {
        let libpq = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.as_encoded_bytes().starts_with(b"PG"));
        for name in [contract::TOKEN.into(), contract::DATABASE_URL.into()].into_iter().chain(libpq) {
            command.env_remove(name);
        }
    }
    command
}

/// Until the program has ended. It stays in our process group, so that a signal of a terminal or to the group reaches it
/// too; other signals reach it through us.
async fn follow(
    child: &mut Child,
    grace: Duration,
    beats: &mut Beats,
    signals: &mut Signals,
    children: &mut Children,
) -> ProgramEnd {
    let mut end = ProgramEnd::not_seen(How::Code(0));
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let send = |signal: Signal| {
        if let Some(pid) = pid {
            let _ = kill(pid, signal);
        }
    };
    let reaping = children.reap(pid);
    tokio::pin!(reaping);
    let mut kill_at = None;
    let status = loop {
        tokio::select! {
            // First, so that a signal which reached the program too is known when its end is judged.
            biased;
            signal = signals.next() => {
                if is_stop(signal) {
                    end.told.get_or_insert(signal);
                    // To some programs a hang-up says "read your settings again".
                    if signal != Signal::SIGHUP {
                        kill_at.get_or_insert(Instant::now() + grace);
                    }
                }
                send(signal);
            }
            status = child.wait() => break status,
            over = beats.until_over(), if end.over.is_none() => {
                complain(exit::OVER, format_args!("stopping the program: {over}"));
                end.over = Some(over);
                kill_at.get_or_insert(Instant::now() + grace);
                send(Signal::SIGTERM);
            }
            () = wait_until(kill_at), if kill_at.is_some() && end.killed_after.is_none() => {
                end.killed_after = Some(grace);
                send(Signal::SIGKILL);
            }
            () = &mut reaping => {}
        }
    };
    end.how = how(status);
    end
}

async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn how(status: std::io::Result<ExitStatus>) -> How {
    match status {
        Ok(status) => match (status.signal(), status.code()) {
            (Some(number), _) => How::Signal(number),
            (None, code) => How::Code(code.unwrap_or(1)),
        },
        Err(error) => How::Unseen(error.to_string()),
    }
}
