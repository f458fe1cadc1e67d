//! `rowcall-task exec -- program args…`: runs a program that knows nothing of Rowcall as the executor of an
//! attempt. It starts the attempt, sends heartbeats, forwards signals, passes output through while keeping its
//! tail, reports the end, and leaves with the program's exit code.
//!
//! The database may go away while the program runs: the program is not disturbed, and the report is repeated
//! until it is heard or a limit is over. If the database says that the attempt is over, the program is stopped.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::signals::{Signals, is_stop};
use super::{ReportError, Reporter, Tail, password};
use crate::database::parse_url;

/// The command line or the environment is wrong (`EX_USAGE`).
pub const EXIT_USAGE: i32 = 64;
/// The database could not be reached: the program was not started, or its end not reported (`EX_UNAVAILABLE`).
pub const EXIT_UNAVAILABLE: i32 = 69;
/// The attempt is over or another's; the program was not started, or stopped (`EX_NOPERM`).
pub const EXIT_REFUSED: i32 = 77;
/// As a shell reports a program that it may not run, and one that it cannot find.
const EXIT_NOT_EXECUTABLE: i32 = 126;
const EXIT_NOT_FOUND: i32 = 127;

/// From SIGTERM to SIGKILL for a program whose attempt is over.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long output may trickle in after the program has ended.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// What is kept of standard output for finding the result in its last line.
const RESULT_LIMIT: usize = 1 << 20;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Between two heartbeats.
    pub heartbeat_interval: Duration,
    /// How long to try to reach the database before the program is started.
    pub start_limit: Duration,
    /// How long to try to report the end.
    pub report_limit: Duration,
    /// Bytes of output kept for the report of a failure.
    pub output_limit: usize,
    /// Exit codes after which trying again is pointless.
    pub no_retry: Vec<i32>,
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// Runs, and returns the exit code for this process.
pub async fn run(options: Options) -> i32 {
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let (Some(token), Some(url)) = (variable("ROWCALL_TOKEN"), variable("ROWCALL_DATABASE_URL")) else {
        return complain(
            EXIT_USAGE,
            "ROWCALL_TOKEN and ROWCALL_DATABASE_URL must be set; the dispatcher sets them for a task it launches \
             (the second only if its setting tasks.database_url is filled)",
        );
    };
    let config = match parse_url(&url) {
        Ok(config) => config,
        Err(error) => return complain(EXIT_USAGE, format_args!("ROWCALL_DATABASE_URL: {error}")),
    };
    let secrets = [Some(token.clone()), Some(url.clone()), password(&url)];
    let for_psql = libpq_variables(&config);
    let mut reporter = Reporter::new(config, token);
    let executor = format!("rowcall-task {:032x}", rand::random::<u128>());
    let mut signals = Signals::listen();
    let started = tokio::select! {
        started = reporter.start(&executor, options.start_limit) => started,
        signal = signals.next_stop() => {
            return complain(128 + signal as i32, format_args!("the program was not started: {signal}"));
        }
    };
    match started {
        Ok(()) => {}
        Err(error @ ReportError::Unreachable { .. }) => {
            return complain(EXIT_UNAVAILABLE, format_args!("the program was not started: {error}"));
        }
        Err(error) => return complain(EXIT_REFUSED, format_args!("the program was not started: {error}")),
    }
    let (reporter, end) = execute(&options, reporter, &mut signals, for_psql).await;
    report(&options, reporter, end, &secrets).await
}

/// How the program ended.
struct ProgramEnd {
    exit_code: i32,
    what: String,
    stdout: Tail,
    output: Tail,
    /// Somebody asked it to end before it did.
    told: Option<Signal>,
    /// The database said that the attempt is over.
    over: Option<String>,
}

/// The database in libpq's own variables, so that `psql` and most drivers reach it without a connection string
/// on their command line, where every user of the machine could read the password. What is set already stays.
fn libpq_variables(config: &tokio_postgres::Config) -> Vec<(&'static str, String)> {
    use tokio_postgres::config::Host;
    let host = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let values = [
        ("PGHOST", host),
        ("PGPORT", config.get_ports().first().map(ToString::to_string)),
        ("PGUSER", config.get_user().map(str::to_owned)),
        ("PGPASSWORD", config.get_password().map(|p| String::from_utf8_lossy(p).into_owned())),
        ("PGDATABASE", config.get_dbname().map(str::to_owned)),
    ];
    if values.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return Vec::new();
    }
    values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

