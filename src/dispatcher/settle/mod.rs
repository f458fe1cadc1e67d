//! Ends attempts: decides what an end means, writes it into the row, and settles the job, a batch at a time.
//!
//! It waits for no lock. A job or a row that another session holds is left for a later round, so that a long transaction
//! stalls only what it touches.

mod write_rows;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::mpsc;

use self::write_rows::{DecidedAttempt, write_rows};
use crate::crash::around;
use crate::database::{
    DatabaseError, EndedAttempt, FinishedJob, OpenAttempt, RetriedJob, Written, lock_for_settling,
    retry_jobs, settle_attempts, settled_elsewhere,
};
use crate::dispatcher::follow::followed::FollowedAttempt;
use crate::dispatcher::pace::{Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::dispatcher::terms::{Agreed, ReadTerms, Unread};
use crate::job::{
    AttemptId, Completion, End, Facts, How, Next, Outcome, Policy, RowWrite, Settlement, settle, storable,
};
use crate::parameters::{Task, WriteBack};

static NEVER_AGAIN: LazyLock<Policy> = LazyLock::new(Policy::never_again);

/// How long what another session holds is left alone.
const HELD: Duration = Duration::from_millis(250);

/// Settles what comes in until the channel closes or everything stops.
pub async fn run(shared: Handle, mut ends: mpsc::UnboundedReceiver<(AttemptId, End)>) {
    let mut waiting: HashMap<AttemptId, End> = HashMap::new();
    // One after the other, so that what is held for long leaves room in the batches for the others. With whether each has
    // been tried already.
    let mut queue: VecDeque<(AttemptId, bool)> = VecDeque::new();
    let mut incoming = Vec::new();
    let mut trouble = Trouble::new("settling");
    let mut pause = None;
    loop {
        let limit = shared.settings.dispatcher.batch;
        tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            n = ends.recv_many(&mut incoming, limit) => if n == 0 { return },
            () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
        }
        for (id, end) in incoming.drain(..) {
            if shared.in_flight.contains(id) && !waiting.contains_key(&id) {
                // Its launch may not be written down yet.
                let external_id = end.external_id.clone().or_else(|| shared.in_flight.external_id(id));
                waiting.insert(id, storable_end(End { external_id, ..end }));
                queue.push_back((id, false));
            }
        }
        // What another dispatcher has taken over is not followed any more.
        waiting.retain(|id, _| shared.in_flight.contains(*id));
        queue.retain(|(id, _)| waiting.contains_key(id));
        let batch: Vec<(AttemptId, bool)> = queue.drain(..limit.min(queue.len())).collect();
        let ids: Vec<AttemptId> = batch.iter().map(|(id, _)| *id).collect();
        let settling = tokio::select! {
            // What is not settled is found by the next dispatcher.
            () = shared.lifecycle.stopping.cancelled() => return,
            settling = settle_apart(&shared, &ids, &waiting) => settling,
        };
        match settling {
            Ok(settled) => {
                trouble.over();
                waiting.retain(|id, _| !settled.attempts.contains(id));
                let left: Vec<_> =
                    settled.attempts.iter().filter_map(|id| shared.in_flight.remove(*id)).collect();
                // All at once: each may take as long as its program takes to die.
                join_all(left.iter().map(|followed| leave(&shared, followed))).await;
                // One that polls may be told to drain, and waits for the last end.
                if settled.gives_work || !shared.signals.is_listening() {
                    shared.signals.wake.notify_one();
                }
                queue.extend(ids.into_iter().filter(|id| waiting.contains_key(id)).map(|id| (id, true)));
                pause = match queue.front() {
                    None => None,
                    Some(_) if queue.iter().any(|(_, tried)| !tried) => Some(Duration::ZERO),
                    Some(_) => Some(jittered(HELD)),
                };
            }
            Err(error) => {
                queue.extend(batch);
                pause = Some(trouble.wait(&error));
            }
        }
    }
}

/// What a batch came to.
#[derive(Debug, Default)]
struct Settled {
    /// Attempts that need nothing more.
    attempts: Vec<AttemptId>,
    /// Whether there may be something to claim now, or a time to wait for, that was not there before.
    gives_work: bool,
}

/// Nothing of a settled attempt may stay.
async fn leave(shared: &Shared, followed: &FollowedAttempt) {
    let attempt = &followed.attempt;
    if let Some(runner) = shared.runners.get(attempt.request.runner) {
        around("forget", runner.forget(attempt)).await;
    }
}

