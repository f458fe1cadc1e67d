//! How long something took of late, in as much memory after hours as after a minute.

use std::array::from_fn;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::{CreationError, Histogram};

/// The harness wants the last 30 seconds: one histogram for each.
pub const WINDOW: usize = 30;

/// In microseconds: what took longer than an hour counts as an hour.
const LONGEST: u64 = 3_600_000_000;

const SIGNIFICANT_DIGITS: u8 = 3;

/// Of one thing.
pub struct Latencies {
    begun: Instant,
    seconds: Mutex<[Second; WINDOW]>,
}

struct Second {
    /// Counted from the begin.
    number: u64,
    took: Histogram<u32>,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Result<Self, CreationError> {
        let empty = Histogram::new_with_bounds(1, LONGEST, SIGNIFICANT_DIGITS)?;
        let seconds = from_fn(|_| Second { number: 0, took: empty.clone() });
        Ok(Self { begun: Instant::now(), seconds: Mutex::new(seconds) })
    }

    /// So many at once took so long each.
    pub fn note(&self, took: Duration, times: u32) {
        let number = self.begun.elapsed().as_secs();
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let second = &mut seconds[number as usize % WINDOW];
        if second.number != number {
            second.took.reset();
            second.number = number;
        }
        second.took.saturating_record_n((took.as_micros() as u64).max(1), times);
    }

    /// The 50th, 95th and 99th percentile of the window, in milliseconds; none where there was nothing.
    pub fn percentiles(&self) -> Option<[(&'static str, f64); 3]> {
        let now = self.begun.elapsed().as_secs();
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Histogram::<u32>::new_from(&seconds[0].took);
        for second in seconds.iter().filter(|second| second.number + WINDOW as u64 > now) {
            // All have the same bounds.
            let _ = all.add(&second.took);
        }
        let of = |share| all.value_at_quantile(share) as f64 / 1e3;
        (!all.is_empty()).then(|| [("p50", of(0.5)), ("p95", of(0.95)), ("p99", of(0.99))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_that_was_noted() {
        let latencies = Latencies::new().unwrap();
        assert!(latencies.percentiles().is_none());
        (1..=1000).for_each(|ms| latencies.note(Duration::from_millis(ms), 1));
        let [p50, p95, p99] = latencies.percentiles().unwrap().map(|(_, ms)| ms);
        let near = |found: f64, wanted: f64| (found - wanted).abs() <= wanted / 500.0;
        assert!(near(p50, 500.0) && near(p95, 950.0) && near(p99, 990.0), "{p50} {p95} {p99}");
    }

    #[test]
    fn what_takes_too_long_counts_as_the_longest() {
        let latencies = Latencies::new().unwrap();
        latencies.note(Duration::from_secs(1_000_000), 1);
        let [(_, p50), ..] = latencies.percentiles().unwrap();
        assert!((3.59e6..3.61e6).contains(&p50), "{p50}");
    }
}
