//! Attempts as processes of this machine.
//!
//! The daemon does not run the program itself: a supervisor does (`supervise`), in a process group of its
//! own, and leaves the end in the attempt's directory. So a daemon that is killed or replaced loses nothing:
//! its successor on the same machine adopts what still runs and reads what has ended. Only a supervisor that
//! is itself killed leaves no end; then what it left running is killed and the attempt declared lost.

mod attempt_dir;
mod place;
mod rails;
mod strays;
pub mod supervise;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::in_time::in_time;
use super::lengths::check_lengths;
use super::rails::check_environment;
use super::{Attempt, Capabilities, Ends, Found, LaunchError, Launched, Observation, Runner, Stray};
use crate::job::{End, RunnerName};
use crate::parameters::{LaunchSpec, Task};
use crate::settings::ProcessSettings;
use attempt_dir::{AttemptDir, Life};
use place::Place;

/// A supervisor that has not begun by then never will.
const BEGIN_GRACE: Duration = Duration::from_secs(10);

/// Of a task whose median run is shorter, attempts are claimed ahead: the time between an end and the next start counts.
const SHORT: Duration = Duration::from_millis(250);

/// For each slot so many at most: the last of them waits for a second. With one for each slot and two slots, programs that do nothing
/// were claimed and settled so few at a time that a sixth less of them ran.
const STOCK_PER_SLOT: usize = 4;

/// How long an attempt that was claimed ahead waits for its slot: twice as long as those before it should take.
const STOCK_WAIT: Duration = Duration::from_secs(2);

/// From SIGKILL, which follows SIGTERM by itself after the grace, to the end that the supervisor writes down.
const AFTER_GRACE: Duration = Duration::from_mins(2);

/// Runs programs from an allow-list. Its attempts can be seen on this machine only.
#[derive(Debug)]
pub struct ProcessRunner {
    settings: ProcessSettings,
    /// `rowcall-supervisor`, or the `rowcall` binary, which can do its work.
    supervisor: PathBuf,
    ends: Ends,
    place: Place,
}

impl ProcessRunner {
    /// Checks the state directory, so that a daemon which could not follow its processes does not begin.
    pub fn new(settings: &ProcessSettings, ends: Ends) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        Self::with_supervisor(settings, ends, supervisor(own))
    }

    /// The same with the supervising binary named; for programs other than `rowcall` that use this library.
    pub fn with_supervisor(
        settings: &ProcessSettings,
        ends: Ends,
        supervisor: PathBuf,
    ) -> anyhow::Result<Self> {
        let state_dir = &settings.state_dir;
        AttemptDir::new(state_dir, ".probe")
            .create(true)
            .and_then(|()| AttemptDir::new(state_dir, ".probe").remove())
            .with_context(|| {
                format!(
                    "runners.process.state_dir {}: name a directory this user may write",
                    state_dir.display()
                )
            })?;
        let place = Place::of(state_dir)?;
        Ok(Self { settings: settings.clone(), supervisor, ends, place })
    }

    fn dir(&self, attempt: &Attempt) -> AttemptDir {
        AttemptDir::new(&self.settings.state_dir, &attempt.launch_key)
    }

    fn working_directory(&self, dir: &AttemptDir) -> PathBuf {
        if self.settings.working_directory.as_os_str().is_empty() {
            dir.path().to_owned()
        } else {
            self.settings.working_directory.clone()
        }
    }
}

/// The small supervisor that is installed beside this program, if it is of this version; else this program itself, which takes longer
/// to start and does the same.
fn supervisor(own: PathBuf) -> PathBuf {
    let small = own.with_file_name("rowcall-supervisor");
    let told = std::process::Command::new(&small).arg("--version").stdin(Stdio::null()).output();
    match told {
        Ok(told) if told.stdout.trim_ascii() == supervise::VERSION.as_bytes() => small,
        Ok(_) => {
            tracing::warn!(
                supervisor = %small.display(),
                "it is of another version, so rowcall supervises its processes itself: install both together"
            );
            own
        }
        Err(_) => own,
    }
}

