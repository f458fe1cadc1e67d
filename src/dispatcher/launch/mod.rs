//! Hands attempts to their runners, a bounded number at a time, and writes down what the runners call them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::database::{
    DatabaseError, LaunchesNoted, RowWriting, Writing, mark_asked, mark_launched, settled_elsewhere,
    unmark_asked, write_back,
};
use crate::dispatcher::claim::prepare::grouped;
use crate::dispatcher::pace::{LAST_WORD, Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::job::{AttemptId, End, RunnerName};
use crate::runners::{Attempt, LaunchError, Launched, Runner};

/// How long an attempt that another session holds is left alone.
const HELD: Duration = Duration::from_millis(250);

/// For so long launches are gathered before they are written down. One that ends within it is written down with its end; a dispatcher that
/// dies within it has its launch repeated with the same key, as ever when the answer was not written down.
const TOGETHER: Duration = Duration::from_millis(20);

/// What the launches of one runner share.
struct Slots {
    /// Each call takes one.
    calls: Semaphore,
    /// The runner is too busy, and this was said in the log once for all of them.
    busy: AtomicBool,
}

impl Slots {
    fn new(concurrency: usize) -> Self {
        Self { calls: Semaphore::new(concurrency), busy: AtomicBool::new(false) }
    }
}

/// Launches what comes in until the channel closes. Each runner has its own slots, and each call takes one: a
/// runner that is slow or too busy holds up its own attempts only.
pub async fn run(shared: Handle, mut attempts: mpsc::Receiver<Vec<Attempt>>) {
    let concurrency = shared.settings.dispatcher.launch_concurrency;
    let slots: BTreeMap<RunnerName, Arc<Slots>> =
        shared.runners.iter().map(|r| (r.name(), Arc::new(Slots::new(concurrency)))).collect();
    loop {
        let batch = tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            batch = attempts.recv() => batch,
        };
        let Some(batch) = batch else { return };
        for attempt in batch {
            let name = attempt.request.runner;
            let (Some(runner), Some(slots)) = (shared.runners.get(name), slots.get(&name)) else {
                let reason = format!("this dispatcher does not offer the runner {name}");
                let _ = shared.signals.ends.send((attempt.id, End::not_started(reason, true)));
                continue;
            };
            let (shared, runner, slots) = (Arc::clone(&shared), Arc::clone(runner), Arc::clone(slots));
            tokio::spawn(async move {
                let Some(launching) = shared.in_flight.begin_launch(attempt.id) else { return };
                tokio::select! {
                    // A launch that is not wanted any more must not call when its slot becomes free at the same moment.
                    biased;
                    () = shared.lifecycle.stopping.cancelled() => {}
                    // The stopper of the attempt looks for what its call may have started.
                    () = launching.unwanted.cancelled() => {}
                    () = launch(&shared, runner.as_ref(), attempt, &slots) => {}
                }
            });
        }
    }
}

