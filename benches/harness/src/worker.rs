//! The runner: it does the harness's trivial work, a pause, within this process.
//!
//! A worker is gone with its process, and cannot be asked any more. So it never does what an earlier call may have done: it says
//! that this one is lost, and the dispatcher decides by the task's policy whether there is another attempt.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rowcall::job::{AttemptId, End, Launched, RunnerName};
use rowcall::parameters::{LaunchSpec, Task};
use rowcall::runners::boot_clock::BootInstant;
use rowcall::runners::{Attempt, Capabilities, Ends, Found, LaunchError, Observation, Runner, Stray};
use tokio::task::AbortHandle;

use crate::figures::Figures;
use crate::given::Given;
use crate::made_at;

/// The word by which the task asks for it. Any would do: none of Rowcall's own runners is built in.
pub const NAME: RunnerName = RunnerName::Docker;

/// Of short tasks so many are claimed ahead for each slot, and wait so long at most: as with the process runner.
const STOCK_PER_SLOT: usize = 4;
const STOCK_WAIT: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_millis(250);

/// In seconds, as everything here stops at once.
const STOP_LIMIT: Duration = Duration::from_secs(10);

const GONE: &str = "the worker that had it is gone";

/// Of one dispatcher.
pub struct Worker {
    ends: Ends,
    figures: Arc<Figures>,
    slots: usize,
    work: Duration,
    /// By which name its attempts are known in the database.
    label: String,
    runs: Runs,
}

type Runs = Arc<Mutex<HashMap<AttemptId, Run>>>;

/// What was launched here and is not forgotten yet.
struct Run {
    made_at: Option<SystemTime>,
    is_done: bool,
    work: AbortHandle,
}

impl Worker {
    /// With nothing to do yet.
    pub fn new(ends: &Ends, given: &Given, figures: &Arc<Figures>) -> Self {
        Self {
            ends: ends.clone(),
            figures: Arc::clone(figures),
            slots: given.workers,
            work: given.work,
            label: format!("replica {}, process {}", given.instance, std::process::id()),
            runs: Runs::default(),
        }
    }

    fn begin(&self, attempt: &Attempt) -> Run {
        let made_at = attempt.request.command.first().and_then(|rendered| made_at::read(rendered));
        if let Some(at) = made_at {
            self.figures.pickup.note(made_at::ago(at), 1);
        }
        let (id, pause, ends, runs) = (attempt.id, self.work, self.ends.clone(), Arc::clone(&self.runs));
        let work = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(run) = locked(&runs).get_mut(&id) {
                run.is_done = true;
            }
            // The receiver is gone where the dispatcher is.
            let _ = ends.send((id, End::exited(0)));
        });
        Run { made_at, is_done: false, work: work.abort_handle() }
    }
}

fn locked(runs: &Runs) -> MutexGuard<'_, HashMap<AttemptId, Run>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Runner for Worker {
    fn name(&self) -> RunnerName {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            capacity: self.slots,
            stock: STOCK_PER_SLOT * self.slots,
            short: SHORT,
            stock_wait: STOCK_WAIT,
            backlog: usize::MAX,
            // Any replica may say of another's attempt that it is lost.
            bound_to_host: false,
            repeatable: true,
            sees_ends: true,
            stop_limit: STOP_LIMIT,
        }
    }

    async fn place(&self) -> String {
        String::new()
    }

    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn freeze(&self, _request: &mut LaunchSpec) {}

    fn check(&self, _request: &LaunchSpec) -> Result<(), String> {
        Ok(())
    }

    fn may_launch(&self, _request: &LaunchSpec) -> Result<(), String> {
        Ok(())
    }

    async fn probe(&self, _request: &LaunchSpec) -> Result<String, String> {
        Ok(format!("it would be at work for {:?}", self.work))
    }

    async fn launch(
        &self,
        attempt: &Attempt,
        _contract: &[(String, String)],
    ) -> Result<Launched, LaunchError> {
        // Held until the run is in the map: its work may end at once.
        let mut runs = locked(&self.runs);
        if let Entry::Vacant(place) = runs.entry(attempt.id) {
            if attempt.in_doubt {
                return Err(LaunchError::Lost(GONE.to_owned()));
            }
            if attempt.launch_until.is_some_and(|until| BootInstant::now() >= until) {
                return Err(LaunchError::Busy("this process stood still just before the launch".to_owned()));
            }
            place.insert(self.begin(attempt));
        }
        Ok(Launched::running(&self.label))
    }

    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        let runs = locked(&self.runs);
        let look = |attempt: &Arc<Attempt>| match runs.get(&attempt.id) {
            Some(Run { is_done: true, .. }) => Observation::Ended(End::exited(0)),
            Some(_) => Observation::Running,
            None => Observation::Ended(End::lost(GONE)),
        };
        attempts.iter().map(look).collect()
    }

    async fn find(&self, attempt: &Attempt) -> Result<Found, String> {
        let is_here = locked(&self.runs).contains_key(&attempt.id);
        Ok(if is_here { Found::Running(self.label.clone()) } else { Found::Nothing })
    }

    async fn stop(&self, attempt: &Attempt, reason: &str) -> Result<(), String> {
        let mut runs = locked(&self.runs);
        if let Some(run) = runs.get(&attempt.id).filter(|run| !run.is_done) {
            run.work.abort();
            // Looked for again, it is not here.
            runs.remove(&attempt.id);
            let _ = self.ends.send((attempt.id, End::failed(format!("stopped: {reason}"))));
        }
        Ok(())
    }

    /// Only now is its job over in the database, which is when it counts as completed.
    async fn forget(&self, attempt: &Attempt) {
        let Some(run) = locked(&self.runs).remove(&attempt.id) else { return };
        if run.is_done {
            self.figures.completed(run.made_at.map(made_at::ago));
        }
    }

    async fn strays(&self, _prefix: &str, _tasks: &[&Task]) -> Vec<Stray> {
        Vec::new()
    }

    async fn discard(&self, _stray: &Stray) {}
}
