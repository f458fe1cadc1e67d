//! `rowcall supervise`: the small process between the daemon and a task's program.
//!
//! It begins the program at most once per launch key, keeps the tail of its output, and writes down its end,
//! whether or not the daemon still lives. It runs before anything else of `rowcall` is set up, and uses plain
//! threads, because it is started for every attempt.

use std::ffi::OsString;
use std::io::PipeReader;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::attempt_dir::{AttemptDir, EndFile, Supervised};
use crate::crash::at;
use crate::output::{Tail, drain, secrets};
use crate::runners::boot_clock::BootInstant;

/// The first argument that makes `rowcall` a supervisor.
pub const SUBCOMMAND: &str = "supervise";

/// What a supervisor that is a program of its own must answer to `--version`: daemon and supervisor speak by arguments and a file,
/// whose forms may change with any version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long output may trickle in after the program has ended (from children it left behind).
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// The arguments of a supervisor, as the runner passes them.
#[must_use]
pub fn arguments(
    dir: &AttemptDir,
    work: &std::path::Path,
    output_limit: usize,
    until: Option<BootInstant>,
) -> Vec<OsString> {
    let until = until.map_or(FOR_EVER.to_owned(), |until| until.as_nanos().to_string());
    vec![SUBCOMMAND.into(), dir.path().into(), work.into(), output_limit.to_string().into(), until.into()]
}

/// The argument, instead of a time, of a program that may begin at any time.
const FOR_EVER: &str = "-";

/// Runs as a supervisor with the arguments after [`SUBCOMMAND`].
pub fn run(mut args: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let mut next = || args.next().context("supervise is started by the process runner, not by hand");
    let dir = AttemptDir::at(PathBuf::from(next()?));
    let work = PathBuf::from(next()?);
    let output_limit = next()?.to_str().and_then(|s| s.parse().ok()).context("output limit")?;
    let until = next()?;
    let until = match until.to_str() {
        Some(FOR_EVER) => None,
        nanos => {
            Some(nanos.and_then(|s| s.parse().ok()).map(BootInstant::from_nanos).context("launch limit")?)
        }
    };
    let program = next()?;

    let Some(supervised) = dir.lock()? else { return Ok(()) };
    // Only now: whatever held up the daemon or this process came before.
    if until.is_some_and(|until| BootInstant::now() > until) || !supervised.mark_started()? {
        return Ok(());
    }
    if let Err(error) = supervised.reserve_end() {
        let not_started = Some(format!("there is no room for its end in {}: {error}", dir.path().display()));
        let end =
            EndFile { exit_code: None, signal: None, not_started, output: String::new(), retryable: true };
        return Ok(supervised.write_end(&end, 0)?);
    }
    // One pipe for both streams, so that lines stay in the order in which they were printed.
    let (output, input) = std::io::pipe()?;
    let spawned = Command::new(&program)
        .args(args)
        .current_dir(&work)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input)
        .spawn();
    at("after", "the program was started");
    let (end, group) = match spawned {
        Ok(child) => {
            let group = child.id();
            (follow(&supervised, child, output, output_limit)?, group)
        }
        Err(e) => (
            EndFile {
                exit_code: None,
                signal: None,
                not_started: Some(format!("cannot start {} in {}: {e}", program.display(), work.display())),
                output: String::new(),
                retryable: false,
            },
            0,
        ),
    };
    Ok(supervised.write_end(&end, group)?)
}

fn follow(
    supervised: &Supervised,
    mut child: Child,
    output: PipeReader,
    output_limit: usize,
) -> anyhow::Result<EndFile> {
    let group = Pid::from_raw(i32::try_from(child.id())?);
    if let Err(error) = supervised.write_child(child.id()) {
        // The attempt was given up meanwhile: a program that cannot be found must not run.
        let _ = killpg(group, Signal::SIGKILL);
        return Err(error.into());
    }
    let tail = Arc::new(Mutex::new(Tail::new(output_limit)));
    let reader = {
        let tail = Arc::clone(&tail);
        std::thread::spawn(move || {
            drain(output, |bytes| tail.lock().unwrap_or_else(PoisonError::into_inner).push(bytes));
        })
    };

    let status = child.wait()?;
    // Processes that the program left running end with it, as they would in a container.
    let _ = killpg(group, Signal::SIGKILL);
    let deadline = Instant::now() + OUTPUT_GRACE;
    while !reader.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(EndFile {
        exit_code: status.code(),
        signal: status.signal(),
        not_started: None,
        output: tail.lock().unwrap_or_else(PoisonError::into_inner).masked(&secrets()),
        retryable: false,
    })
}
