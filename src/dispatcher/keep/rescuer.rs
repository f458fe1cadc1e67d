//! Proves that this dispatcher lives, and adopts the attempts of dead ones: it follows those that a runner took, and
//! launches the others again with the same key, which finds the first launch if there was one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::database::{
    DatabaseError, Statements, dispatcher_seen, dispatcher_stopped, dispatchers_here, release_all,
    rescue_attempts, taken_over,
};
use crate::dispatcher::DispatcherError;
use crate::dispatcher::boot_clock::BootInstant;
use crate::dispatcher::follow::in_flight::FollowedAttempt;
use crate::dispatcher::pace::{Trouble, beat_limit, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::job::{AttemptId, End};
use crate::parameters::{Frozen, LaunchSpec};
use crate::runners::{Age, Attempt, Runner};

/// Looks at once, then with every heartbeat.
pub async fn run(shared: Handle, launch: mpsc::Sender<Vec<Attempt>>) {
    let mut trouble = Trouble::new("rescuing");
    let mut rescuer = Rescuer::default();
    // A connection may have to be made first.
    let limit = beat_limit(shared.lifecycle.dead_after).max(shared.database.connect_limit());
    let mut failing_since = None;
    loop {
        let beat = shared.database.within(limit, rescuer.beat(&shared, &launch));
        let beaten = tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            beaten = beat => beaten,
        };
        let wait = match beaten {
            Ok(true) => {
                failing_since = None;
                trouble.over();
                shared.lifecycle.rescued.cancel();
                jittered(shared.settings.dispatcher.heartbeat_interval)
            }
            Ok(false) => return shared.lifecycle.give_up(DispatcherError::Superseded),
            Err(error) => {
                failing_since.get_or_insert_with(Instant::now);
                trouble.wait(&error)
            }
        };
        let silent = failing_since.map_or(Duration::ZERO, |since| since.elapsed());
        if silent > CUT_OFF.max(shared.settings.dispatcher.lost_after) {
            return shared.lifecycle.give_up(DispatcherError::CutOff(silent));
        }
        tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// A dispatcher that has not reached its database for so long ends, and is started anew by what watches over it: it may
/// be this process and not the database that is at fault.
const CUT_OFF: Duration = Duration::from_mins(10);

/// What one beat remembers for the next.
#[derive(Default)]
struct Rescuer {
    /// Until when others are not taken for dead: this one was cut off itself, and so perhaps were they.
    patient_until: Option<BootInstant>,
    /// Attempts of this dispatcher that were over already, and still followed: the settler removes what it has ended.
    over: HashSet<AttemptId>,
}

impl Rescuer {
    /// Says that this dispatcher lives, and adopts. False if others have been told that it is gone.
    async fn beat(
        &mut self,
        shared: &Shared,
        launch: &mpsc::Sender<Vec<Attempt>>,
    ) -> Result<bool, DatabaseError> {
        let client = shared.database.get().await?;
        let now = BootInstant::now();
        let silent = shared.lifecycle.seen.borrow().elapsed();
        let Some(silent_there) = dispatcher_seen(&client, shared.identity.id).await? else {
            return Ok(false);
        };
        let dead_after = shared.settings.dispatcher.dead_after;
        // After a long silence (a machine that slept, a database out of reach) others may have run, settled and
        // forgotten what waits here to be launched. And they may only now come back, as we do. The same if it is only the
        // database's clock that went ahead: by it everybody is silent since long.
        if silent > dead_after || silent_there > silent + dead_after / 2 {
            self.patient_until = Some(now.after(dead_after));
            // Others, or a janitor's look over a connection that still worked, may have blocked jobs of runners that only this one offers.
            if release_all(&client).await? > 0 {
                shared.signals.wake.notify_one();
            }
        }
        self.let_go(shared, &client).await?;
        shared.lifecycle.seen.send_replace(now);
        if shared.lifecycle.draining.is_cancelled() || self.patient_until.is_some_and(|until| now < until) {
            return Ok(true);
        }
        find_the_gone(shared, &client).await?;
        adopt(shared, &client, launch).await?;
        Ok(true)
    }

    /// Attempts that another dispatcher follows are its own; those that are over must not run on unwatched.
    async fn let_go(&mut self, shared: &Shared, client: &impl Statements) -> Result<(), DatabaseError> {
        let borrowed = shared.in_flight.borrowed();
        let before = std::mem::take(&mut self.over);
        for taken in taken_over(client, shared.identity.id, &shared.in_flight.launch_keys()).await? {
            if taken.is_unknown {
                shared.in_flight.retire(taken.id);
                tracing::error!(
                    attempt = taken.id.get(),
                    "the database does not know this attempt any more (a failover that lost commits, or a restore): it is stopped"
                );
            } else if !taken.elsewhere && !before.contains(&taken.id) {
                self.over.insert(taken.id);
                continue;
            }
            if !taken.is_unknown && !taken.over && taken.is_orphan && borrowed.contains(&taken.id) {
                continue;
            }
            if let Some(FollowedAttempt { attempt, .. }) = shared.in_flight.remove(taken.id)
                && let Some(runner) = shared.runners.get(attempt.request.runner)
            {
                let runner = Arc::clone(runner);
                // Not awaited: others would take us for dead meanwhile.
                tokio::spawn(async move { end(runner.as_ref(), &attempt, taken.over).await });
            }
        }
        Ok(())
    }
}

/// Notes which dispatchers at the same places have ended without a word: what they left need not wait until they have been
/// silent for long.
async fn find_the_gone(shared: &Shared, client: &impl Statements) -> Result<(), DatabaseError> {
    let places: Vec<String> = shared.identity.places.values().cloned().collect();
    if places.is_empty() {
        return Ok(());
    }
    for id in dispatchers_here(client, shared.identity.id, &places).await? {
        let label = shared.identity.label(id);
        if shared.runners.iter().any(|runner| runner.is_gone(&label)) {
            tracing::info!(dispatcher = id.get(), "a dispatcher on this machine has ended without a word");
            dispatcher_stopped(client, id).await?;
        }
    }
    Ok(())
}

/// Takes over what dispatchers that are gone have left.
async fn adopt(
    shared: &Shared,
    client: &impl Statements,
    launch: &mpsc::Sender<Vec<Attempt>>,
) -> Result<(), DatabaseError> {
    let (free, bound) = shared.runners.names();
    let places: Vec<String> =
        bound.iter().map(|r| shared.identity.places.get(r).cloned().unwrap_or_default()).collect();
    let borrowed = shared.in_flight.borrowed();
    let mut followed = shared.in_flight.ids();
    followed.retain(|id| !borrowed.contains(id));
    let rescued = rescue_attempts(
        client,
        shared.identity.id,
        shared.settings.dispatcher.dead_after,
        &free,
        (&bound, &places),
        &followed,
    )
    .await?;
    let mut relaunch = Vec::new();
    for rescued in rescued {
        let read = match &rescued.request {
            Ok(request) => Frozen::read(request).map_err(|unreadable| unreadable.to_string()),
            Err(unreadable) => Err(unreadable.to_string()),
        };
        let identity = &shared.identity;
        let (request, unfit) = match read {
            _ if !identity.is_launch_key(&rescued.launch_key, rescued.id) => {
                let unfit = format!("{} is no launch key of this attempt", rescued.launch_key);
                (LaunchSpec::unread(rescued.runner), Some(unfit))
            }
            _ if rescued.is_unoffered => {
                let unfit = format!(
                    "no running dispatcher offers the runner {}; whether it runs is not known",
                    rescued.runner
                );
                (LaunchSpec::unread(rescued.runner), Some(unfit))
            }
            Ok(frozen) if frozen.launch.runner != rescued.runner => {
                let unfit = format!("its request is for the runner {}", frozen.launch.runner);
                (LaunchSpec::unread(rescued.runner), Some(unfit))
            }
            Ok(frozen) => (frozen.launch, None),
            Err(unreadable) => (LaunchSpec::unread(rescued.runner), Some(unreadable)),
        };
        // Nothing is asked of a runner by a key that another program made up.
        let known_as = rescued.launch_key.clone();
        let launch_key = if identity.is_launch_key(&rescued.launch_key, rescued.id) {
            rescued.launch_key
        } else {
            identity.launch_key(rescued.id)
        };
        // It is looked at again with every beat.
        if rescued.is_held && (unfit.is_some() || borrowed.contains(&rescued.id)) {
            continue;
        }
        tracing::info!(
            job = rescued.job_id.get(),
            attempt = rescued.id.get(),
            number = rescued.number,
            task = rescued.task,
            launched = rescued.launched,
            held = rescued.is_held,
            "adopted from a dispatcher that is gone"
        );
        let attempt = Attempt {
            id: rescued.id,
            job_id: rescued.job_id,
            number: rescued.number,
            task: rescued.task,
            launch_key,
            request: Arc::new(request),
            external_id: rescued.external_id,
            age: Age::of(rescued.age),
            in_doubt: true,
        };
        if rescued.is_held {
            shared.in_flight.borrow(attempt);
            continue;
        }
        // What cannot be read cannot be launched. It is ended by the settler, which finds the same words, and what runs
        // under its key is removed with it, by runners that can.
        let launched = rescued.launched || unfit.is_some();
        shared.in_flight.adopt(attempt.clone(), known_as, launched, rescued.begun);
        shared.before.iter().for_each(|before| drop(before.remove(attempt.id)));
        if let Some(unfit) = unfit {
            let _ = shared.signals.ends.send((rescued.id, End::unseen(unfit)));
        }
        if !launched {
            relaunch.push(attempt);
        }
    }
    if !relaunch.is_empty() {
        // Not awaited here: what waits to be launched waits for our next heartbeat.
        let launch = launch.clone();
        tokio::spawn(async move { launch.send(relaunch).await });
    }
    Ok(())
}

/// Ends attempts that are over and not followed here any more; the others are another dispatcher's to end.
async fn end(runner: &dyn Runner, attempt: &Attempt, over: bool) {
    if !over {
        return;
    }
    if let Err(error) = runner.stop(attempt, "its attempt was settled elsewhere").await {
        tracing::warn!(attempt = attempt.id.get(), error, "cannot be stopped");
    }
    runner.forget(attempt).await;
}
