//! Sleep so that writers know: only while a dispatcher sleeps do writers pay for a notification.
//!
//! A commit that carries NOTIFY waits in one line with all others of the whole server. So the trigger notifies only if a
//! dispatcher sleeps, and it asks a lock, which costs nothing while it is free (`sql/functions/trigger/wake.sql`):
//!
//! - A dispatcher that goes to sleep locks the view `rowcall_internal.wake_lock` in SHARE mode, looks for jobs once more, and
//!   holds the lock while it sleeps.
//! - A writer asks for the same lock in ROW EXCLUSIVE mode, without waiting. Refused, a dispatcher sleeps or is about to:
//!   the writer notifies. Granted, none sleeps, and none can fall asleep before the writer's transaction has ended and its
//!   jobs can be seen.
//!
//! **No wake-up is lost.** A job is committed either before the lock is granted to the dispatcher, and the look that follows
//! the grant finds it; or after, and then its writer was refused and has notified. Neither mode conflicts with itself, so
//! writers do not wait for each other, nor do dispatchers.
//!
//! **The wait for the lock is bounded work, not bounded time**: it lasts as long as the longest transaction of a writer that
//! was told that none sleeps. Meanwhile the claimer looks at short intervals; once its request is queued, later writers are
//! refused, so they notify, and one more look finds what was committed just before.
//!
//! The lock takes a connection of its own, because a session in a transaction hears no notifications.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use super::{Look, SOONEST, floor, look, until_next, wait};
use crate::database::{Database, DatabaseError, SchemaError, drive, wake_lock};
use crate::dispatcher::shared::Shared;
use crate::runners::Attempt;

/// A connection that does not answer by then is dead.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// The connection that holds the lock: made when first needed, and again after it was lost.
#[derive(Default)]
pub struct WakeLock {
    session: Option<Session>,
    /// Or being asked for.
    is_held: bool,
}

struct Session {
    client: Client,
    driver: AbortOnDropHandle<()>,
    pid: i32,
}

impl WakeLock {
    /// Sleeps until woken, or until the next job's time or the poll floor has come. The lock is still held then:
    /// [`Self::release`].
    pub async fn sleep(
        &mut self,
        shared: &Shared,
        launch: &mpsc::Sender<Vec<Attempt>>,
        mut latest: Look,
    ) -> Result<(), SchemaError> {
        let dispatcher = &shared.settings.dispatcher;
        let pid = self.connect(&shared.database).await?;
        {
            let acquiring = self.acquire();
            tokio::pin!(acquiring);
            let mut queued = false;
            loop {
                let floor = dispatcher.poll_interval_without_listen;
                let limit = if queued && latest.found == 0 { until_next(&latest, floor) } else { SOONEST };
                if shared.lifecycle.draining.is_cancelled() {
                    return Ok(());
                }
                tokio::select! {
                    acquired = &mut acquiring => break acquired?,
                    () = wait(shared, limit) => {
                        let looking = async { wake_lock::is_queued(&shared.database.get().await?, pid).await };
                        queued = queued || shared.within(looking).await?;
                        latest = look(shared, launch).await?;
                    }
                }
            }
        }
        // The writers that were told that none sleeps have committed by now.
        let last = look(shared, launch).await;
        if let Ok(last) = &last
            && last.found == 0
            && shared.signals.is_listening()
        {
            let given_up = shared.database.given_up();
            let hangs = tokio::select! {
                () = wait(shared, until_next(last, floor(shared))) => false,
                () = self.lost() => false,
                () = given_up => true,
            };
            if hangs {
                self.session = None;
            }
        }
        last.map(drop)
    }

    /// Connects if need be; returns the server's number of the session.
    async fn connect(&mut self, database: &Database) -> Result<i32, DatabaseError> {
        if let Some(session) = &self.session
            && !session.client.is_closed()
        {
            return Ok(session.pid);
        }
        let (client, connection) = database.connect_past_pooler().await?;
        let driver = AbortOnDropHandle::new(tokio::spawn(drive(connection)));
        let pid = database.within(RELEASE_LIMIT, wake_lock::session_pid(&client)).await?;
        self.session = Some(Session { client, driver, pid });
        Ok(pid)
    }

    /// Takes the lock. When this is done, whatever was committed before can be seen, and whatever is committed later is
    /// announced.
    async fn acquire(&mut self) -> Result<(), DatabaseError> {
        let Some(session) = &self.session else { return Ok(()) };
        self.is_held = true;
        let acquired = wake_lock::acquire(&session.client).await;
        if acquired.is_err() {
            self.session = None;
        }
        acquired
    }

    /// Waits until the connection ends, and the lock with it.
    async fn lost(&mut self) {
        if let Some(session) = &mut self.session {
            let _ = (&mut session.driver).await;
        }
        self.session = None;
    }

    /// From here on writers need not announce anything to this dispatcher.
    pub async fn release(&mut self) {
        if !std::mem::take(&mut self.is_held) {
            return;
        }
        let Some(session) = &self.session else { return };
        let released = tokio::time::timeout(RELEASE_LIMIT, wake_lock::release(&session.client)).await;
        if !matches!(released, Ok(Ok(()))) {
            // Without the connection there is no lock either.
            self.session = None;
        }
    }
}
