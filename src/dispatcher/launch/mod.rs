//! Hands attempts to their runners, a bounded number at a time, and writes down what the runners call them.

pub mod reach;
pub mod record;
pub mod short_tasks;
mod stock;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc};

use self::stock::{Stock, give_one_back};
use crate::crash::around;
use crate::database::{DatabaseError, mark_asked, settled_elsewhere, unmark_asked};
use crate::dispatcher::follow::in_flight::Launching;
use crate::dispatcher::pace::Trouble;
use crate::dispatcher::shared::{Handle, Shared};
use crate::job::{End, RunnerName};
use crate::runners::boot_clock::BootInstant;
use crate::runners::{Attempt, LaunchError, Launched, Runner};

/// What the launches of one runner share.
struct Calls {
    /// Each call takes one.
    permits: Semaphore,
    /// The runner is too busy, and this was said in the log once for all of them.
    busy: AtomicBool,
}

impl Calls {
    fn new(concurrency: usize) -> Self {
        Self { permits: Semaphore::new(concurrency), busy: AtomicBool::new(false) }
    }
}

type CallsByRunner = BTreeMap<RunnerName, Arc<Calls>>;

/// Launches what comes in, each attempt when its runner has a slot for it, until everything stops. Each runner has its own calls,
/// and each launch takes one: a runner that is slow or too busy holds up its own attempts only.
pub async fn run(shared: Handle, mut attempts: mpsc::Receiver<Vec<Attempt>>) {
    let concurrency = shared.settings.dispatcher.launch_concurrency;
    let calls: CallsByRunner =
        shared.runners.iter().map(|r| (r.name(), Arc::new(Calls::new(concurrency)))).collect();
    let mut stock = Stock::default();
    let mut incoming = Vec::new();
    loop {
        let mut is_unwanted = false;
        tokio::select! {
            biased;
            () = shared.lifecycle.stopping.cancelled() => return,
            received = attempts.recv_many(&mut incoming, 1) => if received == 0 { return },
            () = shared.in_flight.slot_freed(), if !stock.is_empty() => {}
            () = shared.signals.stock_unwanted.notified() => is_unwanted = true,
            () = shared.lifecycle.draining.cancelled(), if stock.can_give_back() => is_unwanted = true,
            () = stock.waits_too_long() => {}
        }
        incoming.drain(..).flatten().for_each(|attempt| stock.put(attempt, &shared.runners));
        for (attempt, launching) in stock.take_launchable(&shared) {
            begin(&shared, &calls, attempt, launching);
        }
        stock.give_back(&shared, is_unwanted);
    }
}

/// Launches one attempt, apart from the others.
fn begin(shared: &Handle, calls: &CallsByRunner, attempt: Attempt, launching: Launching) {
    let name = attempt.request.runner;
    let (Some(runner), Some(calls)) = (shared.runners.get(name), calls.get(&name)) else {
        let reason = format!("this dispatcher does not offer the runner {name}");
        let _ = shared.signals.ends.send((attempt.id, End::not_started(reason, true)));
        return;
    };
    let (shared, runner, calls) = (Arc::clone(shared), Arc::clone(runner), Arc::clone(calls));
    tokio::spawn(async move {
        let left = attempt.clone();
        let then = tokio::select! {
            // A launch that is not wanted any more must not call when its turn comes at the same moment.
            biased;
            () = shared.lifecycle.stopping.cancelled() => Then::Nothing,
            // The stopper of the attempt looks for what its call may have started.
            () = launching.unwanted.cancelled() => Then::Nothing,
            then = launch(&shared, runner.as_ref(), attempt, &calls) => then,
        };
        drop(launching);
        if then == Then::GiveBack {
            give_one_back(&shared, left.id).await;
            // Such as what was looked up for it.
            if !shared.in_flight.contains(left.id) {
                runner.forget(&left).await;
            }
        }
    });
}

/// What is left to do when the launcher is done with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// Its task is out of reach here, and may be in reach of others.
    GiveBack,
}

