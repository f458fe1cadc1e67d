//! What the loops share: who this dispatcher is, until when it runs, and what the loops tell each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::DispatcherError;
use super::claim::low_water::LowWater;
use super::claim::turns::Turns;
use super::follow::in_flight::InFlight;
use super::launch::reach::Reach;
use super::launch::short_tasks::ShortTasks;
use super::lease::Lease;
use super::pace::work_limit;
use super::task_cache::TaskCache;
use super::terms::Terms;
use super::token;
use crate::contract;
use crate::database::{Database, Failure};
use crate::job::{AttemptId, DispatcherId, RunnerName};
use crate::runners::{Attempt, Ends, Launched, Runners};
use crate::settings::Settings;

/// Which dispatcher this is, and what it signs with.
pub struct Identity {
    /// Its row in `rowcall.dispatchers`.
    pub id: DispatcherId,
    /// Of its runners that are bound to a place, where that is.
    pub places: BTreeMap<RunnerName, String>,
    /// From which tokens and launch keys are made.
    pub secret: Vec<u8>,
    /// The first characters of the installation's id.
    pub instance: String,
}

impl Identity {
    /// A launch key for an attempt: unique in the world, and within what ECS and Docker allow in a name. Also after a
    /// restore, when the database counts the same ids once more: ECS remembers a key for a day.
    pub fn launch_key(&self, attempt_id: AttemptId) -> String {
        format!("{}{attempt_id}-{:08x}", self.launch_key_prefix(), rand::random::<u32>())
    }

    /// Whether this can be the launch key of an attempt: runners name files, containers and tasks by it, and any program
    /// with rights on the table may have written it.
    pub fn is_launch_key(&self, launch_key: &str, attempt_id: AttemptId) -> bool {
        self.attempt_of(launch_key) == Some(attempt_id)
    }

    /// The attempt that a launch key names; none if it is no launch key of this installation.
    pub fn attempt_of(&self, launch_key: &str) -> Option<AttemptId> {
        let (id, rest) = launch_key.strip_prefix(&self.launch_key_prefix())?.split_once('-')?;
        let is_made_here = rest.len() == 8 && rest.bytes().all(|b| b.is_ascii_hexdigit());
        let id = id.parse().ok().map(AttemptId::new)?;
        // Written in one way only: no sign, no zeros in front.
        (is_made_here && launch_key == format!("{}{id}-{rest}", self.launch_key_prefix())).then_some(id)
    }

    /// How dispatchers of this installation are called among those of others on one machine.
    pub fn label(&self, dispatcher: DispatcherId) -> String {
        format!("{}-{dispatcher}", self.instance)
    }

    /// What all launch keys of this installation begin with.
    pub fn launch_key_prefix(&self) -> String {
        format!("rowcall-{}-", self.instance)
    }

    /// The token of an attempt.
    pub fn token(&self, attempt_id: AttemptId, launch_key: &str) -> String {
        token::token(&self.secret, attempt_id, launch_key)
    }
}

/// Until when the loops run, and how this dispatcher stands with the others.
pub struct Lifecycle {
    /// No more claims.
    pub draining: CancellationToken,
    /// The claimer has ended: no attempts come to those that are followed.
    pub claimed: CancellationToken,
    /// No more of anything.
    pub stopping: CancellationToken,
    /// Until when others take this dispatcher for alive.
    pub lease: Lease,
    /// How long others wait before they take it for dead, while attempts are open.
    pub dead_after: Duration,
    /// Attempts of dead dispatchers have been looked for once.
    pub rescued: CancellationToken,
    /// Why this dispatcher cannot go on.
    pub fatal: Mutex<Option<DispatcherError>>,
}

impl Lifecycle {
    /// Of a dispatcher that has just registered.
    pub fn begin(dead_after: Duration) -> Self {
        Self {
            draining: CancellationToken::new(),
            claimed: CancellationToken::new(),
            stopping: CancellationToken::new(),
            lease: Lease::begin(dead_after),
            dead_after,
            rescued: CancellationToken::new(),
            fatal: Mutex::new(None),
        }
    }

    /// Ends this dispatcher for a reason its operator must hear.
    pub fn give_up(&self, error: DispatcherError) {
        tracing::error!(%error, "this dispatcher cannot go on");
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.draining.cancel();
        self.stopping.cancel();
    }
}

