//! Whether a pooler hands our transactions to sessions of its own, as PgBouncer does in transaction mode.
//!
//! No pooler says so itself. But each connection to Postgres has a session of its own, which begins with it. One whose session
//! is older, or is another connection's, has met a pooler. Until that is settled statements have no names.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio_postgres::Client;

use super::columns::Columns as _;
use super::statements::Statements as _;
use super::{DatabaseError, connect::locked};

/// How much older than its connection a session may look. Between the two clocks, which may differ in speed, lies the time of
/// one connection.
const SLACK: Duration = Duration::from_secs(1);

/// The order in which two connections are asked for their session: a pooler that goes round among its sessions gives either
/// another one at some time, however many it has.
const FIRST: [bool; 7] = [true, true, false, true, false, false, true];

const UNKNOWN: u8 = 0;
const NONE: u8 = 1;
const THERE: u8 = 2;

/// What is known of it.
#[derive(Debug, Default)]
pub struct Pooler {
    known: AtomicU8,
    /// Whether connections were seen to share sessions, which they do not in session mode.
    shares: AtomicBool,
    /// The server's number of the session that the latest connection had.
    latest: Mutex<Option<i32>>,
}

impl Pooler {
    /// Whether statements may have names.
    pub fn is_absent(&self) -> bool {
        self.known.load(Ordering::Relaxed) == NONE
    }

    /// Whether there is one, for certain, that hands sessions from one connection to another while both are open.
    pub fn shares_sessions(&self) -> bool {
        self.shares.load(Ordering::Relaxed)
    }

    /// Something was seen that only a pooler does.
    pub fn was_met(&self) {
        if self.known.swap(THERE, Ordering::Relaxed) != THERE {
            tracing::info!("a pooler is between us and the database: statements are sent without names");
        }
    }

    /// Looks at a connection that took no longer than this until now.
    pub async fn look(
        &self,
        client: &Client,
        connecting: impl Fn() -> Duration,
    ) -> Result<(), tokio_postgres::Error> {
        if self.known.load(Ordering::Relaxed) == THERE {
            return Ok(());
        }
        let Some((pid, age)) = session(client).await? else { return Ok(()) };
        let before = locked(&self.latest).replace(pid);
        if before == Some(pid) || age > connecting() + SLACK {
            self.was_met();
        }
        Ok(())
    }

    /// Prepares the session of a new connection, if it is certain to be ours alone.
    pub async fn begin(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        if self.is_absent() {
            client.batch_execute(include_str!("../../sql/queries/connections/own_session.sql")).await?;
        }
        Ok(())
    }

    /// Compares two connections that nothing else uses: the verdict.
    pub async fn compare(&self, one: &Client, other: &Client) -> Result<(), DatabaseError> {
        let mut seen = [None, None];
        for is_first in FIRST {
            let Some((pid, _)) = session(if is_first { one } else { other }).await? else { return Ok(()) };
            let (mine, its) = (usize::from(is_first), usize::from(!is_first));
            if seen[its] == Some(pid) || *seen[mine].get_or_insert(pid) != pid {
                self.shares.store(true, Ordering::Relaxed);
                self.was_met();
            }
        }
        let _ = self.known.compare_exchange(UNKNOWN, NONE, Ordering::Relaxed, Ordering::Relaxed);
        Ok(())
    }
}

/// The server's number of the session, and how long it has lasted. None where the server tells neither.
async fn session(client: &Client) -> Result<Option<(i32, Duration)>, tokio_postgres::Error> {
    let sql = include_str!("../../sql/queries/connections/session_of_server.sql");
    let Some(row) = client.opt(sql, &[]).await? else { return Ok(None) };
    let (Ok(pid), Ok(age)) = (row.column("pid"), row.column::<f64>("age")) else { return Ok(None) };
    Ok(Some((pid, Duration::try_from_secs_f64(age).unwrap_or_default())))
}
