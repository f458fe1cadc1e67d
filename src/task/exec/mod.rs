//! `rowcall-task exec -- program args…`: runs a program that knows nothing of Rowcall as the executor of an
//! attempt. It starts the attempt, sends heartbeats, forwards signals, passes output through while keeping its
//! tail, reports the end, and leaves with the program's exit code.
//!
//! The database may go away while the program runs: the program is not disturbed, and the report is repeated
//! until it is heard or a limit is over. If the database says that the attempt is over, the program is stopped.

mod around;
mod beats;
mod children;
mod libpq;
mod locally;
mod options;
mod outcome;
mod output;
mod place;
mod program;
mod progress;
mod report;
mod result;

pub use options::Options;

use std::path::PathBuf;

use around::Around;
use beats::{Beats, Interruption};
use children::Children;
use nix::sys::prctl::set_dumpable;
use outcome::Outcome;
use place::Place;
use progress::{PROGRESS_FILE, Progress};
use report::{Ended, report};
use result::RESULT_FILE;
use tokio::time::timeout;

use super::exit::{self, complain};
use super::files::Local;
use super::signals::Signals;
use super::{ReportError, Started, contract, executor, whereabouts};
use crate::crash;
use crate::output::secrets_and;

/// Runs, and returns the exit code for this process.
pub async fn run(options: Options) -> i32 {
    if let Some(local) = Local::asked() {
        return locally::run(&options, local).await;
    }
    let (mut reporter, connector) = match contract::reporter() {
        Ok(both) => both,
        Err(problem) => return complain(exit::USAGE, problem),
    };
    let place = Place::find();
    let files = match Files::new(&options, place.as_ref()) {
        Ok(files) => files,
        Err(problem) => return complain(exit::USAGE, problem),
    };
    let progress = Progress::new(files.progress.clone());
    let mut around = match Around::new(&options, None, progress.saying.clone()) {
        Ok(around) => around,
        Err(problem) => return complain(exit::USAGE, problem),
    };
    if options.private {
        // Other processes of the same user cannot read our environment then, with the token in it.
        let _ = set_dumpable(false);
    }
    let children = Children::adopt();
    let mut signals = Signals::listen();
    let executor = executor::fresh();
    let starting = async {
        let task_arn = whereabouts::task_arn().await;
        reporter.start(&executor, task_arn.as_deref(), options.start_limit).await
    };
    let (started, stopped) = {
        tokio::pin!(starting);
        tokio::select! {
            started = &mut starting => (started, None),
            // The database may have heard us already, and then waits for our end.
            signal = signals.next_stop() => match timeout(options.stop_grace(), starting).await {
                Ok(started) => (started, Some(signal)),
                Err(_) => return complain(128 + signal as i32, format_args!("the program was not started: {signal}")),
            }
        }
    };
    let started = match started {
        Ok(started) => started,
        Err(error @ ReportError::Unreachable { .. }) => {
            return complain(exit::UNAVAILABLE, format_args!("the program was not started: {error}"));
        }
        Err(error) => return complain(exit::OVER, format_args!("the program was not started: {error}")),
    };
    if let Some(signal) = stopped {
        return report(&mut reporter, Ended::before(Outcome::stopped(signal)), options.stop_grace()).await;
    }

    let mut environment = files.environment();
    environment.push((executor::EXECUTOR.to_owned(), executor));
    if !options.private {
        environment.extend(libpq::variables(&connector).await);
    }
    let mut beats = Beats::new(Some(reporter), progress, options.heartbeat_interval);
    let mut run = Run { options: &options, files: &files, beats: &mut beats, signals, children };
    let ended = run.program(&mut around, &started, environment).await;
    let Run { mut signals, .. } = run;
    let code = match &mut beats.reporter {
        Some(reporter) => {
            let told = report(reporter, ended, options.report_limit);
            tokio::pin!(told);
            tokio::select! {
                code = &mut told => code,
                // The sender of the signal kills us soon, and then nothing is tidied.
                signal = signals.next_stop() => timeout(options.stop_grace(), told).await.unwrap_or_else(|_| {
                    complain(exit::UNAVAILABLE, format_args!("{signal}: the end is not reported any more"))
                }),
            }
        }
        None => locally::tell(ended),
    };
    around.clean_up().await;
    code
}

/// By which the program tells us something.
struct Files {
    progress: Option<PathBuf>,
    result: Option<PathBuf>,
}

impl Files {
    /// Where the program finds none of the old result.
    fn new(options: &Options, place: Option<&Place>) -> Result<Self, String> {
        if place.is_none() {
            eprintln!("rowcall-task: no directory can be written to; {PROGRESS_FILE} is not set");
        }
        if let Some(path) = &options.result_file {
            crash::at("before", "an old result is removed");
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("the result file {} cannot be replaced: {error}", path.display()));
                }
                _ => {}
            }
            crash::at("after", "an old result is removed");
        }
        let of = |name| place.map(|place| place.file(name));
        Ok(Self { progress: of("progress"), result: options.result_file.clone().or_else(|| of("result")) })
    }

    fn environment(&self) -> Vec<(String, String)> {
        [(PROGRESS_FILE, &self.progress), (RESULT_FILE, &self.result)]
            .into_iter()
            .filter_map(|(name, path)| Some((name.to_owned(), path.as_ref()?.to_str()?.to_owned())))
            .collect()
    }
}

/// All that goes on while there is something to do.
struct Run<'a> {
    options: &'a Options,
    files: &'a Files,
    beats: &'a mut Beats,
    signals: Signals,
    children: Children,
}

impl Run<'_> {
    /// What comes before the program, the program, and what comes after it.
    async fn program(
        &mut self,
        around: &mut Around,
        started: &Started,
        mut environment: Vec<(String, String)>,
    ) -> Ended {
        match self.beats.during(&mut self.signals, around.prepare(started)).await {
            Ok(Ok(extra)) => environment.extend(extra.environment),
            Ok(Err(failure)) => return Ended::before(Outcome::failed(failure)),
            Err(interruption) => return interrupted(interruption),
        }
        let Self { options, beats, signals, children, .. } = self;
        let secrets = secrets_and(&environment);
        let end = program::run(options, environment, beats, signals, children).await;
        if let Some(over) = end.over {
            return Ended::Over(over);
        }
        let (result, remark) = result::find(self.files.result.as_deref(), &end.kept.last_line);
        if let (Some(remark), 0) = (remark, end.exit_code()) {
            eprintln!("rowcall-task: {remark}");
            beats.remark(&remark).await;
        }
        let outcome = Outcome::of(&end, result, &options.no_retry, &secrets);
        let what = outcome::what(&end);
        let outcome = match outcome {
            Outcome::Succeeded(result) => {
                match self.beats.during(&mut self.signals, around.conclude(result)).await {
                    Ok(Ok(result)) => Outcome::Succeeded(result),
                    Ok(Err(failure)) => Outcome::failed(failure),
                    Err(interruption) => return interrupted(interruption),
                }
            }
            failed @ Outcome::Failed { .. } => failed,
        };
        Ended::Here { outcome, what }
    }
}

fn interrupted(interruption: Interruption) -> Ended {
    match interruption {
        Interruption::Signal(signal) => Ended::before(Outcome::stopped(signal)),
        Interruption::Over(over) => Ended::Over(over),
    }
}
