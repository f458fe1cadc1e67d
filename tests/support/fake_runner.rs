//! A runner whose attempts live in memory and end when the test says so. It takes the name of a runner that the schema
//! knows, `docker` unless a test says otherwise, and the place of that runner.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rowcall::job::{AttemptId, End, RunnerName};
use rowcall::parameters::{LaunchSpec, Task};
use rowcall::runners::{
    Attempt, Capabilities, Ends, Found, LaunchError, Launched as Taken, Observation, Runner, Stray,
};
use tokio::sync::{Notify, Semaphore, mpsc};

/// A launch as the test sees it.
#[derive(Debug, Clone)]
pub struct Launched {
    pub attempt: Attempt,
    pub token: String,
}

type Answer = Box<dyn Fn(&Attempt) -> Result<(), LaunchError> + Send + Sync>;

/// Shared between the test and any number of dispatchers, as a container engine would be.
#[derive(Default)]
pub struct World {
    ended: Mutex<HashMap<String, Option<End>>>,
    pub launches: Mutex<Vec<String>>,
    pub stops: Mutex<Vec<(AttemptId, String)>>,
    changed: Notify,
    answer: Mutex<Option<Answer>>,
    /// So many launches start their task, but their answer gets lost on the way back.
    pub lost_answers: AtomicUsize,
    /// Launches wait here, before anything runs.
    pub gate: Mutex<Option<Arc<Semaphore>>>,
    /// Answers wait here, after the task has started.
    pub answers: Mutex<Option<Arc<Semaphore>>>,
}

/// One dispatcher's door to the world.
pub struct FakeRunner {
    pub name: RunnerName,
    pub world: Arc<World>,
    pub capacity: usize,
    pub stock: usize,
    pub short: Duration,
    pub stock_wait: Duration,
    /// The target that its rails forbid.
    pub forbids: &'static str,
    pub ends: Ends,
    pub launched: mpsc::UnboundedSender<Launched>,
}

impl World {
    /// Decides what the next launches are answered with.
    pub fn answer(&self, answer: impl Fn(&Attempt) -> Result<(), LaunchError> + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Some(Box::new(answer));
    }

    /// Ends an attempt; dispatchers see it at their next look.
    pub fn end(&self, attempt: &Attempt, end: End) {
        self.ended.lock().unwrap().insert(attempt.launch_key.clone(), Some(end));
    }

    /// Waits until somebody has asked for a launch, granted or not.
    pub async fn asked(&self) {
        self.until(|| !self.launches.lock().unwrap().is_empty()).await;
    }

    /// Waits until so many launches and one more were asked for, granted or not.
    pub async fn asked_more_than(&self, launches: usize) {
        self.until(|| self.launches.lock().unwrap().len() > launches).await;
    }

    /// Waits until this attempt's stop was asked for.
    pub async fn stopped(&self, id: AttemptId) {
        self.until(|| self.stops.lock().unwrap().iter().any(|(stopped, _)| *stopped == id)).await;
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if condition() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it did not happen");
    }

    /// How many different launches there were.
    pub fn distinct_launches(&self) -> usize {
        self.ended.lock().unwrap().len()
    }
}

#[async_trait]
impl Runner for FakeRunner {
    fn name(&self) -> RunnerName {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            capacity: self.capacity,
            stock: self.stock,
            short: self.short,
            stock_wait: self.stock_wait,
            backlog: usize::MAX,
            bound_to_host: false,
            repeatable: true,
            sees_ends: true,
            stop_limit: Duration::from_mins(2),
        }
    }

    async fn place(&self) -> String {
        String::new()
    }

    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn freeze(&self, _request: &mut LaunchSpec) {}

    fn check(&self, request: &LaunchSpec) -> Result<(), String> {
        if request.target == self.forbids {
            return Err(format!("target {} is not among the images this dispatcher may run", self.forbids));
        }
        Ok(())
    }

    fn may_launch(&self, request: &LaunchSpec) -> Result<(), String> {
        self.check(request)
    }

    async fn probe(&self, request: &LaunchSpec) -> Result<String, String> {
        self.check(request).map(|()| "the fake world runs anything".to_owned())
    }

    async fn launch(&self, attempt: &Attempt, contract: &[(String, String)]) -> Result<Taken, LaunchError> {
        self.world.launches.lock().unwrap().push(attempt.launch_key.clone());
        self.world.changed.notify_waiters();
        if let Some(answer) = &*self.world.answer.lock().unwrap() {
            answer(attempt)?;
        }
        let gate = self.world.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let first = {
            let mut ended = self.world.ended.lock().unwrap();
            let first = !ended.contains_key(&attempt.launch_key);
            ended.entry(attempt.launch_key.clone()).or_insert(None);
            first
        };
        if first {
            let token = contract.iter().find(|(name, _)| name == "ROWCALL_TOKEN").unwrap().1.clone();
            let _ = self.launched.send(Launched { attempt: attempt.clone(), token });
        }
        let answers = self.world.answers.lock().unwrap().clone();
        if let Some(answers) = answers {
            answers.acquire().await.unwrap().forget();
        }
        let lost =
            self.world.lost_answers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if lost.is_ok() {
            return Err(LaunchError::Ambiguous("the answer was lost".to_owned()));
        }
        Ok(Taken::running(format!("fake {}", attempt.launch_key)))
    }

    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        let ended = self.world.ended.lock().unwrap();
        attempts
            .iter()
            .map(|attempt| match ended.get(&attempt.launch_key) {
                Some(Some(end)) => Observation::Ended(end.clone()),
                Some(None) => Observation::Running,
                None => Observation::Ended(End::lost("the fake world knows nothing of it")),
            })
            .collect()
    }

    async fn find(&self, attempt: &Attempt) -> Result<Found, String> {
        Ok(match self.world.ended.lock().unwrap().get(&attempt.launch_key) {
            Some(None) => Found::Running(format!("fake {}", attempt.launch_key)),
            _ => Found::Nothing,
        })
    }

    async fn stop(&self, attempt: &Attempt, reason: &str) -> Result<(), String> {
        self.world.stops.lock().unwrap().push((attempt.id, reason.to_owned()));
        self.world.changed.notify_waiters();
        let mut end = End::exited(143);
        end.reason = Some("killed by signal 15 SIGTERM".to_owned());
        self.world.end(attempt, end.clone());
        let _ = self.ends.send((attempt.id, end));
        Ok(())
    }

    async fn forget(&self, _attempt: &Attempt) {}

    /// Nothing outlives its attempt in memory.
    async fn strays(&self, _prefix: &str, _tasks: &[&Task]) -> Vec<Stray> {
        Vec::new()
    }

    async fn discard(&self, _stray: &Stray) {}
}
