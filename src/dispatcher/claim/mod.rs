//! The claimer: takes jobs while there is room for them, in batches, each in one transaction with its attempts.
//!
//! One claim locks jobs and returns them with their rows, looks at these ([`prepare`]), marks the rows ([`mark_running`]), and
//! only then writes: the jobs that start, each with its attempt, and the others with the reason why not. Where a few jobs are
//! all ready, the second half is one round trip ([`start_at_once`]). A busy dispatcher does not begin each look at the head of the
//! queue ([`low_water`]). Between claims the claimer
//! sleeps so that writers know ([`wake_lock`]), or waits where nothing can wake it.

mod batch;
mod concurrency_keys;
pub mod listener;
pub mod low_water;
mod mark_running;
mod one_owner;
pub mod prepare;
mod room;
mod start_at_once;
pub mod turns;
mod wake_lock;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::mpsc;

use self::batch::{Which, claim_within};
use self::concurrency_keys::key_some;
use self::room::{Room, can_claim};
use self::wake_lock::WakeLock;
use crate::database::{
    Choice, DatabaseError, Promoted, SchemaError, announce_jobs, locked, promote_waiting, read_stamp,
};
use crate::dispatcher::pace::{IDLE_POLLS, Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::dispatcher::{DispatcherError, Mode};
use crate::job::RunnerName;
use crate::runners::Attempt;

/// A look that found nothing is repeated no sooner than this when the next job's time comes.
const SOONEST: Duration = Duration::from_millis(5);

/// A look that found so many jobs is followed by another after [`BUSY_LOOK`] instead of sleep: at such a rate
/// (500 a second) looking is cheaper than being woken, for us and above all for those who would have to wake us.
const BUSY: usize = 5;
const BUSY_LOOK: Duration = Duration::from_millis(10);

/// For so long looks that find a few jobs each leave those alone whose waiting may be over.
const UNPROMOTED: Duration = Duration::from_secs(1);

/// What a look at the queue came to.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Jobs claimed.
    found: usize,
    /// As many as one claim takes, and there is room for more.
    more: bool,
    /// When to look again at the latest: the next waiting job is due. Only a look that has found nothing asks.
    next_due: Option<Duration>,
}