async fn execute(
    options: &Options,
    mut reporter: Reporter,
    signals: &mut Signals,
    for_psql: Vec<(&'static str, String)>,
) -> (Reporter, ProgramEnd) {
    let output = Arc::new(Mutex::new(Tail::new(options.output_limit)));
    let stdout = Arc::new(Mutex::new(Tail::new(RESULT_LIMIT)));
    let mut end = ProgramEnd {
        exit_code: EXIT_NOT_FOUND,
        what: String::new(),
        stdout: Tail::new(0),
        output: Tail::new(0),
        told: None,
        over: None,
    };
    let spawned = Command::new(&options.command[0])
        .args(&options.command[1..])
        .envs(for_psql)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            if error.kind() == std::io::ErrorKind::PermissionDenied {
                end.exit_code = EXIT_NOT_EXECUTABLE;
            }
            end.what = format!("cannot run {}: {error}", options.command[0]);
            complain(end.exit_code, &end.what);
            return (reporter, end);
        }
    };
    let mut copies = Vec::new();
    if let Some(stream) = child.stdout.take() {
        copies.push(pass_on(stream, tokio::io::stdout(), vec![Arc::clone(&output), Arc::clone(&stdout)]));
    }
    if let Some(stream) = child.stderr.take() {
        copies.push(pass_on(stream, tokio::io::stderr(), vec![Arc::clone(&output)]));
    }
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);

    let status = {
        let heartbeats = heartbeats(&mut reporter, options.heartbeat_interval);
        tokio::pin!(heartbeats);
        loop {
            tokio::select! {
                // First, so that a signal which reached the program too is known when its end is judged.
                biased;
                signal = signals.next() => {
                    if is_stop(signal) {
                        end.told.get_or_insert(signal);
                    }
                    if let Some(pid) = pid {
                        let _ = kill(pid, signal);
                    }
                }
                status = child.wait() => break status,
                over = &mut heartbeats => {
                    complain(EXIT_REFUSED, format_args!("stopping the program: {over}"));
                    end.over = Some(over);
                    break stop(&mut child, pid).await;
                }
            }
        }
    };
    let _ = tokio::time::timeout(OUTPUT_GRACE, futures_util::future::join_all(copies)).await;
    match status {
        Ok(status) => {
            use std::os::unix::process::ExitStatusExt as _;
            if let Some(number) = status.signal() {
                let name = Signal::try_from(number).map_or("", Signal::as_str);
                end.exit_code = 128 + number;
                end.what = format!("stopped by signal {}", format!("{number} {name}").trim_end());
            } else {
                end.exit_code = status.code().unwrap_or(1);
                end.what = format!("exit code {}", end.exit_code);
            }
        }
        Err(error) => end.what = format!("the program's end could not be seen: {error}"),
    }
    std::mem::swap(&mut end.output, &mut output.lock().unwrap_or_else(PoisonError::into_inner));
    std::mem::swap(&mut end.stdout, &mut stdout.lock().unwrap_or_else(PoisonError::into_inner));
    (reporter, end)
}

/// Sends heartbeats until the database says that the attempt is over. Nothing else disturbs the program.
async fn heartbeats(reporter: &mut Reporter, interval: Duration) -> String {
    let mut away = false;
    loop {
        tokio::time::sleep(interval).await;
        match reporter.heartbeat(interval).await {
            Ok(()) => away = false,
            Err(ReportError::Leave(reason)) => return reason,
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    eprintln!("rowcall-task: a heartbeat did not arrive, the program goes on: {error}");
                }
            }
        }
    }
}

async fn stop(child: &mut Child, pid: Option<Pid>) -> std::io::Result<std::process::ExitStatus> {
    if let Some(pid) = pid {
        let _ = kill(pid, Signal::SIGTERM);
    }
    match tokio::time::timeout(STOP_GRACE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.start_kill()?;
            child.wait().await
        }
    }
}

/// Copies a stream through, keeping tails of it.
fn pass_on(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    tails: Vec<Arc<Mutex<Tail>>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = vec![0; 8192];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            for tail in &tails {
                tail.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..n]);
            }
            // Where output goes may be closed; the program's work does not depend on it.
            let _ = to.write_all(&buffer[..n]).await;
            let _ = to.flush().await;
        }
    })
}

/// Tells the database, and decides this process' exit code.
async fn report(
    options: &Options,
    mut reporter: Reporter,
    end: ProgramEnd,
    secrets: &[Option<String>],
) -> i32 {
    if let Some(over) = end.over {
        return complain(EXIT_REFUSED, over);
    }
    let result = result_line(&end.stdout.text());
    let mut outcome = if let (0, Some(signal), None) = (end.exit_code, end.told, &result) {
        // A program that ends well because it was told to has not done its work, unless it shows a result.
        let message = format!("told to stop by {signal}, then exit code 0");
        reporter.fail(&message, &Value::Null, true, options.report_limit).await
    } else if end.exit_code == 0 {
        reporter.succeed(result.as_ref(), options.report_limit).await
    } else {
        let output = end.output.masked(secrets);
        let last_line = output.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let message = last_line.map_or(end.what.clone(), |line| format!("{}: {line}", end.what));
        let detail = json!({ "exit_code": end.exit_code, "output": output });
        reporter
            .fail(&message, &detail, !options.no_retry.contains(&end.exit_code), options.report_limit)
            .await
    };
    if let (Err(ReportError::Refused(reason)), 0) = (&outcome, end.exit_code) {
        // The work is done but its result was not taken: that is a failure with a reason, not silence.
        let message = format!("the result was refused: {reason}");
        complain(1, &message);
        outcome = reporter.fail(&message, &Value::Null, true, options.report_limit).await;
        if outcome.is_ok() {
            return 1;
        }
    }
    match outcome {
        // A program that reported by itself knows best.
        Ok(()) | Err(ReportError::AlreadyReported(_)) => end.exit_code,
        Err(error @ ReportError::Unreachable { .. }) => {
            complain(EXIT_UNAVAILABLE, format_args!("the end ({}) was not reported: {error}", end.what))
        }
        Err(error) => complain(EXIT_REFUSED, format_args!("the end ({}) was not taken: {error}", end.what)),
    }
}

/// A program's result is its last line of standard output, if that is a JSON object.
fn result_line(stdout: &str) -> Option<Value> {
    let line = stdout.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    serde_json::from_str::<Value>(line).ok().filter(Value::is_object)
}

fn complain(exit_code: i32, what: impl std::fmt::Display) -> i32 {
    eprintln!("rowcall-task: {what}");
    exit_code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_the_last_line_if_it_is_a_json_object() {
        assert_eq!(result_line("log\n{\"n\": 1}\n\n"), Some(json!({"n": 1})));
        assert_eq!(result_line("{\"n\": 1}\ndone\n"), None);
        assert_eq!(result_line("3\n"), None);
        assert_eq!(result_line(""), None);
    }
}
