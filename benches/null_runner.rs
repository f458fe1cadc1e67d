//! A runner that runs nothing: every attempt ends with exit code 0 as soon as it is launched.

use std::time::Instant;

use async_trait::async_trait;
use rowcall::job::End;
use rowcall::runners::{Attempt, Ends, LaunchError, Launched, Observation, Request, Runner};
use tokio::sync::mpsc;

/// Tells when each launch came.
pub struct NullRunner {
    pub ends: Ends,
    pub launched: mpsc::UnboundedSender<Instant>,
}

#[async_trait]
impl Runner for NullRunner {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn capacity(&self) -> usize {
        2_000
    }

    fn bound_to_host(&self) -> bool {
        false
    }

    fn check(&self, _request: &Request) -> Result<(), String> {
        Ok(())
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

    async fn stop(&self, _attempt: &Attempt, _reason: &str) -> Result<(), String> {
        Ok(())
    }

    async fn forget(&self, _attempt: &Attempt) {}
}
