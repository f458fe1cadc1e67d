//! How fast a service may be asked: a token bucket that slows down when the service says so.
//!
//! AWS limits calls per account and region, and others share the limit, so the documented rate is only where we
//! begin: each throttled call halves ours, each good one brings a little back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The slowest that throttling makes us, in calls a second: enough to notice when it is over.
const SLOWEST: f64 = 0.5;

/// Each good call brings back this part of the full rate: from a half, after 20 of them.
const RECOVERY: f64 = 0.025;

/// A burst of throttled answers tells only once that we are too fast.
const ONE_COMPLAINT: Duration = Duration::from_secs(1);

/// A token bucket.
#[derive(Debug)]
pub struct Pace {
    full_rate: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: f64,
    /// Below zero while calls wait that have been given their turn.
    tokens: f64,
    at: Instant,
    slowed: Option<Instant>,
}

impl Pace {
    /// So many calls a second, after a first burst.
    #[must_use]
    pub fn new(rate: f64, burst: f64) -> Self {
        let state = State { rate, tokens: burst, at: Instant::now(), slowed: None };
        Self { full_rate: rate, burst, state: Mutex::new(state) }
    }

    /// Waits for one's turn. Turns are given in the order of asking.
    pub async fn wait(&self) {
        let wait = {
            let mut state = self.lock();
            state.fill(self.burst);
            state.tokens -= 1.0;
            if state.tokens >= 0.0 {
                return;
            }
            Duration::from_secs_f64(-state.tokens / state.rate)
        };
        tokio::time::sleep(wait).await;
    }

    /// The service did what it was asked.
    pub fn good(&self) {
        let mut state = self.lock();
        state.fill(self.burst);
        state.rate = (state.rate + RECOVERY * self.full_rate).min(self.full_rate);
    }

    /// The service said that this is too fast. Returns the rate from here on, in calls a second, if that changes it.
    pub fn throttled(&self) -> Option<f64> {
        let mut state = self.lock();
        state.fill(self.burst);
        let now = Instant::now();
        // What was saved up is what was too much.
        state.tokens = state.tokens.min(0.0);
        if state.slowed.is_some_and(|at| now - at < ONE_COMPLAINT) {
            return None;
        }
        let before = state.rate;
        state.rate = (state.rate / 2.0).max(SLOWEST.min(self.full_rate));
        state.slowed = Some(now);
        (state.rate < before).then_some(state.rate)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fill(&mut self, burst: f64) {
        let now = Instant::now();
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * self.rate).min(burst);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn turns_in(pace: &Pace, seconds: u64) -> usize {
        let mut turns = 0;
        let end = tokio::time::sleep(Duration::from_secs(seconds));
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => return turns,
                () = pace.wait() => turns += 1,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_the_rate() {
        let pace = Pace::new(20.0, 20.0);
        let turns = turns_in(&pace, 10).await;
        assert!((215..=221).contains(&turns), "{turns}");
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_slows_down_and_good_answers_bring_the_rate_back() {
        let pace = Pace::new(20.0, 20.0);
        assert_eq!(pace.throttled(), Some(10.0));
        assert_eq!(pace.throttled(), None, "one complaint counts once");
        let turns = turns_in(&pace, 10).await;
        assert!((95..=101).contains(&turns), "{turns}");
        for _ in 0..20 {
            pace.good();
        }
        let turns = turns_in(&pace, 10).await;
        assert!((195..=201).contains(&turns), "{turns}");
    }

    #[tokio::test(start_paused = true)]
    async fn however_often_it_is_throttled_it_still_asks_now_and_then() {
        let pace = Pace::new(20.0, 20.0);
        for _ in 0..100 {
            pace.throttled();
            tokio::time::advance(ONE_COMPLAINT).await;
        }
        assert_eq!(pace.throttled(), None, "no slower than this");
        let turns = turns_in(&pace, 100).await;
        assert!((49..=50).contains(&turns), "{turns}");
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_gets_a_turn() {
        let pace = std::sync::Arc::new(Pace::new(10.0, 1.0));
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let pace = std::sync::Arc::clone(&pace);
                tokio::spawn(async move { pace.wait().await })
            })
            .collect();
        let began = Instant::now();
        for turn in waiting {
            turn.await.unwrap();
        }
        assert_eq!(began.elapsed().as_secs(), 4);
    }
}
