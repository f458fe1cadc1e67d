//! Time that goes on while the machine sleeps. The clock of the standard library stands still then, and a dispatcher that
//! slept for an hour would launch what others have run, settled and forgotten.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A moment since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootInstant(Duration);

impl BootInstant {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        // The clock is there on every Linux that this program runs on.
        Self(clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from))
    }

    /// How long ago it was.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }

    /// As a supervisor is told it: both run on one machine.
    #[must_use]
    pub fn as_nanos(self) -> u128 {
        self.0.as_nanos()
    }

    /// As it was told.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// So much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}
