//! How many attempts a runner may be given: one for each of its free slots, and some ahead of that ([`crate::dispatcher::launch::stock`]).

use std::time::Instant;

use crate::database::ClaimedJob;
use crate::dispatcher::launch::short_tasks::SHORT;
use crate::dispatcher::shared::Shared;
use crate::job::RunnerName;
use crate::runners::{Capabilities, Runner};

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Attempts that have a slot at once.
    pub free: usize,
    /// Further ones, of short tasks, that wait for one.
    pub ahead: usize,
}

impl Room {
    /// Of one runner now.
    pub fn of(shared: &Shared, runner: &dyn Runner) -> Self {
        let name = runner.name();
        let (following, unlaunched) = shared.in_flight.counts(name);
        let before: usize = shared.before.iter().map(|before| before.counts(name).0).sum();
        let Capabilities { capacity, stock, backlog, .. } = runner.capabilities();
        let beyond =
            |size: usize| size.saturating_sub(following + before).min(backlog.saturating_sub(unlaunched));
        let free = beyond(capacity);
        let ahead =
            if stock > 0 && may_claim_ahead(shared, name) { beyond(capacity + stock) - free } else { 0 };
        Self { free, ahead }
    }

    /// Attempts in all.
    pub fn all(self) -> usize {
        self.free + self.ahead
    }

    /// No more than so many.
    pub fn at_most(self, limit: usize) -> Self {
        let free = self.free.min(limit);
        Self { free, ahead: self.ahead.min(limit - free) }
    }

    /// Without so many, which have been claimed.
    pub fn without(self, claimed: usize) -> Self {
        let ahead = self.ahead.saturating_sub(claimed.saturating_sub(self.free));
        Self { free: self.free.saturating_sub(claimed), ahead }
    }

    /// For jobs that may not be claimed ahead.
    pub fn at_once(self) -> Self {
        Self { ahead: 0, ..self }
    }
}

/// Whether slots are freed often enough: a long run keeps its slot, and what waits for it would wait long.
fn may_claim_ahead(shared: &Shared, runner: RunnerName) -> bool {
    let is_brief = |task: &str, since: Instant| since.elapsed() < SHORT && shared.short_tasks.contain(task);
    shared.short_tasks.are_next() && shared.in_flight.in_slots(runner, is_brief).1
}

/// Whether a runner has room, and a task that it may be for.
pub fn can_claim(shared: &Shared) -> bool {
    shared.runners.iter().any(|r| any_task(shared, r.name()) && Room::of(shared, r.as_ref()).all() > 0)
}

fn any_task(shared: &Shared, runner: RunnerName) -> bool {
    shared.parameters.tasks().iter().any(|task| task.enabled && task.runner == runner)
}

/// Leaves in the queue what is neither for a free slot nor of a short task, and what comes after it in turn; returns how many that are.
pub fn leave_for_later(shared: &Shared, room: Room, claimed: &mut Vec<ClaimedJob>) -> usize {
    let all = claimed.len();
    if all > room.free {
        let ahead =
            claimed[room.free..].iter().take_while(|job| shared.short_tasks.contain(&job.task)).count();
        claimed.truncate(room.free + ahead);
        if claimed.len() < all {
            shared.short_tasks.others_are_next(true);
        }
    }
    all - claimed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_jobs_take_free_slots_first() {
        let room = Room { free: 2, ahead: 3 };
        let parts = |room: Room| (room.free, room.ahead);
        assert_eq!([0, 1, 2, 4, 9].map(|n| parts(room.without(n))), [(2, 3), (1, 3), (0, 3), (0, 1), (0, 0)]);
        assert_eq!([0, 1, 2, 4, 9].map(|n| parts(room.at_most(n))), [(0, 0), (1, 0), (2, 0), (2, 2), (2, 3)]);
        assert_eq!((room.all(), room.at_once().all()), (5, 2));
    }
}
