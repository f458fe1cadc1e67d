//! Writes down what runners call the attempts that they have taken.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::database::{DatabaseError, LaunchesNoted, RowWriting, Writing, mark_launched, write_back};
use crate::dispatcher::claim::prepare::grouped;
use crate::dispatcher::pace::{LAST_WORD, Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::job::AttemptId;
use crate::runners::Launched;

/// How long an attempt that another session holds is left alone.
const HELD: Duration = Duration::from_millis(250);

/// For so long launches are gathered before they are written down. One that ends within it is written down with its end; a dispatcher that
/// dies within it has its launch repeated with the same key, as ever when the answer was not written down.
const TOGETHER: Duration = Duration::from_millis(20);

/// Writes the runner's names of attempts into rows that keep them. What cannot be written now is written at the end.
async fn name_in_rows(shared: &Shared, rows: Vec<(u32, RowWriting)>) {
    for (source_table, rows) in grouped(rows, |(table, _)| *table) {
        let rows: Vec<RowWriting> = rows.into_iter().map(|(_, row)| row).collect();
        let writing = async {
            let mut client = shared.database.get().await?;
            let transaction = client.transaction();
            let writing = write_back(&transaction, source_table, None, &rows, Writing::Onward);
            tokio::try_join!(transaction.begin(), writing)?;
            transaction.commit_after_users().await?;
            drop(transaction);
            shared.database.give_back(client);
            Ok::<_, DatabaseError>(())
        };
        if let Err(error) = shared.within(writing).await {
            tracing::debug!(%error, source_table, rows = rows.len(), "rows do not have the names of their attempts yet");
        }
    }
}

/// Writes down launches, as many at a time as have come together.
pub async fn run(shared: Handle, mut launched: mpsc::UnboundedReceiver<(AttemptId, Launched)>) {
    let mut batch: Vec<(AttemptId, Launched)> = Vec::new();
    let mut trouble = Trouble::new("recording launches");
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            received = launched.recv_many(&mut batch, shared.settings.dispatcher.batch) => {
                if received == 0 {
                    return;
                }
                due.get_or_insert_with(|| Instant::now() + TOGETHER);
                continue;
            }
            // A launch that hangs must not hold up the end; the next dispatcher repeats it with the same key. What waited
            // for an attempt that was being settled is told once more: the settler is done with it.
            () = shared.lifecycle.stopping.cancelled() => {
                let marking = async { mark_launched(&shared.database.get().await?, &batch).await };
                if !batch.is_empty() && let Err(error) = shared.database.within(LAST_WORD, marking).await {
                    tracing::debug!(%error, launches = batch.len(), "the last launches could not be written down");
                }
                return;
            }
        }
        batch.retain(|(id, _)| shared.in_flight.notes_launch(*id));
        due = None;
        if batch.is_empty() {
            continue;
        }
        let pause = match note(&shared, &batch).await {
            Ok(held) => {
                trouble.over();
                batch.retain(|(id, _)| held.contains(id));
                (!batch.is_empty()).then(|| jittered(HELD))
            }
            Err(error) => Some(trouble.wait(&error)),
        };
        due = pause.map(|pause| Instant::now() + pause);
    }
}

/// Writes launches down; those that are held come back. After an error that is about a value, one by one.
async fn note(shared: &Shared, batch: &[(AttemptId, Launched)]) -> Result<Vec<AttemptId>, DatabaseError> {
    let mark = async |launched: &[(AttemptId, Launched)]| {
        let marking = async { mark_launched(&shared.database.get().await?, launched).await };
        let LaunchesNoted { held, rows } = shared.within(marking).await?;
        name_in_rows(shared, rows).await;
        Ok::<_, DatabaseError>(held)
    };
    match mark(batch).await {
        Err(error) if error.is_of_a_value() => {}
        done => return done,
    }
    let mut held = Vec::new();
    for launched in batch {
        match mark(std::slice::from_ref(launched)).await {
            Ok(this) => held.extend(this),
            // That it was launched must be known, or it would count as never launched.
            Err(error) if error.is_of_a_value() => {
                tracing::warn!(attempt = launched.0.get(), %error, "what its runner calls it cannot be written down");
                let nameless = Launched { external_id: String::new(), log: None, ..launched.1.clone() };
                held.extend(mark(&[(launched.0, nameless)]).await?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(held)
}
