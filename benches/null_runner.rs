//! A runner that runs nothing: every attempt ends with exit code 0 as soon as it is launched.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use rowcall::job::{End, RunnerName};
use rowcall::parameters::{LaunchSpec, Task};
use rowcall::runners::{
    Attempt, Capabilities, Ends, Found, LaunchError, Launched, Observation, Runner, Stray,
};
use tokio::sync::mpsc;

/// Tells when each launch came.
pub struct NullRunner {
    pub ends: Ends,
    pub launched: mpsc::UnboundedSender<Instant>,
}

#[async_trait]
impl Runner for NullRunner {
    fn name(&self) -> RunnerName {
        RunnerName::Docker
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            capacity: 2_000,
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
        _contract: &[(String, String)],
    ) -> Result<Launched, LaunchError> {
        let _ = self.launched.send(Instant::now());
        let _ = self.ends.send((attempt.id, End::exited(0)));
        Ok(Launched::running("null"))
    }

    async fn observe(&self, attempts: &[Attempt]) -> Vec<Observation> {
        attempts.iter().map(|_| Observation::Ended(End::exited(0))).collect()
    }

    async fn find(&self, _attempt: &Attempt) -> Result<Found, String> {
        Ok(Found::Nothing)
    }

    async fn stop(&self, _attempt: &Attempt, _reason: &str) -> Result<(), String> {
        Ok(())
    }

    async fn forget(&self, _attempt: &Attempt) {}

    async fn strays(&self, _prefix: &str, _tasks: &[&Task]) -> Vec<Stray> {
        Vec::new()
    }

    async fn discard(&self, _stray: &Stray) {}
}
