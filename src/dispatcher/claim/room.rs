//! How many attempts a runner may be given: one for each of its free slots; or, where it has none, some ahead of that
//! ([`crate::dispatcher::launch::stock`]).

use std::time::{Duration, Instant};

use crate::database::Claim;
use crate::dispatcher::shared::Shared;
use crate::job::RunnerName;
use crate::parameters::Task;
use crate::runners::{Capabilities, Runner};

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Attempts.
    pub size: usize,
    /// No slot is free, and they would wait for one.
    pub is_ahead: bool,
    /// What the runner takes for short ([`Capabilities::short`]).
    short: Duration,
    /// For a job of a task that is out of reach ([`crate::dispatcher::launch::reach`]), to see whether it still is.
    is_trial: bool,
}

impl Room {
    /// Of one runner now.
    pub fn of(shared: &Shared, runner: &dyn Runner) -> Self {
        let name = runner.name();
        let (following, unlaunched) = shared.in_flight.counts(name);
        let before: usize = shared.before.iter().map(|before| before.slots_taken(name)).sum();
        let Capabilities { capacity, stock, short, backlog, .. } = runner.capabilities();
        let beyond =
            |size: usize| size.saturating_sub(following + before).min(backlog.saturating_sub(unlaunched));
        let free = beyond(capacity);
        let ahead = beyond(capacity + stock);
        // The larger half of them together: a claim of one costs as much.
        let is_ahead = free == 0 && 2 * ahead > stock && may_claim_ahead(shared, name, short);
        Self { size: if is_ahead { ahead } else { free }, is_ahead, short, is_trial: false }
    }

    /// For so many.
    pub fn at_most(self, limit: usize) -> Self {
        Self { size: self.size.min(limit), ..self }
    }

    /// Without so many, which have been claimed.
    pub fn without(self, claimed: usize) -> Self {
        Self { size: self.size.saturating_sub(claimed), ..self }
    }

    /// For one job of a task of this runner that is out of reach and is to be tried, if there is one.
    pub fn for_trial(self, shared: &Shared, runner: RunnerName) -> Option<Self> {
        if shared.reach.is_whole() {
            return None;
        }
        let trial = Self { is_trial: true, ..self.at_most(1) };
        let is_wanted = |task: &Task| trial.admits(shared, runner, task);
        (trial.size > 0 && !trial.is_ahead && shared.parameters.tasks().iter().any(is_wanted))
            .then_some(trial)
    }

    /// Whether a claim for a runner takes jobs of this task.
    pub fn admits(&self, shared: &Shared, runner: RunnerName, task: &Task) -> bool {
        let is_away = shared.reach.is_away(&task.name);
        let reach = if self.is_trial { is_away && is_due(shared, task) } else { !is_away };
        reach && task.enabled && task.runner == runner
    }
}

/// Whether this task is in reach, or it is time to try.
fn is_due(shared: &Shared, task: &Task) -> bool {
    !shared.reach.rests(&task.name, Instant::now())
}

/// Whether slots are freed often enough: a long run keeps its slot, and what waits for it would wait long.
fn may_claim_ahead(shared: &Shared, runner: RunnerName, short: Duration) -> bool {
    let is_brief =
        |task: &str, had_slot: Duration| had_slot < short && shared.short_tasks.contain(task, short);
    shared.short_tasks.are_next(runner)
        && shared.all_in_flight().iter().all(|here| here.are_all(runner, is_brief))
}

/// Whether a runner has room, and a task that it may be for.
pub fn can_claim(shared: &Shared) -> bool {
    shared.runners.iter().any(|r| any_task(shared, r.name()) && Room::of(shared, r.as_ref()).size > 0)
}

fn any_task(shared: &Shared, runner: RunnerName) -> bool {
    shared.parameters.tasks().iter().any(|task| task.enabled && task.runner == runner && is_due(shared, task))
}

/// Whether something in this claim must wait for a free slot, and all the rest with it, so that nothing overtakes it: a job of a task that is not
/// short, that has a cap, or whose key is not known yet. A claim has the jobs that are next, but not in the order of their turns.
pub fn must_wait(shared: &Shared, runner: RunnerName, room: Room, claim: &Claim) -> bool {
    let waits = room.is_ahead
        && !(claim.counted.is_empty()
            && claim.unkeyed.is_empty()
            && claim.taken.iter().all(|job| shared.short_tasks.contain(&job.task, room.short)));
    if waits {
        shared.short_tasks.others_are_next(runner);
    }
    waits
}
