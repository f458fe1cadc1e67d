//! Takes jobs while there is room for them, in batches, each in one transaction with its attempts.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio::sync::mpsc;

use super::keying::key_some;
use super::pace::{Trouble, jittered};
use super::prepare::prepare;
use super::shared::{Handle, Shared};
use super::sleeper::Sleeper;
use super::{DispatcherError, Mode};
use crate::database::{
    Choice, Claim, DatabaseError, SchemaError, be_careful, claim, claim_in_turn, guard, lies_down,
    promote_waiting, take_turn,
};
use crate::parameters::Task;
use crate::runners::{Attempt, Capabilities, Runner};

/// A round that found nothing is repeated no sooner than this when the next job's time comes.
const SOONEST: Duration = Duration::from_millis(5);

/// A round that found so many jobs is followed by another after [`BUSY_LOOK`] instead of sleep: at such a rate
/// (500 a second) looking is cheaper than being woken, for us and above all for those who would have to wake us.
const BUSY: usize = 5;
const BUSY_LOOK: Duration = Duration::from_millis(10);

/// What a round came to.
struct Round {
    /// Jobs claimed.
    found: usize,
    /// When the next waiting job is due.
    next_due: Option<Duration>,
}

/// Claims until told to stop; in drain mode, until nothing is due and nothing runs.
pub async fn run(shared: Handle, mode: Mode, launch: mpsc::Sender<Vec<Attempt>>) {
    let mut trouble = Trouble::new("claiming");
    let mut sleeper = Sleeper::default();
    loop {
        let turn = tokio::select! {
            biased;
            () = shared.draining.cancelled() => return,
            turn = turn(&shared, mode, &launch, &mut sleeper) => turn,
        };
        match turn {
            Ok(()) => trouble.over(),
            Err(SchemaError::Database(error)) => {
                let wait = trouble.wait(&error);
                tokio::select! {
                    () = shared.draining.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
            }
            Err(error) => return shared.give_up(DispatcherError::Schema(error)),
        }
    }
}

/// One round and the wait after it.
async fn turn(
    shared: &Shared,
    mode: Mode,
    launch: &mpsc::Sender<Vec<Attempt>>,
    sleeper: &mut Sleeper,
) -> Result<(), SchemaError> {
    let done = round(shared, launch).await?;
    if mode == Mode::Drain && !shared.rescued.is_cancelled() {
        // What a dispatcher that is gone left is due, too.
        shared.rescued.cancelled().await;
        return Ok(());
    }
    if mode == Mode::Drain && shared.following.is_empty() {
        shared.draining.cancel();
        return Ok(());
    }
    if done.found >= BUSY && has_room(shared) {
        wait(shared, BUSY_LOOK).await;
    } else if shared.is_listening() {
        sleep(shared, launch, sleeper, done).await?;
    } else {
        wait(shared, until_next(&done, shared.settings.dispatcher.poll_interval_without_listen)).await;
    }
    Ok(())
}

/// Sleeps until woken, or until the next job's time or the poll floor has come.
async fn sleep(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
    sleeper: &mut Sleeper,
    mut latest: Round,
) -> Result<(), SchemaError> {
    let poll = shared.settings.dispatcher.poll_interval;
    let pid = sleeper.prepare(&shared.database).await?;
    {
        // This waits for the transactions of writers who were told that nobody sleeps, for hours perhaps. Once the
        // wish is in the queue, later writers wake us, and one more look finds what was committed just before. Of
        // several writers still at work then, the last one's end wakes us; the others are found by looking.
        let floor = shared.settings.dispatcher.poll_interval_without_listen;
        let lying_down = sleeper.lie_down();
        tokio::pin!(lying_down);
        let mut in_queue = false;
        loop {
            let limit = if in_queue { until_next(&latest, floor) } else { SOONEST };
            tokio::select! {
                lain = &mut lying_down => break lain?,
                () = wait(shared, limit) => {
                    in_queue = in_queue || lies_down(&shared.database.get().await?, pid).await?;
                    latest = round(shared, launch).await?;
                }
            }
        }
    }
    // Those who were told that nobody sleeps have committed by now.
    let last_look = round(shared, launch).await;
    if let Ok(last_look) = &last_look
        && last_look.found == 0
        && shared.is_listening()
    {
        tokio::select! {
            () = wait(shared, until_next(last_look, poll)) => {}
            () = sleeper.disturbed() => {}
        }
    }
    sleeper.get_up().await;
    last_look.map(drop)
}

fn until_next(round: &Round, poll: Duration) -> Duration {
    let poll = jittered(poll);
    round.next_due.map_or(poll, |due| due.max(SOONEST).min(poll))
}

async fn wait(shared: &Shared, limit: Duration) {
    tokio::select! {
        () = shared.wake.notified() => {}
        () = tokio::time::sleep(limit) => {}
    }
}

fn has_room(shared: &Shared) -> bool {
    shared.runners.iter().any(|runner| room(shared, runner.as_ref()) > 0)
}

/// Attempts that a runner may be given now.
fn room(shared: &Shared, runner: &dyn Runner) -> usize {
    let (following, unlaunched) = shared.following.counts(runner.name());
    let Capabilities { capacity, backlog, .. } = runner.capabilities();
    capacity.saturating_sub(following).min(backlog.saturating_sub(unlaunched))
}

/// Claims until there is nothing to claim or no more room.
async fn round(shared: &Shared, launch: &mpsc::Sender<Vec<Attempt>>) -> Result<Round, SchemaError> {
    if !shared.runners.iter().any(|r| any_task(shared, r.name()) && room(shared, r.as_ref()) > 0) {
        // Nothing to claim would be found, and so no new task be noticed.
        let client = shared.database.get().await?;
        let guarded = guard(&client).await?;
        shared.parameters.refresh(&client, &guarded.parameters_stamp).await?;
    }
    let mut found = 0;
    loop {
        while let claimed @ 1.. = claim_all(shared, launch).await? {
            found += claimed;
        }
        // Only now, so that a job that has just come in need not wait for it.
        let client = shared.database.get().await?;
        let (promoted, next_due) = promote_waiting(&client).await?;
        drop(client);
        if promoted == 0 {
            return Ok(Round { found, next_due });
        }
    }
}

fn any_task(shared: &Shared, runner: &str) -> bool {
    shared.parameters.tasks().iter().any(|task| task.enabled && task.runner == runner)
}

/// One claim for each runner that has room; returns how many jobs were dealt with.
async fn claim_all(shared: &Shared, launch: &mpsc::Sender<Vec<Attempt>>) -> Result<usize, SchemaError> {
    let mut found = 0;
    for runner in shared.runners.iter() {
        let limit = room(shared, runner.as_ref()).min(shared.settings.dispatcher.batch);
        if limit == 0 {
            continue;
        }
        let mut dealt = claim_for(shared, launch, runner.name(), limit, Choice::Best).await?;
        if dealt == Some(0) {
            // There is something, and somebody holds the best of it; nothing else shall wait for that.
            dealt = claim_for(shared, launch, runner.name(), limit, Choice::Any).await?;
        }
        found += dealt.unwrap_or(0);
    }
    Ok(found)
}

/// One claim for a runner: how many jobs were dealt with, or none if there was nothing to be had.
async fn claim_for(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
    runner: &str,
    limit: usize,
    choice: Choice,
) -> Result<Option<usize>, SchemaError> {
    let taken = claim_batch(shared, runner, limit, Turn::Free(choice)).await?;
    let seen = taken.seen;
    let mut dealt = taken.jobs;
    hand_over(shared, launch, runner, taken.attempts).await;
    if !taken.unkeyed.is_empty() {
        dealt += key_some(shared, &taken.unkeyed).await?;
    }
    // Jobs that are counted are claimed apart, so that the others need not wait for the lock that makes caps exact.
    if !taken.in_turn.is_empty() && limit > taken.jobs {
        let counted = claim_batch(shared, runner, limit - taken.jobs, Turn::Mine(taken.in_turn)).await?;
        dealt += counted.jobs;
        hand_over(shared, launch, runner, counted.attempts).await;
    }
    Ok(seen.then_some(dealt))
}

async fn hand_over(
    shared: &Shared,
    launch: &mpsc::Sender<Vec<Attempt>>,
    runner: &str,
    attempts: Vec<Attempt>,
) {
    if !attempts.is_empty() {
        tracing::debug!(attempts = attempts.len(), runner, "claimed");
        shared.following.add(attempts.iter().cloned());
        // The launcher outlives the claimer; what it could not take is adopted by others.
        let _ = launch.send(attempts).await;
    }
}

/// Which jobs a claim takes.
enum Turn {
    /// Those that need not be counted.
    Free(Choice),
    /// So many of each of these tasks, with nobody else counting.
    Mine(Vec<(String, i64)>),
}

/// What a claim came to.
#[derive(Default)]
struct Taken {
    /// Whether there was anything to be had.
    seen: bool,
    jobs: usize,
    /// Of those jobs, the ones that can be launched.
    attempts: Vec<Attempt>,
    in_turn: Vec<(String, i64)>,
    unkeyed: Vec<String>,
}

/// One claim in one transaction.
///
/// Schema and parameters are looked at after the claim: whatever committed together with a claimed job, or
/// before it, is then seen. Looked at before, a job could run by parameters that its own transaction replaced.
async fn claim_batch(shared: &Shared, runner: &str, limit: usize, turn: Turn) -> Result<Taken, SchemaError> {
    let mut client = shared.database.get().await?;
    loop {
        let tasks = shared.parameters.tasks();
        let tasks: Vec<&Task> = tasks.iter().filter(|task| task.enabled && task.runner == runner).collect();
        if tasks.is_empty() {
            return Ok(Taken::default());
        }
        let transaction = client.transaction().await.map_err(DatabaseError::from)?;
        // Sent together, done one after the other.
        let claim = match &turn {
            Turn::Free(choice) => {
                let ageing = shared.settings.dispatcher.priority_ageing;
                let claim = claim(&transaction, &tasks, limit as i64, ageing, *choice);
                tokio::try_join!(be_careful(&transaction), claim)?.1
            }
            Turn::Mine(quotas) => {
                tokio::try_join!(be_careful(&transaction), take_turn(&transaction))?;
                take_counted(shared, &transaction, runner, quotas, limit).await?
            }
        };
        let guarded = guard(&transaction).await?;
        if shared.parameters.are_as_of(&guarded.parameters_stamp) {
            let Claim { seen, taken, in_turn, unkeyed } = claim;
            let jobs = taken.len();
            let mut attempts = Vec::new();
            if jobs > 0 {
                attempts = prepare(shared, &transaction, taken).await?;
                transaction.commit().await.map_err(DatabaseError::from)?;
            }
            return Ok(Taken { seen, jobs, attempts, in_turn, unkeyed });
        }
        // Somebody edited the parameters: nothing was claimed, and the next try goes by the new ones.
        transaction.rollback().await.map_err(DatabaseError::from)?;
        shared.parameters.refresh(&client, &guarded.parameters_stamp).await?;
    }
}

/// Takes jobs that are counted, in our turn. The wait for it was long enough for somebody to edit the caps.
async fn take_counted(
    shared: &Shared,
    client: &impl GenericClient,
    runner: &str,
    quotas: &[(String, i64)],
    limit: usize,
) -> Result<Claim, SchemaError> {
    let guarded = guard(client).await?;
    shared.parameters.refresh(client, &guarded.parameters_stamp).await?;
    let tasks = shared.parameters.tasks();
    let task = |(name, quota): &(String, i64)| {
        let task = tasks.iter().find(|task| task.name == *name && task.enabled && task.runner == runner);
        task.map(|task| (task, *quota))
    };
    let wanted: Vec<(&Task, i64)> = quotas.iter().filter_map(task).collect();
    let taken = claim_in_turn(client, &wanted, limit as i64).await?;
    Ok(Claim { taken, ..Claim::default() })
}