/// Launches one attempt, repeating it with the same key while its outcome is in doubt. It ends with success, with
/// refusal, when its task is out of reach, or when the stopper has given up on it (launch_timeout).
async fn launch(shared: &Handle, runner: &dyn Runner, mut attempt: Attempt, calls: &Calls) -> Then {
    let contract = shared.contract(&attempt);
    let mut trouble = Trouble::new("a launch");
    // Whether the database may have the note that its runner was called.
    let mut may_be_asked = false;
    // Whether its silence has been counted. While it is in doubt it asks again and again, for a place that may be its alone.
    let mut has_counted = attempt.in_doubt;
    let mut is_trial = false;
    loop {
        shared.lifecycle.lease.holds().await;
        // The runner has heard nothing of it.
        let may_go_back = !attempt.in_doubt && !may_be_asked;
        let rests = || shared.reach.rests(&attempt.task, Instant::now());
        if may_go_back && !is_trial && rests() {
            is_trial = shared.reach.is_for_trial(&attempt.task);
            if !is_trial {
                return Then::GiveBack;
            }
        }
        runner.keep_pace(&attempt).await;
        // Never closed.
        let Ok(call) = calls.permits.acquire().await else { return Then::Nothing };
        if may_go_back && !is_trial && rests() {
            return Then::GiveBack;
        }
        // Once more: that may have taken long.
        let until = shared.lifecycle.lease.holds().await;
        // The next beat may tell others of a shorter lease.
        let shorter = BootInstant::now().after(shared.settings.dispatcher.dead_after);
        attempt.launch_until = Some(until.min(shorter));
        // Whatever the attempt says: another dispatcher may have claimed it by its own rails, or another program written it.
        if let Err(reason) = runner.may_launch(&attempt.request) {
            refuse(shared, &attempt, reason);
            return Then::Nothing;
        }
        let may_call =
            if runner.capabilities().repeatable { Ok(true) } else { may_ask(shared, &attempt).await };
        may_be_asked = !runner.capabilities().repeatable;
        let answer = match may_call {
            Ok(true) => {
                let answer = around("launch", runner.launch(&attempt, &contract)).await;
                note_reach(shared, runner, &attempt, answer.as_ref().err(), &mut has_counted);
                answer
            }
            // Another dispatcher's by now.
            Ok(false) => return Then::Nothing,
            Err(error) => Err(LaunchError::Ambiguous(error.to_string())),
        };
        drop(call);
        let error = match answer {
            Ok(launched) => {
                if calls.busy.swap(false, Ordering::Relaxed) {
                    tracing::info!(runner = %runner.name(), "launches go on");
                }
                taken(shared, runner, &attempt, launched).await;
                return Then::Nothing;
            }
            Err(LaunchError::Refused { reason, retryable, cause }) => {
                let _ = shared
                    .signals
                    .ends
                    .send((attempt.id, End::not_started(reason, retryable).because(cause)));
                return Then::Nothing;
            }
            Err(LaunchError::Lost(reason)) => {
                let _ = shared.signals.ends.send((attempt.id, End::lost(reason)));
                return Then::Nothing;
            }
            Err(error) => error,
        };
        shared.in_flight.held_up(attempt.id, &error.to_string());
        attempt.in_doubt |= matches!(error, LaunchError::Ambiguous(_));
        let nothing_runs = matches!(error, LaunchError::Busy(_) | LaunchError::Away(_));
        if may_be_asked && nothing_runs {
            match not_asked(shared, &attempt).await {
                Ok(()) => may_be_asked = false,
                // Only a dispatcher that adopts this attempt would have to know. We may ask again, and will.
                Err(error) => {
                    tracing::debug!(attempt = attempt.id.get(), %error, "cannot take back the note that its runner was called");
                }
            }
        }
        if nothing_runs && !may_be_asked && !attempt.in_doubt && shared.reach.is_away(&attempt.task) {
            return Then::GiveBack;
        }
        let wait = match &error {
            LaunchError::Busy(reason) | LaunchError::Away(reason) => {
                if calls.busy.swap(true, Ordering::Relaxed) {
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

/// Notes whether the runner has answered for this task.
fn note_reach(
    shared: &Shared,
    runner: &dyn Runner,
    attempt: &Attempt,
    error: Option<&LaunchError>,
    has_counted: &mut bool,
) {
    let (task, runner) = (&attempt.task, runner.name());
    match error {
        Some(error @ (LaunchError::Away(_) | LaunchError::Ambiguous(_))) => {
            let counts = !std::mem::replace(has_counted, matches!(error, LaunchError::Ambiguous(_)));
            if counts && shared.reach.silent(task, Instant::now()) {
                tracing::warn!(task, %runner, %error, "out of reach: its jobs stay in the queue, and one at a time is tried");
            }
        }
        _ => {
            if shared.reach.answered(task) {
                tracing::info!(task, %runner, "in reach again");
                shared.signals.wake.notify_one();
            }
        }
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
            around("stop", runner.stop(&attempt, "launched after its attempt was over")).await
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