/// Reads what became of an attempt from its directory.
fn look(attempt: &Attempt, dir: &AttemptDir) -> Observation {
    if let Some(end) = dir.end() {
        return Observation::Ended(end);
    }
    match dir.life() {
        Ok(Life::Supervised) => Observation::Running,
        // Written between our two looks, perhaps.
        Ok(Life::Ended) => match dir.end() {
            Some(end) => Observation::Ended(end),
            None => {
                let killed = strays::kill(attempt);
                let also = if killed > 0 { " and was stopped" } else { "" };
                let why = if dir.child().is_some() || killed > 0 {
                    "its supervisor was killed, or could not write down its end"
                } else {
                    "its supervisor left without a word: is the disk of runners.process.state_dir full?"
                };
                Observation::Ended(End::lost(format!("{why}; its program is lost{also}")))
            }
        },
        Ok(Life::NotBegun) => {
            if dir.age().is_some_and(|age| age > BEGIN_GRACE) && dir.give_up().is_ok_and(|first| first) {
                Observation::Ended(End::not_started("its supervisor did not begin", true))
            } else {
                Observation::Running
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Observation::Ended(End::lost(
            "this machine knows nothing of it (another machine, or its state was removed)",
        )),
        Err(e) => Observation::Unknown(format!("{}: {e}", dir.path().display())),
    }
}

#[async_trait]
impl Runner for ProcessRunner {
    fn name(&self) -> RunnerName {
        RunnerName::Process
    }

    fn capabilities(&self) -> Capabilities {
        let capacity = match self.settings.max_running {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            limit => limit,
        };
        Capabilities {
            capacity,
            stock: STOCK_PER_SLOT * capacity,
            short: SHORT,
            stock_wait: STOCK_WAIT,
            backlog: usize::MAX,
            bound_to_host: true,
            repeatable: true,
            sees_ends: true,
            stop_limit: self.settings.stop_grace + AFTER_GRACE,
        }
    }

    /// Its state directory: what runs is known there and nowhere else.
    async fn place(&self) -> String {
        self.place.id().to_owned()
    }

    fn show_life(&self, label: &str) {
        if let Err(error) = self.place.show_life(label) {
            tracing::warn!(%error, "cannot show others on this machine that this dispatcher lives");
        }
    }

    fn hide_life(&self, label: &str) {
        self.place.hide_life(label);
    }

    fn is_gone(&self, label: &str) -> bool {
        self.place.is_gone(label)
    }

    /// The state directory was checked when this runner was made.
    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// Nothing: an attempt never leaves its machine, and the paths in its request mean the same to every dispatcher there.
    fn freeze(&self, _request: &mut LaunchSpec) {}

    fn check(&self, request: &LaunchSpec) -> Result<(), String> {
        if let Some(key) = request.settings.as_object().and_then(|s| s.keys().next()) {
            return Err(format!("settings.{key}: the process runner takes no settings"));
        }
        self.may_launch(request)
    }

    fn may_launch(&self, request: &LaunchSpec) -> Result<(), String> {
        check_lengths(request)?;
        check_environment(self.name(), request.environment.keys(), &self.settings.environment)?;
        let (target, command) = (request.target.clone(), request.command.clone());
        let programs = self.settings.programs.clone();
        in_time(Path::new(&request.target), move || rails::check_command(&target, &command, &programs))
    }

    /// The program is here, and may be run: that is all there is to find out.
    async fn probe(&self, request: &LaunchSpec) -> Result<String, String> {
        self.check(request)?;
        Ok(format!("{} may be run", request.target))
    }

    async fn launch(
        &self,
        attempt: &Attempt,
        contract: &[(String, String)],
    ) -> Result<Launched, LaunchError> {
        let refused = |what: String| LaunchError::refused(what, true);
        let dir = self.dir(attempt);
        let starts_there = self.settings.working_directory.as_os_str().is_empty();
        dir.create(starts_there)
            .map_err(|e| refused(format!("cannot make {}: {e}", dir.path().display())))?;

        let passed = self
            .settings
            .pass_environment
            .iter()
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
        let mut child = tokio::process::Command::new(&self.supervisor)
            .args(supervise::arguments(
                &dir,
                &self.working_directory(&dir),
                self.settings.output_limit,
                attempt.launch_until,
            ))
            .arg(&attempt.request.target)
            .args(&attempt.request.command)
            .env_clear()
            .envs(passed)
            .envs(&attempt.request.environment)
            .envs(contract.iter().map(|(name, value)| (name, value)))
            .env(strays::LAUNCH, &attempt.launch_key)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| refused(format!("cannot start a process: {e}")))?;
        let external_id = format!("pid {}", child.id().unwrap_or_default());

        let (ends, attempt) = (self.ends.clone(), attempt.clone());
        tokio::spawn(async move {
            // The end of the supervisor itself says nothing; the files that it left do.
            let _ = child.wait().await;
            if let Observation::Ended(end) = look(&attempt, &dir) {
                // The receiver is gone when the daemon is on its way out; the directory stays.
                let _ = ends.send((attempt.id, end));
            }
        });
        Ok(Launched::running(external_id))
    }

    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        attempts.iter().map(|attempt| look(attempt, &self.dir(attempt))).collect()
    }

    async fn find(&self, attempt: &Attempt) -> Result<Found, String> {
        let dir = self.dir(attempt);
        let found =
            Found::Running(dir.child().map_or_else(|| "its supervisor".to_owned(), |id| format!("pid {id}")));
        match dir.life() {
            // The end of one that has run is seen by looking.
            Ok(Life::Supervised | Life::Ended) => Ok(found),
            Ok(Life::NotBegun) => match dir.give_up() {
                Ok(true) => Ok(Found::Nothing),
                Ok(false) => Ok(found),
                Err(e) => Err(format!("{}: {e}", dir.path().display())),
            },
            // The file is made before anything is started.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(e) => Err(format!("{}: {e}", dir.path().display())),
        }
    }

    async fn stop(&self, attempt: &Attempt, _reason: &str) -> Result<(), String> {
        let dir = self.dir(attempt);
        let signal = |signal: Signal, dir: &AttemptDir| match (dir.life(), dir.child()) {
            // The supervisor lives, so the group it began is still the one it noted.
            (Ok(Life::Supervised), Some(group)) => {
                killpg(Pid::from_raw(group), signal).map_err(|e| e.to_string())
            }
            _ => Ok(()),
        };
        signal(Signal::SIGTERM, &dir)?;
        let grace = self.settings.stop_grace;
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            // Gone already is what we want.
            let _ = signal(Signal::SIGKILL, &dir);
        });
        Ok(())
    }

    async fn forget(&self, attempt: &Attempt) {
        let dir = self.dir(attempt);
        // Settled without having ended: once the directory is gone, the program could not be found any more.
        let is_supervised = || dir.life().is_ok_and(|life| life == Life::Supervised);
        if is_supervised() {
            let mut patience = 100;
            // Its supervisor notes the program's group just after it has started it.
            let mut group = dir.child();
            while group.is_none() && patience > 0 && is_supervised() {
                patience -= 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
                group = dir.child();
            }
            if let Some(group) = group {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            // Its supervisor writes down the end, which would get between us and an empty directory.
            while patience > 0 && is_supervised() {
                patience -= 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        if let Err(error) = dir.remove() {
            tracing::warn!(attempt = attempt.id.get(), %error, "cannot remove an attempt's directory");
        }
    }

    async fn strays(&self, prefix: &str, _tasks: &[&Task]) -> Vec<Stray> {
        strays::strays(&self.settings.state_dir, prefix)
    }

    async fn discard(&self, stray: &Stray) {
        strays::discard(stray);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_small_supervisor_of_the_same_version_is_used() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("rowcall");
        let small = place.path().join("rowcall-supervisor");
        assert_eq!(supervisor(own.clone()), own, "there is none");
        for (version, used) in [(supervise::VERSION, &small), ("0.0.1", &own)] {
            // Made beside and moved: a file that is still open for writing cannot be run.
            let draft = place.path().join("draft");
            std::fs::write(&draft, format!("#!/bin/sh\necho {version}\n")).unwrap();
            std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o700)).unwrap();
            std::fs::rename(&draft, &small).unwrap();
            assert_eq!(supervisor(own.clone()), *used, "{version}");
        }
    }
}