/// What the loops tell each other.
pub struct Signals {
    /// To the settler: attempts that have ended.
    pub ends: Ends,
    /// To the recorder: attempts that their runner has taken, to be written down.
    pub launches: mpsc::UnboundedSender<(AttemptId, Launched)>,
    /// To the claimer: there may be jobs. Set by the listener, by freed slots, by edits.
    pub wake: Notify,
    /// To the launcher: an operator has edited, paused or cancelled something, so that what was claimed ahead goes back.
    pub stock_unwanted: Notify,
    /// To the loop that makes the jobs of missed rows: there are notes.
    pub missed_rows: Notify,
    /// Whether LISTEN is proven to work, so that polling may be rare.
    pub listening: AtomicBool,
    /// Whether the claimer would have taken more, had a runner had more room: then freed slots wake it.
    pub room_wanted: AtomicBool,
    /// Whether the latest claim has found few jobs, so that the next one asks in the cheap way.
    pub queue_is_short: AtomicBool,
    /// To the rescuer: attempts are open again, so that beats must be frequent.
    pub attempts_open: Notify,
    /// Whether the latest beat has seen no open attempt for a while ([`crate::dispatcher::keep::rescuer`]).
    pub idle: AtomicBool,
    /// Whether the database has jobs that do not run, or notes of missed rows, as far as the latest beat has seen: while it
    /// has none, the beats are the floor under lost wake-ups, and there is nothing to tidy.
    pub jobs_open: AtomicBool,
    /// When jobs were last made claimable whose waiting was over.
    pub promoted_at: Mutex<Instant>,
}

impl Signals {
    /// As they are before anything has happened.
    pub fn new(ends: Ends, launches: mpsc::UnboundedSender<(AttemptId, Launched)>) -> Self {
        Self {
            ends,
            launches,
            wake: Notify::new(),
            stock_unwanted: Notify::new(),
            missed_rows: Notify::new(),
            listening: AtomicBool::new(false),
            room_wanted: AtomicBool::new(false),
            queue_is_short: AtomicBool::new(true),
            attempts_open: Notify::new(),
            idle: AtomicBool::new(false),
            jobs_open: AtomicBool::new(true),
            promoted_at: Mutex::new(Instant::now()),
        }
    }

    /// Whether LISTEN is proven to work.
    pub fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// Whether the database has nothing for any dispatcher to do, as far as the latest beat has seen.
    pub fn is_nothing_open(&self) -> bool {
        self.idle.load(Ordering::Relaxed) && !self.jobs_open.load(Ordering::Relaxed)
    }
}

/// One per dispatcher.
pub struct Shared {
    pub identity: Identity,
    pub lifecycle: Lifecycle,
    pub signals: Signals,
    pub settings: Settings,
    pub database: Database,
    pub parameters: TaskCache,
    pub runners: Runners,
    pub in_flight: Arc<InFlight>,
    /// What dispatchers of this process followed that this one has replaced, until it is over or adopted.
    pub before: Vec<Arc<InFlight>>,
    pub turns: Turns,
    /// What requests have in common with others.
    pub terms: Terms,
    pub low_water: LowWater,
    pub short_tasks: ShortTasks,
    pub reach: Reach,
}

impl Shared {
    /// What this dispatcher follows, and what those before it do.
    pub fn all_in_flight(&self) -> Vec<Arc<InFlight>> {
        std::iter::once(&self.in_flight).chain(&self.before).cloned().collect()
    }

    /// Whether this dispatcher or one before it follows any attempt.
    pub fn follows_any(&self) -> bool {
        self.all_in_flight().iter().any(|followed| !followed.is_empty())
    }

    /// Some work with the database that must not take for ever.
    pub async fn within<T, E: Failure>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.database.within(work_limit(self.lifecycle.dead_after), work).await
    }

    /// The variables of the task contract (docs/tasks.md); they hold the token.
    pub fn contract(&self, attempt: &Attempt) -> Vec<(String, String)> {
        let mut variables = vec![
            (contract::JOB.to_owned(), attempt.job_id.to_string()),
            (contract::ATTEMPT.to_owned(), attempt.number.to_string()),
            (contract::TOKEN.to_owned(), self.identity.token(attempt.id, &attempt.launch_key)),
        ];
        if !self.settings.tasks.database_url.is_empty() {
            variables.push((contract::DATABASE_URL.to_owned(), self.settings.tasks.database_url.clone()));
        }
        variables
    }
}

/// Shared by the loops.
pub type Handle = Arc<Shared>;
