//! The short way of a few jobs: marks, attempts, the look at the parameters and the commit are sent in one go, so that from
//! being woken to the launch there are two round trips, the claim and this.
//!
//! All or nothing: if one row is not as it was read, or its table refuses the write, or the parameters were edited, none of it
//! stands, and the claim is repeated on the long way ([`super::prepare::prepare`]), which tells each job what is wrong with it. It
//! is short only for jobs that all turned out to be ready; a large batch does not wait for round trips, and one row in it would
//! undo it all.

use super::mark_running::{expected, row_writing, status_for};
use super::one_owner::may_be_anothers;
use super::prepare::{Prepared, ReadyJob, Started, attempts_of};
use crate::database::{self, DatabaseError, Marks, Transaction};
use crate::dispatcher::shared::Shared;
use crate::parameters::Task;

/// With more jobs the round trips do not matter.
pub const FEW: usize = 16;

/// Whether these jobs can go the short way.
pub fn can_start_at_once(tasks: &[Task], prepared: &Prepared) -> bool {
    let sorted = &prepared.sorted;
    let kinds =
        sorted.ready.iter().map(|ready| (ready.job.source_table, ready.task.write_back.running_by_task));
    sorted.are_all_ready()
        && sorted.ready.len() <= FEW
        && kinds.collect::<std::collections::HashSet<_>>().len() == 1
        && !may_be_anothers(tasks, sorted)
}

/// Starts them and commits.
pub async fn start_at_once(
    shared: &Shared,
    transaction: &Transaction<'_>,
    stamp: &str,
    prepared: Prepared,
) -> Result<Started, DatabaseError> {
    let mut ready = prepared.sorted.ready;
    let marks = marks_of(&mut ready);
    let terms = match shared.terms.ids(&ready) {
        Ok(terms) => terms,
        Err(unknown) => return Ok(Started::Unknown(unknown)),
    };
    let (new, attempts) = attempts_of(shared, ready, terms);
    // Each is sent at the first look at it, in this order, since the first has no name: code of users has run. Its error counts; the
    // other's only says that there was one.
    tokio::try_join!(
        biased;
        database::start_at_once(transaction, &marks, shared.identity.id, &new, stamp),
        transaction.commit_after_users(),
    )?;
    Ok(Started::All(attempts))
}

/// What is to be marked; and says in the requests what the rows will be.
fn marks_of(ready: &mut [ReadyJob]) -> Marks {
    let mut marks = Marks::default();
    for ready in ready {
        let Some(status) = status_for(ready) else {
            ready.request.write_back.expected = expected(ready, &ready.found_in);
            continue;
        };
        ready.request.write_back.expected = expected(ready, &status);
        let row = row_writing(ready, &status);
        marks.source_table = ready.job.source_table;
        marks.back = ready.task.write_back.running_by_task;
        marks.keys.push(row.key);
        marks.found_in.push(ready.found_in.clone());
        marks.statuses.push(status);
        marks.versions.push(row.version);
        marks.tasks.push(row.task);
        marks.channels.push(row.notify_channel);
    }
    marks
}