/// Settles a batch; if that fails, one by one: one of them may spoil it for all, and alone each shows what it
/// is worth.
async fn settle_apart(
    shared: &Shared,
    ids: &[AttemptId],
    ends: &HashMap<AttemptId, End>,
) -> Result<Settled, DatabaseError> {
    // Large, as it holds the parts of what it sends together.
    let settling = |ids| shared.within(Box::pin(settle_batch(shared, ids, ends)));
    let failed = match settling(ids).await {
        Err(error) if ids.len() > 1 && error.is_an_answer() => error,
        other => return other,
    };
    tracing::debug!(error = %failed, batch = ids.len(), "settling one by one");
    let (mut settled, mut last) = (Settled::default(), failed);
    for id in ids {
        match settling(std::slice::from_ref(id)).await {
            Ok(done) => {
                settled.attempts.extend(done.attempts);
                settled.gives_work |= done.gives_work;
            }
            Err(error) => {
                tracing::debug!(attempt = id.get(), %error, "cannot be settled now");
                last = error;
                // The database is away: each further try would take as long to fail.
                if !last.is_an_answer() {
                    break;
                }
            }
        }
    }
    if settled.attempts.is_empty() { Err(last) } else { Ok(settled) }
}

/// Without what Postgres cannot keep: one character, and numbers beyond its own, which become strings.
fn storable_end(mut end: End) -> End {
    [&mut end.reason, &mut end.output, &mut end.external_id].into_iter().flatten().for_each(storable);
    end.result = end.result.map(storable_value);
    end
}

fn storable_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => items.into_iter().map(storable_value).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, v)| (name.replace('\0', "\u{fffd}"), storable_value(v))).collect()
        }
        Value::Number(number) if digits(number.as_str()) > MOST_DIGITS => Value::String(number.to_string()),
        other => other,
    }
}

/// Digits that a number of a result may come to. Postgres has room for more, but 1e16000 takes little to write.
const MOST_DIGITS: u64 = 1000;

/// The digits that a number comes to once its exponent is written out.
fn digits(number: &str) -> u64 {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    exponent.parse::<i64>().map_or(u64::MAX, i64::unsigned_abs).saturating_add(mantissa.len() as u64)
}

/// Settles what can be settled now; returns the attempts that need nothing more.
async fn settle_batch(
    shared: &Shared,
    ids: &[AttemptId],
    ends: &HashMap<AttemptId, End>,
) -> Result<Settled, DatabaseError> {
    if ids.is_empty() {
        return Ok(Settled::default());
    }
    let mut client = shared.database.get().await?;
    let transaction = client.transaction();
    let ((), open) =
        tokio::try_join!(transaction.begin(), lock_for_settling(&transaction, shared.identity.id, ids))?;
    let mut done = Settled::default();
    if open.len() < ids.len() {
        done.attempts = settled_elsewhere(&transaction, ids).await?;
        // Perhaps by this one, whose commit went through and whose answer did not come.
        done.gives_work = !done.attempts.is_empty();
    }

    let terms = shared.terms.read(&transaction, open.iter().map(|open| open.terms_id.as_str())).await?;
    let mut decided = Vec::with_capacity(open.len());
    for mut open in open {
        let Some(end) = ends.get(&open.id) else { continue };
        if open.stop.is_none()
            && let Some((cause, reason)) = shared.in_flight.unwritten_stop(open.id)
        {
            open.stop = Some((cause.outcome_of_stop()?, cause, reason));
        }
        let (settlement, write_back) = match agreed_for(&open, &terms) {
            Ok(agreed) => (decide(shared, &open, end, &agreed), Arc::clone(&agreed.write_back)),
            Err(Unread { words, write_back }) => {
                (decide_unread(shared, &open, end, words, &write_back), write_back)
            }
        };
        let result = match &open.report {
            Some(_) => open.result.clone(),
            None => end.result.clone(),
        };
        let external_id = end.external_id.clone().or_else(|| open.external_id.clone());
        decided.push(DecidedAttempt { open, write_back, settlement, result, external_id, written: None });
    }
    write_rows(&transaction, &mut decided).await?;

    let (mut attempts, mut finished, mut retried) = (Vec::new(), Vec::new(), Vec::new());
    let mut tasks: HashSet<String> = HashSet::new();
    for DecidedAttempt { open, settlement, written, .. } in decided {
        if matches!(written, Some(Written::Locked | Written::Later)) {
            continue;
        }
        let end = ends.get(&open.id);
        done.attempts.push(open.id);
        done.gives_work |= open.again || matches!(settlement.next, Next::Retry(_));
        tasks.insert(open.task.clone());
        log(&open, &settlement, written.as_ref());
        attempts.push(EndedAttempt {
            id: open.id,
            outcome: settlement.outcome,
            cause: settlement.cause,
            exit_code: end.and_then(|e| e.exit_code),
            reason: settlement.message.clone(),
            output: end.and_then(|e| e.output.clone()),
            result: end.and_then(|e| e.result.clone()),
            external_id: end.and_then(|e| e.external_id.clone()),
            ago: end.and_then(|e| e.ago).unwrap_or_default(),
            launched: shared.in_flight.unnoted_launch(open.id),
        });
        match settlement.next {
            Next::Finish => finished.push(FinishedJob {
                job_id: open.job_id,
                attempt_id: open.id,
                outcome: settlement.outcome,
                cause: settlement.cause,
                message: settlement.message,
                write_back: written.and_then(|w| w.remark()),
            }),
            Next::Retry(delay) => retried.push(RetriedJob {
                job_id: open.job_id,
                attempt_id: open.id,
                delay,
                failures: settlement.failures,
                runner_failures: settlement.runner_failures,
                reason: settlement.message,
            }),
        }
    }
    let launched: Vec<AttemptId> =
        attempts.iter().filter(|ended| ended.launched.is_some()).map(|ended| ended.id).collect();
    if !attempts.is_empty() {
        // Before their attempts are moved, from which it takes what they have made of their rows.
        retry_jobs(&transaction, &retried).await?;
        settle_attempts(&transaction, &attempts, &finished).await?;
    }
    transaction.commit_after_users().await?;
    shared.in_flight.launches_noted(&launched);
    drop(transaction);
    shared.database.give_back(client);
    // Only now: a cap that was set meanwhile counted these as running.
    done.gives_work |= tasks.iter().any(|task| is_counted(shared, task));
    Ok(done)
}