/// Claims until told to stop; in drain mode, until nothing is due and nothing runs. A look is not broken off: what it has sent may
/// be done, and its attempts must be launched.
pub async fn run(shared: Handle, mode: Mode, launch: mpsc::Sender<Vec<Attempt>>) {
    let _ended = shared.lifecycle.claimed.clone().drop_guard();
    let mut trouble = Trouble::new("claiming");
    let mut wake_lock = WakeLock::default();
    while !shared.lifecycle.draining.is_cancelled() {
        let looked = tokio::select! {
            biased;
            () = shared.lifecycle.stopping.cancelled() => return,
            looked = look_and_wait(&shared, mode, &launch, &mut wake_lock) => looked,
        };
        match looked {
            Ok(()) => trouble.over(),
            Err(SchemaError::Database(error)) => {
                let wait = trouble.wait(&error);
                tokio::select! {
                    () = shared.lifecycle.draining.cancelled() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
            Err(error) => return shared.lifecycle.give_up(DispatcherError::Schema(error)),
        }
    }
}

/// One look and the wait after it.
async fn look_and_wait(
    shared: &Shared,
    mode: Mode,
    launch: &mpsc::Sender<Vec<Attempt>>,
    wake_lock: &mut WakeLock,
) -> Result<(), SchemaError> {
    let followed_none = shared.in_flight.is_empty();
    // Until it is released writers announce more than they must, and nothing else: the look need not wait for that.
    let (looked, ()) = tokio::join!(look(shared, launch), wake_lock.release());
    let done = looked?;
    if mode == Mode::Drain && !shared.lifecycle.rescued.is_cancelled() {
        // Attempts that a dead dispatcher left are due, too.
        tokio::select! {
            () = shared.lifecycle.rescued.cancelled() => {}
            () = shared.lifecycle.draining.cancelled() => {}
        }
        return Ok(());
    }
    if mode == Mode::Drain && done.found == 0 && followed_none && shared.in_flight.is_empty() {
        // Only a look that began at the head can say that nothing is due.
        if shared.low_water.sleep_limit(Instant::now()).is_some() {
            shared.low_water.forget();
        } else {
            shared.lifecycle.draining.cancel();
        }
        return Ok(());
    }
    if !can_claim(shared) {
        // Nothing that a writer could announce would be taken. A slot that is freed or an edit of the parameters ends the wait.
        shared.signals.room_wanted.store(true, Ordering::Relaxed);
        // One may have been freed before that was said.
        if !can_claim(shared) {
            let limit = jittered(floor(shared));
            let next_try = shared.reach.next_try(Instant::now());
            wait(shared, next_try.map_or(limit, |next_try| next_try.max(SOONEST).min(limit))).await;
        }
    } else if done.more {
        // What waits already need not gather.
    } else if done.found >= BUSY {
        wait(shared, BUSY_LOOK).await;
    } else if shared.signals.is_listening() {
        wake_lock.sleep(shared, launch, done).await?;
    } else if done.found == 0 {
        wait(shared, until_next(&done, floor(shared))).await;
    }
    Ok(())
}

/// Wakes the claimer whenever an attempt leaves a dispatcher that this one has replaced: its slot is free for this one.
pub async fn follow_replaced(shared: Handle) {
    let waking = shared.before.iter().map(|before| async {
        loop {
            before.changed().await;
            shared.signals.wake.notify_one();
        }
    });
    tokio::select! {
        () = shared.lifecycle.draining.cancelled() => {}
        _ = join_all(waking) => {}
    }
}

/// How often to look although nothing has said that there is anything.
fn floor(shared: &Shared) -> Duration {
    let dispatcher = &shared.settings.dispatcher;
    match shared.signals.is_listening() {
        false => dispatcher.poll_interval_without_listen,
        // The beats of the rescuer are the floor.
        true if shared.signals.is_nothing_open() => dispatcher.poll_interval * IDLE_POLLS,
        true => dispatcher.poll_interval,
    }
}

fn until_next(look: &Look, poll: Duration) -> Duration {
    let poll = jittered(poll);
    look.next_due.map_or(poll, |due| due.max(SOONEST).min(poll))
}

async fn wait(shared: &Shared, limit: Duration) {
    tokio::select! {
        () = shared.lifecycle.draining.cancelled() => {}
        () = shared.signals.wake.notified() => {}
        () = tokio::time::sleep(limit) => {}
    }
}

/// Claims once for each runner that has room, and makes jobs claimable whose waiting is over. After a look that has found
/// something there is another before anything waits long.
async fn look(shared: &Shared, launch: &mpsc::Sender<Vec<Attempt>>) -> Result<Look, SchemaError> {
    // Also of slots that are freed while this look counts them.
    shared.signals.room_wanted.store(true, Ordering::Relaxed);
    if !can_claim(shared) {
        // Nothing to claim would be found, and so no new task be noticed.
        let reading = async {
            let client = shared.database.get().await?;
            let stamp = read_stamp(&client).await?;
            Ok::<_, SchemaError>(shared.parameters.refresh(&client, &stamp.parameters).await?)
        };
        shared.within(reading).await?;
    }
    let Claimed { jobs: claimed, wants_room, more } = claim_all(shared, launch).await?;
    shared.signals.room_wanted.store(wants_room, Ordering::Relaxed);
    let has_rested = || locked(&shared.signals.promoted_at).elapsed() < UNPROMOTED;
    if (1..BUSY).contains(&claimed) && has_rested() {
        return Ok(Look { found: claimed, more, next_due: None });
    }
    // Only now, so that a job that has just come in need not wait for it.
    let promoted = shared.within(promote(shared)).await?;
    *locked(&shared.signals.promoted_at) = Instant::now();
    if promoted.jobs > 0 && wants_room {
        // Others may have room, and sleep.
        let announcing = async { announce_jobs(&shared.database.get().await?).await };
        shared.within(announcing).await?;
    }
    if promoted.has_missed_rows {
        shared.signals.missed_rows.notify_one();
    }
    // What came in behind the marks is found by the next look at the head.
    let now = Instant::now();
    let limits = [promoted.next_due, shared.low_water.sleep_limit(now), shared.reach.next_try(now)];
    let next_due = limits.into_iter().flatten().min();
    Ok(Look { found: claimed + promoted.jobs as usize, more, next_due })
}

async fn promote(shared: &Shared) -> Result<Promoted, DatabaseError> {
    let mut client = shared.database.get().await?;
    let transaction = client.transaction();
    let ((), promoted) = tokio::try_join!(transaction.begin(), promote_waiting(&transaction))?;
    transaction.commit().await?;
    Ok(promoted)
}

/// What one claim for each runner came to.
#[derive(Default)]
struct Claimed {
    /// Jobs dealt with.
    jobs: usize,
    /// With more room there would have been more.
    wants_room: bool,
    /// With larger batches there would have been.
    more: bool,
}

/// One claim for each runner that has room.
async fn claim_all(shared: &Shared, launch: &mpsc::Sender<Vec<Attempt>>) -> Result<Claimed, SchemaError> {
    let mut claimed = Claimed::default();
    for runner in shared.runners.iter() {
        // This may have begun before the drain. What goes back to the queue leaves room, and is for others: so at the last moment.
        if shared.lifecycle.draining.is_cancelled() {
            break;
        }
        let mut whole = Room::of(shared, runner.as_ref());
        // Before all others, whose backlog may take whatever room there is.
        if let Some(trial) = whole.for_trial(shared, runner.name()) {
            claimed.jobs += claim_for(shared, launch, runner.name(), trial, Choice::Best).await?.jobs;
            shared.reach.tried(Instant::now());
            whole = whole.without(1);
        }
        let room = whole.at_most(shared.settings.dispatcher.batch);
        if room.size == 0 {
            claimed.wants_room = true;
            continue;
        }
        if !room.is_ahead {
            shared.short_tasks.has_a_free_slot(runner.name());
        }
        let mut dealt = claim_for(shared, launch, runner.name(), room, Choice::Best).await?;
        if dealt.jobs == 0 && dealt.others_have_it {
            // The rest need not wait for that.
            dealt = claim_for(shared, launch, runner.name(), room, Choice::Any).await?;
        }
        claimed.wants_room |= dealt.jobs >= whole.size || dealt.waits;
        claimed.more |= dealt.jobs >= room.size && whole.size > room.size;
        claimed.jobs += dealt.jobs;
    }
    Ok(claimed)
}

/// What a claim for a runner came to.
struct Dealt {
    jobs: usize,
    /// There is something to be had, and others hold the best of it.
    others_have_it: bool,
    /// There is something that waits for a free slot, and the rest with it.
    waits: bool,
}

/// One claim for a runner.
async fn claim_for(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
    runner: RunnerName,
    room: Room,
    choice: Choice,
) -> Result<Dealt, SchemaError> {
    let taken = claim_within(shared, runner, room, Which::Uncounted(choice)).await?;
    let mut dealt = Dealt { jobs: taken.jobs, others_have_it: taken.seen, waits: taken.waits };
    hand_over(shared, launch, runner, taken.attempts).await;
    let mut another_counts = false;
    // Jobs that are counted are claimed apart, so that the others need not wait for the lock that makes caps exact.
    let rest = room.without(taken.jobs);
    if !taken.counted.is_empty() && rest.size > 0 {
        let which = Which::Counted(taken.counted);
        let counted = claim_in_our_turn(shared, launch, runner, rest, which).await?;
        dealt.jobs += counted.jobs;
        another_counts = counted.another_counts;
    }
    let rest = room.without(dealt.jobs);
    let mut started = false;
    if let [task] = taken.unkeyed.as_slice()
        && rest.size > 0
        && !room.is_ahead
        && !another_counts
    {
        // All else that could be had has started. Of several tasks they take turns once they have their keys.
        let which = Which::Unkeyed(task.clone());
        let unkeyed = claim_in_our_turn(shared, launch, runner, rest, which).await?;
        dealt.jobs += unkeyed.jobs;
        started = unkeyed.started;
    }
    if !started && !taken.unkeyed.is_empty() {
        // Behind those of busy keys there may be others.
        dealt.jobs += key_some(shared, &taken.unkeyed).await?;
    }
    Ok(dealt)
}

/// What a claim of jobs that are counted came to.
#[derive(Default)]
struct InTurn {
    jobs: usize,
    /// Some of them can be launched.
    started: bool,
    /// None was claimed: another dispatcher counts, and takes its time.
    another_counts: bool,
}

/// One claim of jobs that are counted. Where it is not our turn, what is not counted goes on.
async fn claim_in_our_turn(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
    runner: RunnerName,
    room: Room,
    which: Which,
) -> Result<InTurn, SchemaError> {
    match claim_within(shared, runner, room, which).await {
        Ok(batch) => {
            let dealt =
                InTurn { jobs: batch.jobs, started: !batch.attempts.is_empty(), another_counts: false };
            hand_over(shared, launch, runner, batch.attempts).await;
            Ok(dealt)
        }
        Err(SchemaError::Database(error)) if error.is_a_lock() => {
            tracing::debug!(%error, %runner, "another dispatcher has the turn to count");
            Ok(InTurn { another_counts: true, ..InTurn::default() })
        }
        Err(error) => Err(error),
    }
}

async fn hand_over(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
    runner: RunnerName,
    attempts: Vec<Attempt>,
) {
    if !attempts.is_empty() {
        tracing::debug!(attempts = attempts.len(), %runner, "claimed");
        shared.in_flight.add(attempts.iter().cloned());
        if shared.signals.idle.swap(false, Ordering::Relaxed) {
            // Others wait long for the next beat, and what is claimed now must not wait with them.
            shared.signals.attempts_open.notify_one();
        }
        // The launcher outlives the claimer; other dispatchers adopt attempts that it could not take.
        let _ = launch.send(attempts).await;
    }
}
