//! What a runner is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::boot_clock::BootInstant;
use crate::job::{AttemptId, JobId};
use crate::parameters::LaunchSpec;

/// An attempt as runners see it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its id; what [`super::Ends`] and [`super::Runner::observe`] speak of.
    pub id: AttemptId,
    /// Its job.
    pub job_id: JobId,
    /// Its number within the job, from 1.
    pub number: i32,
    /// Its task.
    pub task: String,
    /// The launch key: the same for every repetition of this launch, never used for another.
    pub launch_key: String,
    /// What to run.
    pub request: Arc<LaunchSpec>,
    /// The runner's own name for it, once launched.
    pub external_id: Option<String>,
    /// How long ago it was written down, which is before any runner heard of it.
    pub age: Age,
    /// Whether an earlier call may have launched it: by a dispatcher that died, or one whose answer was lost.
    pub in_doubt: bool,
    /// Until when its dispatcher may launch it. One that stands still just before its call goes on after others have run and forgotten
    /// the attempt: what it starts then must not begin.
    pub launch_until: Option<BootInstant>,
}

/// A duration that grows: what the database measured, and the time since it told us.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    told: Duration,
    since: Instant,
}

impl Age {
    /// As the database tells it now.
    #[must_use]
    pub fn of(told: Duration) -> Self {
        Self { told, since: Instant::now() }
    }

    /// Of something that begins now.
    #[must_use]
    pub fn zero() -> Self {
        Self::of(Duration::ZERO)
    }

    /// By now.
    #[must_use]
    pub fn get(&self) -> Duration {
        self.told + self.since.elapsed()
    }
}
