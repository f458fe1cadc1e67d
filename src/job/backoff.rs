//! How long to wait before trying again.

use std::time::Duration;

/// The longest that a job waits: more is no time that Postgres could add to now, whatever a table holds.
pub const LONGEST: Duration = Duration::from_hours(24 * 366);

/// Doubles from `base` seconds per failure up to `cap`, then takes a random half off at most, so that jobs
/// that failed together do not come back together. `failures` counts from 1; `random` is from 0 to 1.
#[must_use]
pub fn delay(base: f64, cap: f64, failures: i32, random: f64) -> Duration {
    let doubled = base * 2_f64.powi(failures.clamp(1, 60) - 1);
    let seconds = doubled.min(cap) * (1.0 - random.clamp(0.0, 1.0) / 2.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_until_the_cap() {
        let seconds: Vec<_> = (1..=6).map(|n| delay(10.0, 100.0, n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 100, 100]);
    }

    #[test]
    fn jitter_takes_at_most_half() {
        assert_eq!(delay(10.0, 100.0, 1, 1.0).as_secs(), 5);
        assert_eq!(delay(10.0, 100.0, 1, 7.0).as_secs(), 5);
    }

    #[test]
    fn many_failures_do_not_overflow() {
        assert_eq!(delay(10.0, 600.0, i32::MAX, 0.0).as_secs(), 600);
    }
}
