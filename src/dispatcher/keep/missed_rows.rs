//! Makes the jobs for rows that a trigger noted as missed, because it could not have a lock of ours in time, or failed.
//!
//! **No note is overlooked**, for the reason that no job is ([`crate::dispatcher::claim`]): the writer of a note wakes a dispatcher that
//! sleeps, and one that goes to sleep looks once more after every such writer has committed. Each look that finds nothing to claim
//! says whether there are notes.

use std::time::Duration;

use crate::database::{DatabaseError, enqueue_missed};
use crate::dispatcher::pace::{IDLE_ROUNDS, Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};

/// How long notes rest after some were dealt with: more may be on their way, and a trigger gives up its wait for a lock after
/// less than a tenth of a second, so that they are nothing rare.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks when there are notes, and now and then; less often at notes of which nothing could be made.
pub async fn run(shared: Handle) {
    let mut trouble = Trouble::new("making the jobs of missed rows");
    let seldom = shared.settings.dispatcher.janitor_interval;
    loop {
        let made = tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            made = make(&shared) => made,
        };
        let (wait, hears) = match made {
            Ok(Some(0)) => (jittered(seldom.max(INTERVAL)), false),
            Ok(Some(_)) => {
                trouble.over();
                (jittered(INTERVAL.min(seldom)), false)
            }
            Ok(None) => {
                trouble.over();
                (jittered(if shared.signals.is_nothing_open() { IDLE_ROUNDS * seldom } else { seldom }), true)
            }
            Err(error) => (trouble.wait(&error), false),
        };
        tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            () = shared.signals.missed_rows.notified(), if hears => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn make(shared: &Shared) -> Result<Option<i64>, DatabaseError> {
    let making = async {
        let client = shared.database.get().await?;
        let made = enqueue_missed(&client).await;
        // Code of the tables' owners has run.
        shared.database.give_back(client);
        made
    };
    let made = shared.within(making).await?;
    if let Some(rows @ 1..) = made {
        tracing::warn!(rows, "a trigger had missed rows; their jobs are made now");
        shared.signals.wake.notify_one();
    }
    Ok(made)
}