/// Launches one attempt, repeating it with the same key while its outcome is in doubt. It ends with success, with
/// refusal, or when the stopper has given up on it (launch_timeout).
async fn launch(shared: &Handle, runner: &dyn Runner, mut attempt: Attempt, slots: &Slots) {
    let contract = shared.contract(&attempt);
    let mut trouble = Trouble::new("a launch");
    loop {
        shared.lifecycle.lease.holds().await;
        runner.keep_pace(&attempt).await;
        // Never closed.
        let Ok(slot) = slots.calls.acquire().await else { return };
        // Once more: that may have taken long.
        shared.lifecycle.lease.holds().await;
        // Whatever the attempt says: another dispatcher may have claimed it by its own rails, or another program written it.
        if let Err(reason) = runner.may_launch(&attempt.request) {
            return refuse(shared, &attempt, reason);
        }
        let may_call =
            if runner.capabilities().repeatable { Ok(true) } else { may_ask(shared, &attempt).await };
        let answer = match may_call {
            Ok(true) => runner.launch(&attempt, &contract).await,
            // Another dispatcher's by now.
            Ok(false) => return,
            Err(error) => Err(LaunchError::Ambiguous(error.to_string())),
        };
        drop(slot);
        let error = match answer {
            Ok(launched) => {
                if slots.busy.swap(false, Ordering::Relaxed) {
                    tracing::info!(runner = %runner.name(), "launches go on");
                }
                return taken(shared, runner, &attempt, launched).await;
            }
            Err(LaunchError::Refused { reason, retryable, cause }) => {
                let _ = shared
                    .signals
                    .ends
                    .send((attempt.id, End::not_started(reason, retryable).because(cause)));
                return;
            }
            Err(LaunchError::Lost(reason)) => {
                let _ = shared.signals.ends.send((attempt.id, End::lost(reason)));
                return;
            }
            Err(error) => error,
        };
        shared.in_flight.held_up(attempt.id, &error.to_string());
        attempt.in_doubt |= matches!(error, LaunchError::Ambiguous(_));
        if !runner.capabilities().repeatable
            && matches!(error, LaunchError::Busy(_))
            && let Err(error) = not_asked(shared, &attempt).await
        {
            // Only a dispatcher that adopts this attempt would have to know. We may ask again, and will.
            tracing::debug!(attempt = attempt.id.get(), %error, "cannot take back the note that its runner was called");
        }
        let wait = match &error {
            LaunchError::Busy(reason) => {
                if slots.busy.swap(true, Ordering::Relaxed) {
                    tracing::debug!(runner = %runner.name(), reason, "a launch waits");
                } else {
                    tracing::warn!(
                        runner = %runner.name(),
                        reason,
                        "launches wait: the runner cannot take any now"
                    );
                }
                trouble.wait_silently()
            }
            _ => trouble.wait(&error),
        };
        tokio::time::sleep(wait).await;
    }
}

/// Its rails forbid it here. What an earlier call may have started under its key is looked for, and stopped.
fn refuse(shared: &Handle, attempt: &Attempt, reason: String) {
    tracing::warn!(
        job = attempt.job_id.get(),
        attempt = attempt.id.get(),
        number = attempt.number,
        task = attempt.task,
        reason,
        "may not be launched"
    );
    if attempt.in_doubt {
        shared.in_flight.shall_end(attempt.id, &reason);
    } else {
        let _ = shared.signals.ends.send((attempt.id, End::not_started(reason, true)));
    }
}

/// Writes down that its runner is about to be called, once.
async fn may_ask(shared: &Handle, attempt: &Attempt) -> Result<bool, DatabaseError> {
    let marking = async { mark_asked(&shared.database.get().await?, shared.identity.id, attempt.id).await };
    shared.within(marking).await
}

/// Takes back the note that its runner was called.
async fn not_asked(shared: &Handle, attempt: &Attempt) -> Result<(), DatabaseError> {
    let marking = async { unmark_asked(&shared.database.get().await?, shared.identity.id, attempt.id).await };
    shared.within(marking).await
}

async fn taken(shared: &Handle, runner: &dyn Runner, attempt: &Attempt, launched: Launched) {
    let launched = launched.storable();
    tracing::info!(
        job = attempt.job_id.get(),
        attempt = attempt.id.get(),
        number = attempt.number,
        task = attempt.task,
        external_id = launched.external_id,
        "launched"
    );
    if shared.in_flight.confirm_launch(attempt.id, &launched) {
        let _ = shared.signals.launches.send((attempt.id, launched));
    } else {
        stop_if_over(shared, runner, attempt, launched).await;
    }
    if runner.capabilities().backlog < usize::MAX {
        shared.signals.wake.notify_one();
    }
}

