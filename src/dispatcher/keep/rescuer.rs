//! Proves that this dispatcher lives, and adopts the attempts of dead ones.
//!
//! While no attempt is open there is nothing to adopt, and nothing that others could take: beats are rare then, each with a longer
//! [`crate::dispatcher::lease::Lease`], and one says besides whether there are jobs, so that the other loops need not ask.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::crash::around;
use crate::database::{DatabaseError, Seen, Session, Statements, dispatcher_seen, release_all, taken_over};
use crate::dispatcher::DispatcherError;
use crate::dispatcher::keep::adopt::{adopt, find_the_gone};
use crate::dispatcher::pace::{Trouble, beat_limit, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::job::AttemptId;
use crate::runners::boot_clock::BootInstant;
use crate::runners::{Attempt, Runner};
use crate::settings::DispatcherSettings;

/// Looks at once, then with every heartbeat.
pub async fn run(shared: Handle, launch: mpsc::Sender<Vec<Attempt>>) {
    let mut trouble = Trouble::new("rescuing");
    let mut rescuer = Rescuer::default();
    let limit = beat_limit(shared.lifecycle.dead_after);
    let mut failing_since = None;
    loop {
        let beat = async {
            let database = &shared.database;
            // A connection may have to be made first, which may take longer than a beat.
            let mut client = database.within(database.connect_limit(), database.get_reserved()).await?;
            let beaten = database.within(limit, rescuer.beat(&shared, &mut client, &launch)).await;
            if beaten.is_err() {
                // It may be this connection: to a server that can only be read by now, or one that hangs.
                client.discard();
            }
            beaten
        };
        let beaten = tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            beaten = beat => beaten,
        };
        let wait = match beaten {
            Ok(true) => {
                failing_since = None;
                trouble.over();
                shared.lifecycle.rescued.cancel();
                jittered(rescuer.interval(&shared.settings.dispatcher))
            }
            Ok(false) => return shared.lifecycle.give_up(DispatcherError::Superseded),
            Err(error) => {
                if matches!(error, DatabaseError::Silent(after) if after >= limit) && !rescuer.is_heard {
                    // Those of the other loops hang as well.
                    shared.database.give_up_unless_pooled();
                }
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
            () = shared.signals.attempts_open.notified(), if failing_since.is_none() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// A dispatcher that has not reached its database for so long ends, and is started anew by what watches over it: it may
/// be this process and not the database that is at fault.
const CUT_OFF: Duration = Duration::from_mins(10);

/// After so many beats without an open attempt beats are rare. Where jobs come now and then, each would bring a beat otherwise.
const QUIET: u32 = 3;

/// So many beats of an idle dispatcher may be lost before others take it for dead.
const IDLE_BEATS_IN_A_LEASE: u32 = 3;

/// What one beat remembers for the next.
#[derive(Default)]
struct Rescuer {
    /// Beats in a row that have seen no open attempt.
    quiet_beats: u32,
    /// Whether the latest beat has told others to wait for a rare one.
    is_idle: bool,
    /// Until when others are not taken for dead: this one was cut off itself, and so perhaps were they.
    patient_until: Option<BootInstant>,
    /// The latest beat has been heard; what it did besides may have taken long.
    is_heard: bool,
    /// Attempts of this dispatcher that were over already, and still followed: the settler removes what it has ended.
    over: HashSet<AttemptId>,
}

impl Rescuer {
    /// Says that this dispatcher lives, and adopts. False if others have been told that it is gone.
    async fn beat(
        &mut self,
        shared: &Shared,
        client: &mut Session,
        launch: &mpsc::Sender<Vec<Attempt>>,
    ) -> Result<bool, DatabaseError> {
        let now = BootInstant::now();
        let (silent, lease_before) = shared.lifecycle.lease.silence();
        let lease = self.choose_lease(shared);
        shared.lifecycle.lease.renewing(now, lease);
        self.is_heard = false;
        let Some(seen) = say_that_it_lives(shared, client, lease, self.is_idle).await? else {
            return Ok(false);
        };
        self.is_heard = true;
        if seen.attempts_open {
            self.quiet_beats = 0;
        }
        let dead_after = shared.settings.dispatcher.dead_after;
        // After a long silence (a machine that slept, a database out of reach) others may have run, settled and
        // forgotten what waits here to be launched. And they may only now come back, as we do. The same if it is only the
        // database's clock that went ahead: by it everybody is silent since long.
        if silent > lease_before || seen.silent_for > silent + dead_after / 2 {
            self.patient_until = Some(now.after(dead_after));
            // Others, or a janitor's look over a connection that still worked, may have blocked jobs of runners that only this one offers.
            if release_all(client).await? > 0 {
                shared.signals.wake.notify_one();
            }
        }
        self.let_go(shared, client).await?;
        shared.lifecycle.lease.renewed(now, lease);
        self.tell_others(shared, seen);
        let nothing_is_left = self.is_idle && !seen.attempts_open;
        if nothing_is_left || shared.lifecycle.draining.is_cancelled() {
            return Ok(true);
        }
        let is_patient = self.patient_until.is_some_and(|until| now < until);
        find_the_gone(shared, client).await?;
        adopt(shared, client, launch, is_patient).await?;
        Ok(true)
    }

    /// How long others are told to wait for the beat after this one.
    fn choose_lease(&mut self, shared: &Shared) -> Duration {
        if shared.follows_any() {
            self.quiet_beats = 0;
        }
        self.is_idle = self.quiet_beats >= QUIET;
        self.quiet_beats = self.quiet_beats.saturating_add(1);
        let dispatcher = &shared.settings.dispatcher;
        if self.is_idle {
            dispatcher.dead_after.max(IDLE_BEATS_IN_A_LEASE * self.interval(dispatcher))
        } else {
            dispatcher.dead_after
        }
    }

    /// Until the next beat.
    fn interval(&self, dispatcher: &DispatcherSettings) -> Duration {
        let often = dispatcher.heartbeat_interval;
        if self.is_idle { dispatcher.heartbeat_interval_when_idle.max(often) } else { often }
    }

    /// Tells the other loops what there is to do.
    fn tell_others(&self, shared: &Shared, seen: Seen) {
        let signals = &shared.signals;
        let nothing_was_open = signals.is_nothing_open();
        signals.jobs_open.store(seen.jobs_open, Ordering::Relaxed);
        signals.idle.store(self.is_idle, Ordering::Relaxed);
        if self.is_idle && (seen.attempts_open || shared.follows_any()) {
            // Claimed while this beat was on its way: the claimer has seen the word of the beat before.
            signals.attempts_open.notify_one();
        }
        if nothing_was_open && seen.jobs_open {
            signals.wake.notify_one();
        }
    }

    /// Attempts that another dispatcher follows are its own; those that are over must not run on unwatched.
    async fn let_go(&mut self, shared: &Shared, client: &impl Statements) -> Result<(), DatabaseError> {
        if shared.in_flight.is_empty() {
            self.over.clear();
            return Ok(());
        }
        let borrowed = shared.in_flight.borrowed();
        let before = std::mem::take(&mut self.over);
        for taken in taken_over(client, shared.identity.id, &shared.in_flight.launch_keys()).await? {
            if taken.is_unknown && shared.in_flight.may_be_unknown(taken.id) {
                continue;
            }
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
            if let Some(followed) = shared.in_flight.remove(taken.id)
                && let Some(runner) = shared.runners.get(followed.attempt.request.runner)
            {
                let runner = Arc::clone(runner);
                // Not awaited: others would take us for dead meanwhile.
                tokio::spawn(async move { end(runner.as_ref(), &followed.attempt, taken.over).await });
            }
        }
        Ok(())
    }
}

async fn say_that_it_lives(
    shared: &Shared,
    client: &mut Session,
    lease: Duration,
    asks_for_jobs: bool,
) -> Result<Option<Seen>, DatabaseError> {
    let transaction = client.transaction();
    let saying = dispatcher_seen(&transaction, shared.identity.id, lease, asks_for_jobs);
    let ((), seen) = tokio::try_join!(transaction.begin(), saying)?;
    transaction.commit().await?;
    Ok(seen)
}

/// Ends attempts that are over and not followed here any more; the others are another dispatcher's to end.
async fn end(runner: &dyn Runner, attempt: &Attempt, over: bool) {
    if !over {
        return;
    }
    if let Err(error) = around("stop", runner.stop(attempt, "its attempt was settled elsewhere")).await {
        tracing::warn!(attempt = attempt.id.get(), error, "cannot be stopped");
    }
    around("forget", runner.forget(attempt)).await;
}
