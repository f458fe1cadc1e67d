//! Sleeping so that writers know: only while a dispatcher sleeps do they send notifications (`sql/functions/trigger/wake.sql`
//! says how and why none is lost). It takes a connection of its own, because a session in a transaction hears no
//! notifications.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use crate::database::{Database, DatabaseError, backend_pid, get_up, lie_down};

/// A connection that does not answer by then is dead.
const GET_UP_LIMIT: Duration = Duration::from_secs(5);

/// The bed: a connection, made when first needed and again after it was lost.
#[derive(Default)]
pub struct Sleeper {
    session: Option<Session>,
}

struct Session {
    client: Client,
    driver: AbortOnDropHandle<()>,
    pid: i32,
}

impl Sleeper {
    /// Makes the bed; returns the server's number of its session.
    pub async fn prepare(&mut self, database: &Database) -> Result<i32, DatabaseError> {
        if let Some(session) = &self.session
            && !session.client.is_closed()
        {
            return Ok(session.pid);
        }
        let (client, connection) = database.connect().await?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its end is seen by the client.
            let _ = connection.await;
        }));
        let pid = backend_pid(&client).await?;
        self.session = Some(Session { client, driver, pid });
        Ok(pid)
    }

    /// Lies down. When this is done, whatever was committed before can be seen, and whatever is committed later
    /// is announced. It may take as long as the longest transaction of those who were told that nobody sleeps.
    pub async fn lie_down(&mut self) -> Result<(), DatabaseError> {
        let Some(session) = &self.session else { return Ok(()) };
        let lain = lie_down(&session.client).await;
        if lain.is_err() {
            self.session = None;
        }
        lain
    }

    /// Waits until the connection ends, and the lock with it.
    pub async fn disturbed(&mut self) {
        if let Some(session) = &mut self.session {
            let _ = (&mut session.driver).await;
        }
        self.session = None;
    }

    /// Gets up: from here on writers need not announce anything to us.
    pub async fn get_up(&mut self) {
        let Some(session) = &self.session else { return };
        let up = tokio::time::timeout(GET_UP_LIMIT, get_up(&session.client)).await;
        if !matches!(up, Ok(Ok(()))) {
            // Without the connection there is no lock either.
            self.session = None;
        }
    }
}
