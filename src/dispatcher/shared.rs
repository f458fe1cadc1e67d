//! What the loops share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::DispatcherError;
use super::following::Following;
use super::token;
use crate::database::Database;
use crate::parameters::Cache;
use crate::runners::{Attempt, Ends, Launched, Runners};
use crate::settings::Settings;

/// One per dispatcher.
pub struct Shared {
    /// Its row in `rowcall.dispatchers`.
    pub id: i64,
    /// Its machine's name.
    pub host: String,
    pub settings: Settings,
    pub database: Database,
    pub parameters: Cache,
    pub runners: Runners,
    pub following: Following,
    /// Where ends are announced to the settler.
    pub ends: Ends,
    /// Where launches are announced, to be written down.
    pub launched: mpsc::UnboundedSender<(i64, Launched)>,
    /// "Look for jobs": set by the listener, by freed slots, by whoever thinks there may be some.
    pub wake: Notify,
    /// Whether LISTEN is proven to work, so that polling may be rare.
    pub listening: AtomicBool,
    /// No more claims.
    pub draining: CancellationToken,
    /// No more of anything.
    pub stopping: CancellationToken,
    /// When the database last heard that this dispatcher lives. Past `dead_after` others may have taken over
    /// what it has not launched yet, so it must not.
    pub seen: watch::Sender<Instant>,
    /// What dead dispatchers left has been looked for once.
    pub rescued: CancellationToken,
    /// Why this dispatcher cannot go on.
    pub fatal: Mutex<Option<DispatcherError>>,
    /// From which tokens and launch keys are made.
    pub secret: Vec<u8>,
    /// The first characters of the installation's id.
    pub instance: String,
}

impl Shared {
    /// A launch key for an attempt: unique in the world, and within what ECS and Docker allow in a name. Also after a
    /// restore, when the database counts the same ids once more: ECS remembers a key for a day.
    pub fn launch_key(&self, attempt_id: i64) -> String {
        format!("{}{attempt_id}-{:08x}", self.launch_key_prefix(), rand::random::<u32>())
    }

    /// What all launch keys of this installation begin with.
    pub fn launch_key_prefix(&self) -> String {
        format!("rowcall-{}-", self.instance)
    }

    /// The token of an attempt.
    pub fn token(&self, launch_key: &str) -> String {
        token::token(&self.secret, launch_key)
    }

    /// The variables of the task contract (DESIGN: "The task's side"); they hold the token.
    pub fn contract(&self, attempt: &Attempt) -> Vec<(String, String)> {
        let mut variables = vec![
            ("ROWCALL_JOB".to_owned(), attempt.job_id.to_string()),
            ("ROWCALL_ATTEMPT".to_owned(), attempt.number.to_string()),
            ("ROWCALL_TOKEN".to_owned(), self.token(&attempt.launch_key)),
        ];
        if !self.settings.tasks.database_url.is_empty() {
            variables.push(("ROWCALL_DATABASE_URL".to_owned(), self.settings.tasks.database_url.clone()));
        }
        variables
    }

    /// Whether LISTEN is proven to work.
    pub fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    /// Waits until the database has heard lately that this dispatcher lives.
    pub async fn known_to_live(&self) {
        let dead_after = self.settings.dispatcher.dead_after;
        // The sender is ours: it cannot be gone.
        let _ = self.seen.subscribe().wait_for(|seen| seen.elapsed() < dead_after).await;
    }

    /// Ends this dispatcher for a reason its operator must hear.
    pub fn give_up(&self, error: DispatcherError) {
        tracing::error!(%error, "this dispatcher cannot go on");
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.draining.cancel();
        self.stopping.cancel();
    }
}

/// Shared by the loops.
pub type Handle = Arc<Shared>;
