//! One claim in one transaction: locks jobs and reads their rows, prepares them, and starts those that are ready.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::concurrency_keys::admit;
use super::low_water::{HEAD, reached};
use super::prepare::{Started, prepare, read_rows, sort_all};
use super::room::{Room, must_wait};
use super::start_at_once::{FEW, can_start_at_once, start_at_once};
use crate::database::{
    Choice, Claim, DatabaseError, SchemaError, Statements, Transaction, Wish, announce_jobs, claim,
    claim_counted, claim_few, claim_unkeyed, defer, lock_claims, read_stamp,
};
use crate::dispatcher::pace::{ROW_HELD, jittered};
use crate::dispatcher::shared::Shared;
use crate::job::{JobId, RunnerName};
use crate::parameters::Task;
use crate::runners::Attempt;

/// Which jobs a claim takes.
pub enum Which {
    /// Those that need not be counted.
    Uncounted(Choice),
    /// So many of each of these tasks, while no other dispatcher counts.
    Counted(Vec<(String, i64)>),
    /// Those of this task whose concurrency keys are not known yet, while no other dispatcher counts.
    Unkeyed(String),
}

/// What a claim came to.
#[derive(Default)]
pub struct Batch {
    /// Whether there was anything to be had.
    pub seen: bool,
    pub jobs: usize,
    /// Nothing was taken, as something must wait for a free slot.
    pub waits: bool,
    /// Of those jobs, the ones that can be launched.
    pub attempts: Vec<Attempt>,
    pub counted: Vec<(String, i64)>,
    pub unkeyed: Vec<String>,
}

/// One claim. After an error that Postgres answers with, job by job, and the one that it is about is set aside: a trigger or a
/// constraint of its table may fail as late as at the commit.
pub async fn claim_within(
    shared: &Shared,
    runner: RunnerName,
    room: Room,
    which: Which,
) -> Result<Batch, SchemaError> {
    let (error, jobs) = match claim_once(shared, runner, room, &which).await {
        Ok(batch) => return Ok(batch),
        Err((error, jobs)) => (error, jobs),
    };
    let SchemaError::Database(error) = error else { return Err(error) };
    if jobs.is_empty() || !error.is_an_answer() || error.is_a_lock() || error.is_away() {
        return Err(error.into());
    }
    tracing::debug!(%error, jobs = jobs.len(), "claiming one by one");
    let mut whole = Batch { seen: true, ..Batch::default() };
    for _ in jobs {
        match claim_once(shared, runner, room.without(whole.jobs).at_most(1), &which).await {
            Ok(one) if one.jobs == 0 => {
                whole.waits = one.waits;
                whole.unkeyed = one.unkeyed;
                break;
            }
            Ok(one) => {
                whole.jobs += one.jobs;
                whole.attempts.extend(one.attempts);
            }
            Err((SchemaError::Database(error), job)) if job.len() == 1 && error.is_an_answer() => {
                shared.within(set_aside(shared, job[0], &error)).await?;
                whole.jobs += 1;
            }
            Err((error, _)) => return Err(error),
        }
    }
    Ok(whole)
}

/// The claim within its time, and after an error the jobs that it had locked.
async fn claim_once(
    shared: &Shared,
    runner: RunnerName,
    room: Room,
    which: &Which,
) -> Result<Batch, (SchemaError, Vec<JobId>)> {
    let mut jobs = Vec::new();
    // Large, as it holds the parts of what it sends together.
    let claiming = Box::pin(claim_batch(shared, runner, room, which, &mut jobs));
    let claimed = shared.within(claiming).await;
    if let Err(SchemaError::Database(error)) = &claimed
        && error.may_have_lost_terms()
    {
        shared.terms.forget();
    }
    claimed.map_err(|error| (error, jobs))
}

/// Lets a job wait whose claim fails.
async fn set_aside(shared: &Shared, job: JobId, error: &DatabaseError) -> Result<(), DatabaseError> {
    tracing::warn!(job = job.get(), %error, "it cannot be claimed now; the others can");
    let mut client = shared.database.get().await?;
    let transaction = client.transaction();
    let words = format!("it cannot be claimed: {error}");
    let jobs = [job];
    let deferring = defer(&transaction, &jobs, jittered(ROW_HELD), &words);
    tokio::try_join!(transaction.begin(), deferring)?;
    transaction.commit().await
}

