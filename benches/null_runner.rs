//! A runner that runs nothing: every attempt ends with exit code 0 as soon as it is launched, or never.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rowcall::job::{End, RunnerName};
use rowcall::parameters::{LaunchSpec, Task};
use rowcall::runners::{
    Attempt, Capabilities, Ends, Found, LaunchError, Launched, Observation, Runner, Runners, Stray,
};
use tokio::sync::mpsc;

type AtLaunch = Box<dyn Fn(&Attempt, &[(String, String)]) + Send + Sync>;

/// Tells of launches and of ends.
pub struct NullRunner {
    ends: Ends,
    name: RunnerName,
    capacity: usize,
    /// Attempts run for as long as the dispatcher does.
    lasting: bool,
    launched: AtLaunch,
    settled: Option<mpsc::UnboundedSender<()>>,
}

impl NullRunner {
    /// One that tells of no launch and of no end.
    pub fn new(ends: &Ends) -> Self {
        Self {
            ends: ends.clone(),
            name: RunnerName::Docker,
            capacity: 2_000,
            lasting: false,
            launched: Box::new(|_, _| {}),
            settled: None,
        }
    }

    /// Under another name than the task of [`super::Bench::route_files`] asks for.
    pub fn named(self, name: RunnerName) -> Self {
        Self { name, ..self }
    }

    /// It takes so many attempts at a time.
    pub fn with_capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// It takes so many attempts, and none of them ends.
    pub fn lasting(self, capacity: usize) -> Self {
        Self { capacity, lasting: true, ..self }
    }

    /// Tells of each launch what is wanted of it; the variables of its contract are there, too.
    pub fn tells_launches<T: Send + 'static>(
        self,
        to: mpsc::UnboundedSender<T>,
        what: impl Fn(&Attempt, &[(String, String)]) -> T + Send + Sync + 'static,
    ) -> Self {
        let launched = move |attempt: &Attempt, contract: &[(String, String)]| {
            let _ = to.send(what(attempt, contract));
        };
        Self { launched: Box::new(launched), ..self }
    }

    /// Tells when the end of an attempt is in the database.
    pub fn tells_ends(self, to: mpsc::UnboundedSender<()>) -> Self {
        Self { settled: Some(to), ..self }
    }

    /// As a dispatcher takes it.
    #[allow(clippy::unnecessary_wraps)] // A dispatcher expects that making runners may fail.
    pub fn alone(self) -> anyhow::Result<Runners> {
        Ok(Runners::default().with(Arc::new(self)))
    }
}

#[async_trait]
impl Runner for NullRunner {
    fn name(&self) -> RunnerName {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            capacity: self.capacity,
            stock: 0,
            short: Duration::ZERO,
            stock_wait: Duration::ZERO,
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

    fn check(&self, _request: &LaunchSpec) -> Result<(), String> {
        Ok(())
    }

    fn may_launch(&self, _: &LaunchSpec) -> Result<(), String> {
        Ok(())
    }

    async fn probe(&self, _request: &LaunchSpec) -> Result<String, String> {
        Ok("it would end at once".to_owned())
    }

    async fn launch(
        &self,
        attempt: &Attempt,
        contract: &[(String, String)],
    ) -> Result<Launched, LaunchError> {
        (self.launched)(attempt, contract);
        if !self.lasting {
            let _ = self.ends.send((attempt.id, End::exited(0)));
        }
        Ok(Launched::running("null"))
    }

    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        let seen = || if self.lasting { Observation::Running } else { Observation::Ended(End::exited(0)) };
        attempts.iter().map(|_| seen()).collect()
    }

    async fn find(&self, _attempt: &Attempt) -> Result<Found, String> {
        Ok(Found::Nothing)
    }

    async fn stop(&self, _attempt: &Attempt, _reason: &str) -> Result<(), String> {
        Ok(())
    }

    async fn forget(&self, _attempt: &Attempt) {
        if let Some(to) = &self.settled {
            let _ = to.send(());
        }
    }

    async fn strays(&self, _prefix: &str, _tasks: &[&Task]) -> Vec<Stray> {
        Vec::new()
    }

    async fn discard(&self, _stray: &Stray) {}
}