/// Whether the end of one job of this task may let another one start.
fn is_counted(shared: &Shared, task: &str) -> bool {
    shared.parameters.tasks().iter().find(|known| known.name == task).is_none_or(Task::is_counted)
}

/// What this attempt was launched by.
fn agreed_for(open: &OpenAttempt, terms: &HashMap<String, ReadTerms>) -> ReadTerms {
    let terms = terms.get(&open.terms_id).cloned().unwrap_or_else(|| Err(Unread::gone()));
    let Some(unreadable) = &open.unreadable else { return terms };
    let write_back = match terms {
        Ok(agreed) => Arc::clone(&agreed.write_back),
        Err(Unread { write_back, .. }) => write_back,
    };
    Err(Unread { words: format!("its attempt cannot be read: {unreadable}"), write_back })
}

fn decide(shared: &Shared, open: &OpenAttempt, end: &End, agreed: &Agreed) -> Settlement {
    let facts = Facts {
        policy: &agreed.policy,
        completion: agreed.completion,
        ..facts(shared, open, end, &agreed.write_back)
    };
    settle(&facts, rand::random())
}

/// Nothing may rest for ever: an attempt that cannot be read ends, and is not tried again, since what it would have been
/// tried by is not known. Its own report counts as ever.
fn decide_unread(
    shared: &Shared,
    open: &OpenAttempt,
    end: &End,
    words: String,
    write_back: &WriteBack,
) -> Settlement {
    tracing::error!(attempt = open.id.get(), "{words}");
    let end = End { how: How::Unseen, reason: Some(words.clone()), ..end.clone() };
    let settlement = settle(&facts(shared, open, &end, write_back), rand::random());
    let message = settlement.message.or(Some(words));
    // A write-back that expects no status would write nothing.
    let row =
        if write_back.expected.is_empty() && !write_back.observer { RowWrite::None } else { settlement.row };
    Settlement { message, row, ..settlement }
}

/// What is known whatever the frozen request says.
fn facts<'a>(shared: &Shared, open: &'a OpenAttempt, end: &'a End, write_back: &'a WriteBack) -> Facts<'a> {
    Facts {
        end,
        report: open.report.as_ref(),
        stop: open.stop.as_ref().map(|(outcome, cause, reason)| (*outcome, *cause, reason.as_str())),
        moved_to: open.moved_to.as_deref(),
        moved_by_task: open.moved_by_task,
        expected: &write_back.expected,
        again: open.again,
        status_succeeded: write_back.status_succeeded.as_deref(),
        status_failed: write_back.status_failed.as_deref(),
        status_runner_failed: write_back.status_runner_failed.as_deref(),
        policy: &NEVER_AGAIN,
        completion: Completion::Report,
        failures: open.failures,
        runner_failures: open.runner_failures,
        max_runner_failures: shared.settings.dispatcher.max_runner_failures,
    }
}

fn log(open: &OpenAttempt, settlement: &Settlement, written: Option<&Written>) {
    let key: &Value = &open.row_key;
    let (job, attempt, number) = (open.job_id.get(), open.id.get(), open.number);
    let (task, table) = (open.task.as_str(), open.table_name.as_str());
    // To the millisecond.
    let seconds = (open.seconds * 1000.0).round() / 1000.0;
    let outcome = settlement.outcome.as_str();
    let reason = settlement.message.as_deref().unwrap_or_default();
    if let Some(Written::Failed(error)) = written {
        tracing::warn!(job, attempt, number, task, table, %key, seconds, outcome, error, "settled, but the row could not be written");
    } else if let Next::Retry(delay) = settlement.next {
        let again_in_seconds = (delay.as_secs_f64() * 10.0).round() / 10.0;
        // What became of it is not known: that is seldom, and a person may want to look.
        if settlement.outcome == Outcome::Lost {
            tracing::warn!(job, attempt, number, task, table, %key, seconds, outcome, reason, again_in_seconds, "attempt ended");
        } else {
            tracing::info!(job, attempt, number, task, table, %key, seconds, outcome, reason, again_in_seconds, "attempt ended");
        }
    } else if settlement.outcome == Outcome::Succeeded {
        tracing::info!(job, attempt, number, task, table, %key, seconds, outcome, "settled");
    } else {
        tracing::warn!(job, attempt, number, task, table, %key, seconds, outcome, reason, "settled");
    }
}
