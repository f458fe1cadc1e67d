//! Makes the jobs for rows that a trigger noted as missed, because it could not have a lock of ours in time, or failed.

use std::time::Duration;

use crate::database::{DatabaseError, enqueue_missed};
use crate::dispatcher::pace::{Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};

/// How soon after a note its job is made. A trigger gives up its wait for a lock after less than a tenth of a second, so
/// that notes are nothing rare, and the look costs next to nothing while there are none.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks again and again; less often at notes of which nothing could be made.
pub async fn run(shared: Handle) {
    let mut trouble = Trouble::new("making the jobs of missed rows");
    loop {
        let made = tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            made = make(&shared) => made,
        };
        let wait = match made {
            Ok(Some(0)) => jittered(shared.settings.dispatcher.janitor_interval.max(INTERVAL)),
            Ok(_) => {
                trouble.over();
                jittered(INTERVAL.min(shared.settings.dispatcher.janitor_interval))
            }
            Err(error) => trouble.wait(&error),
        };
        tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
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
