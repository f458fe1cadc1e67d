//! Sleeping so that writers know: only while a dispatcher sleeps do they send notifications (`sql/functions/wake.sql`
//! says how and why none is lost). It takes a connection of its own, because a session in a transaction hears no
//! notifications.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use crate::database::{Database, DatabaseError, get_up, lie_down};

/// A connection that does not answer by then is dead.
const GET_UP_LIMIT: Duration = Duration::from_secs(5);

/// The bed: a connection, made when first needed and again after it was lost.
#[derive(Default)]
pub struct Sleeper {
    session: Option<(Client, AbortOnDropHandle<()>)>,
}

impl Sleeper {
    /// Lies down. When this is done, whatever was committed before can be seen, and whatever is committed later
    /// is announced. While it waits, later writers announce already.
    pub async fn lie_down(&mut self, database: &Database) -> Result<(), DatabaseError> {
        if self.session.as_ref().is_none_or(|(client, _)| client.is_closed()) {
            let (client, connection) = database.connect().await?;
            let driver = tokio::spawn(async move {
                // Its end is seen by the client.
                let _ = connection.await;
            });
            self.session = Some((client, AbortOnDropHandle::new(driver)));
        }
        let Some((client, _)) = &self.session else { return Ok(()) };
        let lain = lie_down(client).await;
        if lain.is_err() {
            self.session = None;
        }
        lain
    }

    /// Waits until the connection ends, and the lock with it.
    pub async fn disturbed(&mut self) {
        match &mut self.session {
            Some((_, driver)) => drop(driver.await),
            None => {}
        }
        self.session = None;
    }

    /// Gets up: from here on writers need not announce anything to us.
    pub async fn get_up(&mut self) {
        let Some((client, _)) = &self.session else { return };
        let up = tokio::time::timeout(GET_UP_LIMIT, get_up(client)).await;
        if !matches!(up, Ok(Ok(()))) {
            // Without the connection there is no lock either.
            self.session = None;
        }
    }
}
