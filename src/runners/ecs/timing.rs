//! How long things take on ECS. Tests take their own times.

use std::time::Duration;

/// The times that the runner goes by.
#[derive(Debug, Clone)]
pub struct Timing {
    /// How long a launch may be repeated with its key. AWS forgets a token 24 hours after its first call or one hour
    /// after its task has stopped, whichever comes first; a repetition after that starts a second task. A task may
    /// stop at once, so this is an hour less a margin.
    pub token_life: Duration,
    /// Until when a task that DescribeTasks does not know may still appear: the API is eventually consistent.
    pub appears_within: Duration,
    /// How long an older task must be unknown to be taken for gone. AWS forgets a task an hour after it stopped.
    pub gone_after: Duration,
    /// Between the two looks that prove that a refused launch has started nothing.
    pub second_look: Duration,
    /// The shortest time between two looks at one task.
    pub soonest: Duration,
    /// The longest time between two looks at one task.
    pub latest: Duration,
    /// Between two looks for stray tasks.
    pub strays_every: Duration,
    /// How long a failure waits for its log to arrive in CloudWatch.
    pub log_delay: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            token_life: Duration::from_mins(50),
            appears_within: Duration::from_mins(5),
            gone_after: Duration::from_mins(1),
            second_look: Duration::from_secs(2),
            soonest: Duration::from_secs(1),
            latest: Duration::from_secs(30),
            strays_every: Duration::from_mins(5),
            log_delay: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// How long a task of this age is left alone: a tenth of its age, so that short tasks are seen to end soon and
    /// long ones cost little.
    #[must_use]
    pub fn interval(&self, age: Duration) -> Duration {
        (age / 10).clamp(self.soonest, self.latest)
    }
}
