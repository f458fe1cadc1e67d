//! One connection that the loops do not share, by which they find out that theirs hang.
//!
//! A network, proxy or server may take what is sent and never answer. Then each loop waits for as long as its work may take, with a
//! connection that the others lack, and new connections would work at once. So the word that this dispatcher lives has a connection of its
//! own; work that takes long asks it; and if it gives no answer, all connections are given up together.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError, Timeouts};
use tokio::sync::watch;

/// Work that takes longer is doubted: more than nearly all takes, and little beside a lease.
const DOUBT: Duration = Duration::from_secs(5);

/// A server that is there answers nothing with nothing within this time, however busy it is.
const ANSWER: Duration = Duration::from_secs(5);

/// An answer that is there is read within this time.
const READ: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct Reserve {
    /// Of one connection.
    pool: Pool,
    /// How often all have been given up.
    given_up: Arc<watch::Sender<u64>>,
}

impl Reserve {
    /// With a pool of one connection.
    pub fn new(pool: Pool) -> Self {
        Self { pool, given_up: Arc::new(watch::Sender::new(0)) }
    }

    /// The connection, when it is free.
    pub async fn get(&self) -> Result<Object, PoolError> {
        self.pool.get().await
    }

    /// Ends when the connections of work that begins now are given up.
    pub fn given_up(&self) -> impl Future<Output = ()> + use<> {
        let mut given_up = self.given_up.subscribe();
        async move {
            if given_up.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Gives this one up, and ends all work on others.
    pub fn give_up(&self) {
        self.pool.retain(|_, _| false);
        self.given_up.send_modify(|times| *times += 1);
    }

    /// Ends when the server gives no answer by this connection, while some work takes long.
    pub async fn is_silent(&self) {
        loop {
            tokio::time::sleep(DOUBT).await;
            // In use, it has a limit of its own; if there is none, and none can be made, the work will find that out itself.
            let at_once = Timeouts { wait: Some(Duration::ZERO), ..self.pool.timeouts() };
            let Ok(client) = self.pool.timeout_get(&at_once).await else { continue };
            let silent = {
                let asking = client.simple_query("");
                tokio::pin!(asking);
                // Once more: this process may have stood still itself, and not have read the answer yet.
                tokio::time::timeout(ANSWER, &mut asking).await.is_err()
                    && tokio::time::timeout(READ, &mut asking).await.is_err()
            };
            if silent {
                drop(Object::take(client));
                return;
            }
        }
    }
}
