//! Attempts that were claimed ahead and wait for a slot of their runner. A slot that is freed has its next attempt at once: it need
//! not wait for the settlement and the claim, which take longer than a short program runs.
//!
//! The claimer takes as few as the runner says ([`Capabilities::stock`]), and of [`super::short_tasks`] only, so that the wait is short. Where it is not,
//! what waits goes back to the queue unspent: after [`Capabilities::stock_wait`], and at once when this dispatcher drains or hears that an operator has
//! paused, cancelled or edited something. A dispatcher that dies leaves them to be adopted, as any attempt that was not launched.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::database::{DatabaseError, announce_jobs, give_back, settled_elsewhere};
use crate::dispatcher::follow::in_flight::Launching;
use crate::dispatcher::pace::{ROW_HELD, Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::job::{AttemptId, RunnerName};
#[cfg(doc)]
use crate::runners::Capabilities;
use crate::runners::{Attempt, Runners};

/// One that waits.
struct Waiting {
    attempt: Attempt,
    /// When it goes back to the queue; or, if it may run already, is launched all the same: its launch finds out.
    until: Instant,
}

/// What waits, by runner, the oldest first.
#[derive(Default)]
pub struct Stock {
    waiting: BTreeMap<RunnerName, VecDeque<Waiting>>,
}

impl Stock {
    /// One more.
    pub fn put(&mut self, attempt: Attempt, runners: &Runners) {
        let runner = attempt.request.runner;
        let wait = runners.get(runner).map_or(Duration::ZERO, |r| r.capabilities().stock_wait);
        let until = Instant::now() + wait;
        self.waiting.entry(runner).or_default().push_back(Waiting { attempt, until });
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.values().all(VecDeque::is_empty)
    }

    /// Whether something waits that could go back.
    pub fn can_give_back(&self) -> bool {
        self.waiting.values().flatten().any(|waiting| !waiting.attempt.in_doubt)
    }

    /// Waits until one has waited too long.
    pub async fn waits_too_long(&self) {
        match self.waiting.values().flatten().map(|waiting| waiting.until).min() {
            Some(soonest) => tokio::time::sleep_until(soonest).await,
            None => std::future::pending().await,
        }
    }

    /// Those that have a slot now. One that must end before it was launched is its stopper's.
    pub fn take_launchable(&mut self, shared: &Shared) -> Vec<(Attempt, Launching)> {
        let (mut launchable, now) = (Vec::new(), Instant::now());
        for (runner, queue) in self.waiting.iter_mut().filter(|(_, queue)| !queue.is_empty()) {
            let capacity = shared.runners.get(*runner).map_or(usize::MAX, |r| r.capabilities().capacity);
            let taken: usize = shared.all_in_flight().iter().map(|here| here.slots_taken(*runner)).sum();
            let mut free = capacity.saturating_sub(taken);
            queue.retain(|Waiting { attempt, until }| {
                if free == 0 && !(attempt.in_doubt && *until <= now) {
                    return true;
                }
                if let Some(launching) = shared.in_flight.begin_launch(attempt.id) {
                    free = free.saturating_sub(1);
                    launchable.push((attempt.clone(), launching));
                }
                false
            });
        }
        launchable
    }

    /// Gives back what waits, all of it or what has waited too long.
    pub fn give_back(&mut self, shared: &Handle, all: bool) {
        let now = Instant::now();
        let mut attempts = Vec::new();
        for queue in self.waiting.values_mut() {
            queue.retain(|Waiting { attempt, until }| {
                let goes = !attempt.in_doubt && (all || *until <= now);
                if goes {
                    attempts.push(attempt.id);
                }
                !goes
            });
        }
        let going: HashMap<AttemptId, Launching> =
            attempts.into_iter().filter_map(|id| Some((id, shared.in_flight.begin_give_back(id)?))).collect();
        if !going.is_empty() {
            tokio::spawn(go_back_unless_stopped(Arc::clone(shared), going));
        }
    }
}

/// Gives one attempt back that no runner has heard of and that no launcher has any more.
pub async fn give_one_back(shared: &Handle, id: AttemptId) {
    if let Some(launching) = shared.in_flight.begin_give_back(id) {
        go_back_unless_stopped(Arc::clone(shared), HashMap::from([(id, launching)])).await;
    }
}

async fn go_back_unless_stopped(shared: Handle, going: HashMap<AttemptId, Launching>) {
    tokio::select! {
        biased;
        // Others adopt them.
        () = shared.lifecycle.stopping.cancelled() => {}
        () = go_back(&shared, going) => {}
    }
}

/// Others may have room, and sleep.
async fn tell_others(shared: &Shared) {
    let telling = async { announce_jobs(&shared.database.get().await?).await };
    if let Err(error) = shared.within(telling).await {
        tracing::debug!(%error, "other dispatchers find by their next look what was given back");
    }
}

/// Puts attempts back into the queue, again and again until each is there, or is another's to end.
async fn go_back(shared: &Shared, mut going: HashMap<AttemptId, Launching>) {
    let mut trouble = Trouble::new("giving back what is not launched");
    loop {
        going.retain(|_, launching| !launching.unwanted.is_cancelled());
        if going.is_empty() {
            return;
        }
        let ids: Vec<AttemptId> = going.keys().copied().collect();
        let giving = async {
            let client = shared.database.get().await?;
            let back = give_back(&client, shared.identity.id, &ids).await?;
            // Some of them may have gone back before, and the answer was lost.
            let over = settled_elsewhere(&client, &ids).await?;
            Ok::<_, DatabaseError>((back.len(), over))
        };
        let wait = match shared.within(giving).await {
            Ok((attempts, over)) => {
                trouble.over();
                tracing::debug!(attempts, "given back to the queue");
                for id in &over {
                    shared.in_flight.remove(*id);
                    going.remove(id);
                }
                if !over.is_empty() {
                    // They have been due for long.
                    shared.low_water.forget();
                    shared.signals.wake.notify_one();
                    tell_others(shared).await;
                }
                // What is left is held by another session, or must end.
                jittered(ROW_HELD)
            }
            Err(error) => trouble.wait(&error),
        };
        if !going.is_empty() {
            tokio::time::sleep(wait).await;
        }
    }
}