/// The runner took its time, and the attempt was cancelled or given up meanwhile: no dispatcher would follow what runs
/// now. If another dispatcher has taken the attempt over, it is that one's to follow.
async fn stop_if_over(shared: &Handle, runner: &dyn Runner, attempt: &Attempt, launched: Launched) {
    let asking = async { settled_elsewhere(&shared.database.get().await?, &[attempt.id]).await };
    let over = shared.within(asking).await;
    let attempt = Attempt { external_id: Some(launched.external_id.clone()), ..attempt.clone() };
    let stopped = match over {
        Ok(over) if over.is_empty() => return,
        Ok(_) => {
            // Of an attempt that is over, what is not known of it yet is written down: the place of its log.
            let _ = shared.signals.launches.send((attempt.id, launched));
            runner.stop(&attempt, "launched after its attempt was over").await
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = stopped {
        let id = attempt.id;
        tracing::warn!(
            attempt = id.get(),
            error,
            "launched late; whether its attempt is over is not known, or what runs cannot be stopped"
        );
    }
}

/// Writes the runner's names of attempts into rows that keep them. What cannot be written now is written at the end.
async fn name_in_rows(shared: &Shared, rows: Vec<(u32, RowWriting)>) {
    for (source_table, rows) in grouped(rows, |(table, _)| *table) {
        let rows: Vec<RowWriting> = rows.into_iter().map(|(_, row)| row).collect();
        let writing = async {
            let mut client = shared.database.get().await?;
            let transaction = client.transaction();
            let writing = write_back(&transaction, source_table, None, &rows, Writing::Onward);
            tokio::try_join!(transaction.begin(), writing)?;
            transaction.commit_after_users().await?;
            drop(transaction);
            shared.database.give_back(client);
            Ok::<_, DatabaseError>(())
        };
        if let Err(error) = shared.within(writing).await {
            tracing::debug!(%error, source_table, rows = rows.len(), "rows do not have the names of their attempts yet");
        }
    }
}

/// Writes down launches, as many at a time as have come together.
pub async fn record(shared: Handle, mut launched: mpsc::UnboundedReceiver<(AttemptId, Launched)>) {
    let mut batch: Vec<(AttemptId, Launched)> = Vec::new();
    let mut trouble = Trouble::new("recording launches");
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            received = launched.recv_many(&mut batch, shared.settings.dispatcher.batch) => {
                if received == 0 {
                    return;
                }
                due.get_or_insert_with(|| Instant::now() + TOGETHER);
                continue;
            }
            // A launch that hangs must not hold up the end; the next dispatcher repeats it with the same key. What waited
            // for an attempt that was being settled is told once more: the settler is done with it.
            () = shared.lifecycle.stopping.cancelled() => {
                let marking = async { mark_launched(&shared.database.get().await?, &batch).await };
                if !batch.is_empty() && let Err(error) = shared.database.within(LAST_WORD, marking).await {
                    tracing::debug!(%error, launches = batch.len(), "the last launches could not be written down");
                }
                return;
            }
        }
        batch.retain(|(id, _)| shared.in_flight.notes_launch(*id));
        due = None;
        if batch.is_empty() {
            continue;
        }
        let pause = match note(&shared, &batch).await {
            Ok(held) => {
                trouble.over();
                batch.retain(|(id, _)| held.contains(id));
                (!batch.is_empty()).then(|| jittered(HELD))
            }
            Err(error) => Some(trouble.wait(&error)),
        };
        due = pause.map(|pause| Instant::now() + pause);
    }
}

/// Writes launches down; those that are held come back. After an error that is about a value, one by one.
async fn note(shared: &Shared, batch: &[(AttemptId, Launched)]) -> Result<Vec<AttemptId>, DatabaseError> {
    let mark = async |launched: &[(AttemptId, Launched)]| {
        let marking = async { mark_launched(&shared.database.get().await?, launched).await };
        let LaunchesNoted { held, rows } = shared.within(marking).await?;
        name_in_rows(shared, rows).await;
        Ok::<_, DatabaseError>(held)
    };
    match mark(batch).await {
        Err(error) if error.is_of_a_value() => {}
        done => return done,
    }
    let mut held = Vec::new();
    for launched in batch {
        match mark(std::slice::from_ref(launched)).await {
            Ok(this) => held.extend(this),
            // That it was launched must be known, or it would count as never launched.
            Err(error) if error.is_of_a_value() => {
                tracing::warn!(attempt = launched.0.get(), %error, "what its runner calls it cannot be written down");
                let nameless = Launched { external_id: String::new(), log: None, ..launched.1.clone() };
                held.extend(mark(&[(launched.0, nameless)]).await?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(held)
}
