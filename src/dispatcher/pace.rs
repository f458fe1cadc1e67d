//! How loops wait: never in step with each other, longer while the database is away.

use std::time::Duration;

use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use crate::database::DatabaseError;
use crate::runners::LaunchError;

/// The longest wait between two tries while something is broken.
const LONGEST: Duration = Duration::from_secs(30);

/// The same while the database is not there: a try is one connection, and what has come meanwhile waits for it to be back.
const LONGEST_AWAY: Duration = Duration::from_secs(2);

/// The longest that one piece of work with the database may take: long enough for the server to end a statement of a
/// batch first (begin_bounded.sql: 60 s), so that what takes longer is a connection that hangs. Less where others are
/// quick to take this dispatcher for dead.
pub fn work_limit(dead_after: Duration) -> Duration {
    (2 * dead_after).clamp(Duration::from_secs(20), Duration::from_secs(75))
}

/// The longest that saying "I live" may take: three tries fit into the time in which others must hear it.
pub fn beat_limit(dead_after: Duration) -> Duration {
    (dead_after / 3).clamp(Duration::from_secs(3), Duration::from_secs(15))
}

/// How long a dispatcher that ends tries to say so. Others notice without its word, only later.
pub const LAST_WORD: Duration = Duration::from_secs(5);

/// While there are no jobs, one of so many rounds of the janitor is left: for partitions, and for what was left at runners.
pub const IDLE_ROUNDS: u32 = 10;

/// While there are no jobs, one of so many polls is left: each rare beat of the rescuer says whether there are any.
pub const IDLE_POLLS: u32 = 60;

/// How long a job whose row another session holds is left alone.
pub const ROW_HELD: Duration = Duration::from_millis(500);

/// How long a job is left alone whose row was written while it was read: the next write may be as near.
pub const ROW_CHANGED: Duration = Duration::from_millis(100);

/// How long a job whose row another owner has is left alone: that one may run for hours, and this one is asked for by hand.
pub const ROW_OWNED: Duration = Duration::from_secs(5);

/// Three quarters to five quarters of an interval.
pub fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.75..1.25))
}

/// Does some work at intervals, sooner again while it fails, until told to stop. It stops in the middle of the work, too,
/// which may wait for something longer than a stop may take.
pub async fn again_and_again<Work: Future<Output = Result<(), DatabaseError>>>(
    stopping: &CancellationToken,
    what: &'static str,
    interval: Duration,
    work: impl Fn() -> Work,
) {
    let mut trouble = Trouble::new(what);
    let repeating = async {
        loop {
            let wait = match work().await {
                Ok(()) => {
                    trouble.over();
                    jittered(interval)
                }
                Err(error) => trouble.wait(&error),
            };
            tokio::time::sleep(wait).await;
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = repeating => {}
    }
}

/// Why the work of a loop failed.
pub trait Failure: std::fmt::Display {
    /// Whether it is that the database is not there.
    fn is_away(&self) -> bool {
        false
    }
}

impl Failure for DatabaseError {
    fn is_away(&self) -> bool {
        // One that gives no answer may be there, and have too much to do.
        Self::is_away(self) && !matches!(self, Self::Silent(_))
    }
}

impl Failure for LaunchError {}

impl Failure for &str {}

/// Full-jitter backoff for a loop whose work fails, with one log line when it begins and one when it is over.
#[derive(Debug)]
pub struct Trouble {
    what: &'static str,
    failures: u32,
}

impl Trouble {
    /// For the loop that does `what`.
    pub fn new(what: &'static str) -> Self {
        Self { what, failures: 0 }
    }

    /// It worked.
    pub fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!(after_failures = self.failures, "{} works again", self.what);
            self.failures = 0;
        }
    }

    /// It failed: logs the first time, and says how long to wait.
    pub fn wait(&mut self, error: &dyn Failure) -> Duration {
        if self.failures == 0 {
            tracing::warn!(%error, "{} failed; trying again until it works", self.what);
        } else {
            tracing::debug!(%error, failures = self.failures, "{} failed again", self.what);
        }
        self.wait_at_most(if error.is_away() { LONGEST_AWAY } else { LONGEST })
    }

    /// How a piece of work went that is done again in its own time.
    pub fn note(&mut self, done: Result<(), DatabaseError>) {
        match done {
            Ok(()) => self.over(),
            Err(error) => {
                self.wait(&error);
            }
        }
    }

    /// The same where the caller does the logging.
    pub fn wait_silently(&mut self) -> Duration {
        self.wait_at_most(LONGEST)
    }

    fn wait_at_most(&mut self, longest: Duration) -> Duration {
        let ceiling = Duration::from_millis(100).saturating_mul(1 << self.failures.min(10)).min(longest);
        self.failures += 1;
        ceiling.mul_f64(rand::rng().random_range(0.1..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_database_is_asked_often_and_a_broken_one_seldom() {
        let after_many = |error: &dyn Failure| {
            let mut trouble = Trouble::new("working");
            (0..200).map(|_| trouble.wait(error)).max().unwrap_or_default()
        };
        assert!(after_many(&DatabaseError::Away("it starts up".into())) <= LONGEST_AWAY);
        for broken in [DatabaseError::Connect("no such role".into()), DatabaseError::Silent(Duration::ZERO)] {
            let longest = after_many(&broken);
            assert!(longest > LONGEST_AWAY && longest <= LONGEST, "{broken}: {longest:?}");
        }
    }
}