/// One claim in one transaction.
///
/// Schema and parameters are looked at last of all, just before the commit: whatever was committed together with a claimed
/// job, or before the job was started, is then seen. Where an edit has changed one of the tasks of this batch, nothing of
/// it stands, and the next try goes by the new ones. Looked at before, a job could run by parameters that its own
/// transaction replaced, or beyond a cap that was lowered before it started.
async fn claim_batch(
    shared: &Shared,
    runner: RunnerName,
    room: Room,
    which: &Which,
    locked: &mut Vec<JobId>,
) -> Result<Batch, SchemaError> {
    let limit = room.size;
    let mut client = shared.database.get().await?;
    let mut is_first_try = true;
    let mut asking =
        Asking { for_all: !shared.signals.queue_is_short.load(Ordering::Relaxed), for_jobs_alone: false };
    loop {
        let (mut known, read_under) = shared.parameters.tasks_and_stamp();
        let tasks: Vec<&Task> = known.iter().filter(|task| room.admits(shared, runner, task)).collect();
        if tasks.is_empty() {
            return Ok(Batch::default());
        }
        let transaction = client.transaction();
        let Some(claim) = ask(shared, &transaction, runner, &tasks, room, which, &mut asking).await? else {
            continue;
        };
        if !matches!(which, Which::Uncounted(_)) {
            known = shared.parameters.tasks();
        }
        if must_wait(shared, runner, room, &claim) {
            transaction.rollback().await?;
            drop(transaction);
            if !claim.taken.is_empty() {
                // Others with free slots may have passed over these meanwhile, and sleep.
                announce_jobs(&client).await?;
            }
            return Ok(Batch { waits: true, unkeyed: claim.unkeyed, ..Batch::default() });
        }
        let Claim { seen, taken, rows, counted, unkeyed } = claim;
        let is_all = taken.len() < limit;
        *locked = taken.iter().map(|job| job.job_id).collect();
        let jobs = taken.len();
        let reached = match which {
            Which::Uncounted(Choice::Best) => reached(&taken),
            Which::Uncounted(Choice::Any) | Which::Counted(_) | Which::Unkeyed(_) => Vec::new(),
        };
        let is_short = jobs <= FEW && is_all && counted.is_empty() && unkeyed.is_empty();
        shared.signals.queue_is_short.store(is_short, Ordering::Relaxed);
        let names: BTreeSet<String> = taken.iter().map(|job| job.task.clone()).collect();
        let rows = match rows {
            Some(rows) => rows,
            None => read_rows(&transaction, &taken).await?,
        };
        let mut prepared = sort_all(shared, &known, taken, rows);
        admit(&transaction, &mut prepared.sorted, matches!(which, Which::Unkeyed(_))).await?;
        let can_be_short = is_first_try && matches!(which, Which::Uncounted(_));
        if can_be_short && can_start_at_once(&known, &prepared) {
            match start_at_once(shared, &transaction, &read_under, prepared).await {
                Ok(Started::All(attempts)) => {
                    shared.turns.note(&names, &known);
                    shared.low_water.note(runner, &reached, is_all);
                    drop(transaction);
                    shared.database.give_back(client);
                    return Ok(Batch { seen, jobs, waits: false, attempts, counted, unkeyed });
                }
                Ok(Started::Unknown(terms)) => {
                    shared.terms.write_instead(&transaction, terms).await?;
                    continue;
                }
                // Whatever is wrong, the long way says of which job.
                Err(error) if error.is_an_answer() && !error.is_away() => {
                    is_first_try = false;
                    if error.may_have_lost_terms() {
                        shared.terms.forget();
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut attempts = Vec::new();
        if jobs > 0 {
            match prepare(shared, &transaction, &known, prepared).await? {
                Started::All(ready) => attempts = ready,
                Started::Unknown(terms) => {
                    shared.terms.write_instead(&transaction, terms).await?;
                    continue;
                }
            }
        }
        let stamp = read_stamp(&transaction).await?;
        let edited = shared.parameters.refresh(&transaction, &stamp.parameters).await?;
        if edited {
            shared.reach.forget();
        }
        if !edited || jobs > 0 && unchanged(&names, &known, &shared.parameters.tasks()) {
            if jobs > 0 {
                shared.turns.note(&names, &known);
                transaction.commit_after_users().await?;
                shared.low_water.note(runner, &reached, is_all);
                drop(transaction);
                shared.database.give_back(client);
            }
            return Ok(Batch { seen, jobs, waits: false, attempts, counted, unkeyed });
        }
        transaction.rollback().await?;
    }
}

/// In which way a claim is asked for: in the quickest first.
struct Asking {
    /// There may be more than a few jobs, from which to choose.
    for_all: bool,
    /// Rows are read later: reading them may run code of users, whose error would be the whole claim's.
    for_jobs_alone: bool,
}

/// Begins the transaction and locks jobs: sent together, done one after the other. None if that must be asked for in another way.
async fn ask(
    shared: &Shared,
    transaction: &Transaction<'_>,
    runner: RunnerName,
    tasks: &[&Task],
    room: Room,
    which: &Which,
    asking: &mut Asking,
) -> Result<Option<Claim>, SchemaError> {
    let (dispatcher_id, limit) = (shared.identity.id, room.size);
    let choice = match which {
        Which::Uncounted(choice) => *choice,
        Which::Counted(quotas) => {
            tokio::try_join!(transaction.begin(), lock_claims(transaction))?;
            return take_counted(shared, transaction, runner, quotas, room).await.map(Some);
        }
        Which::Unkeyed(task) => {
            tokio::try_join!(transaction.begin(), lock_claims(transaction))?;
            let tasks = tasks_in_our_turn(shared, transaction, runner, room).await?;
            let task = tasks.iter().find(|known| known.name == *task && known.concurrency_key.is_some());
            return match task {
                Some(task) => Ok(Some(claim_unkeyed(transaction, dispatcher_id, task, limit as i64).await?)),
                None => Ok(Some(Claim::default())),
            };
        }
    };
    if choice == Choice::Best && !asking.for_all && limit > 1 {
        let few = limit.min(FEW + 1) as i64;
        let since = |names: &[&str]| shared.low_water.since(runner, names.iter().copied(), Instant::now());
        let claiming = claim_few(transaction, dispatcher_id, tasks, few, since);
        let claimed = tokio::try_join!(transaction.begin(), claiming);
        if claimed.is_ok() {
            shared.low_water.looked(runner, Instant::now());
        }
        return match claimed {
            Ok(((), Some(claim))) => Ok(Some(claim)),
            // More than a few jobs: the full claim chooses among them.
            Ok(((), None)) => {
                asking.for_all = true;
                transaction.rollback().await?;
                Ok(None)
            }
            // Code of users may have failed: the full claim locks first, and so says of which job.
            Err(error) if error.is_an_answer() && !error.is_away() => {
                *asking = Asking { for_all: true, for_jobs_alone: true };
                Ok(None)
            }
            Err(error) => Err(error.into()),
        };
    }
    let names = tasks.iter().map(|task| task.name.as_str());
    let wish = Wish {
        limit: limit as i64,
        ageing: shared.settings.dispatcher.priority_ageing,
        choice,
        with_rows: limit <= FEW && !asking.for_jobs_alone,
        since: match choice {
            Choice::Best => shared.low_water.since(runner, names, Instant::now()),
            // Others hold the best: what they give back is behind a mark.
            Choice::Any => names.map(|_| HEAD).unzip(),
        },
    };
    let with_rows = wish.with_rows;
    let served = shared.turns.latest(tasks);
    let claiming = claim(transaction, dispatcher_id, tasks, &served, wish);
    let claimed = tokio::try_join!(transaction.begin(), claiming);
    if choice == Choice::Best && claimed.is_ok() {
        shared.low_water.looked(runner, Instant::now());
    }
    match claimed {
        Ok(((), claim)) => Ok(Some(claim)),
        Err(error) if with_rows && error.is_an_answer() && !error.is_away() => {
            asking.for_jobs_alone = true;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether these tasks are in both readings of the parameters, and alike.
fn unchanged(names: &BTreeSet<String>, before: &[Task], now: &[Task]) -> bool {
    let find = |tasks: &[Task], name: &String| tasks.iter().find(|task| task.name == *name).cloned();
    names.iter().all(|name| find(before, name) == find(now, name))
}

/// The tasks of a runner, read with the lock that makes counts exact: the wait for it was long enough for an edit of the caps.
async fn tasks_in_our_turn(
    shared: &Shared,
    client: &impl Statements,
    runner: RunnerName,
    room: Room,
) -> Result<Vec<Task>, SchemaError> {
    let stamp = read_stamp(client).await?;
    shared.parameters.refresh(client, &stamp.parameters).await?;
    let tasks = shared.parameters.tasks();
    Ok(tasks.iter().filter(|task| room.admits(shared, runner, task)).cloned().collect())
}

/// Locks jobs that are counted.
async fn take_counted(
    shared: &Shared,
    client: &impl Statements,
    runner: RunnerName,
    quotas: &[(String, i64)],
    room: Room,
) -> Result<Claim, SchemaError> {
    let tasks = tasks_in_our_turn(shared, client, runner, room).await?;
    let task = |(name, quota): &(String, i64)| {
        let task = tasks.iter().find(|task| task.name == *name);
        task.map(|task| (task, *quota))
    };
    let wanted: Vec<(&Task, i64)> = quotas.iter().filter_map(task).collect();
    Ok(claim_counted(client, shared.identity.id, &wanted, room.size as i64).await?)
}
