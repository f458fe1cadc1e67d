//! Gives the rows of claimed jobs their running status, and says in which statuses each job may write its row later.
//!
//! Where several tasks share a status, the first of them to start marks the row, and the others leave it so: each end
//! is written by compare-and-set, and two running statuses on one row would make one of them miss.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;

use super::prepare::{Ready, Sorted, grouped};
use crate::database::{
    DatabaseError, RowWriting, Siblings, Writing, Written, forget_left_in, lock_siblings, tell_left_in,
    write_back,
};

/// A job, and what is done to its row for it.
struct Marking {
    ready: Ready,
    /// The status to write, unless somebody else writes it.
    status: Option<String>,
    /// Jobs of the same row in the same batch, which share what becomes of it.
    followers: Vec<Ready>,
}

/// Marks the rows of all ready jobs. Whose row cannot be written does not run.
pub async fn mark_running(client: &impl GenericClient, sorted: &mut Sorted) -> Result<(), DatabaseError> {
    let sharing: Vec<i64> =
        sorted.ready.iter().filter(|r| r.job.beside.is_some()).map(|r| r.job.job_id).collect();
    let siblings = lock_siblings(client, &sharing).await?;
    let markings = plan(sorted, &siblings);
    let (marking, unmarked): (Vec<_>, Vec<_>) = markings.into_iter().partition(|m| m.status.is_some());
    for Marking { mut ready, .. } in unmarked {
        ready.request.write_back.expected = expected(&ready, &ready.found_in);
        sorted.ready.push(ready);
    }
    let mut left_in = Vec::new();
    let group = |m: &Marking| (m.ready.job.source_table, m.ready.task.write_back.running_by_task);
    for ((source_table, back), markings) in grouped(marking, group) {
        let writing = if back { Writing::Back } else { Writing::Onward };
        let rows: Vec<RowWriting> = markings.iter().map(row_writing).collect();
        let written = write_back(client, source_table, None, &rows, writing).await?;
        for (marking, written) in markings.into_iter().zip(written) {
            settle_marking(sorted, marking, &written, &siblings, &mut left_in);
        }
    }
    // Of those that start. What is put off must still find its row.
    let starting =
        sorted.ready.iter().filter(|ready| ready.job.left_in.is_some()).map(|ready| ready.job.job_id);
    forget_left_in(client, &starting.collect::<Vec<_>>()).await?;
    tell_left_in(client, &left_in).await
}

/// Which rows are marked for whom. A job of which a sibling is in somebody's hands is put off.
fn plan(sorted: &mut Sorted, siblings: &HashMap<i64, Siblings>) -> Vec<Marking> {
    let mut markings: Vec<Marking> = Vec::new();
    // By table and key, those rows that a job in this batch marks.
    let mut marked: HashMap<(u32, String), usize> = HashMap::new();
    for ready in std::mem::take(&mut sorted.ready) {
        let family = siblings.get(&ready.job.job_id);
        if family.is_some_and(|family| !family.held) {
            sorted.held.push(ready.job.job_id);
            continue;
        }
        let row = (ready.job.source_table, ready.job.row_key.to_string());
        if family.is_some()
            && let Some(first) = marked.get(&row)
        {
            markings[*first].followers.push(ready);
            continue;
        }
        let status = status_for(&ready);
        if family.is_some() && status.is_some() {
            marked.insert(row, markings.len());
        }
        markings.push(Marking { ready, status, followers: Vec::new() });
    }
    markings
}

/// The status to be written for a job that starts, if any.
fn status_for(ready: &Ready) -> Option<String> {
    let write_back = &ready.task.write_back;
    if write_back.running_by_task {
        // Its program looks for rows by their status, and an attempt before may have left this one in another.
        return (ready.found_in != ready.job.on_status).then(|| ready.job.on_status.clone());
    }
    // Another job beside it has marked it, and runs.
    let marked = ready.job.beside.iter().flatten().any(|status| *status == ready.found_in);
    if marked && ready.found_in != ready.job.on_status {
        return None;
    }
    write_back.running.clone()
}

/// The statuses in which a job that starts with its row in `status` may write it when it ends.
fn expected(ready: &Ready, status: &str) -> Vec<String> {
    let mut expected = vec![status.to_owned()];
    let write_back = &ready.task.write_back;
    if write_back.running_by_task {
        expected.extend(write_back.running.clone());
    }
    expected
}

fn row_writing(marking: &Marking) -> RowWriting {
    let Ready { job, task, found_in, .. } = &marking.ready;
    RowWriting {
        key: job.row_key.clone(),
        expected: vec![found_in.clone()],
        status: marking.status.clone(),
        merge: None,
        task: job.task.clone(),
        notify_channel: task.write_back.notify_channel.clone(),
    }
}

/// What becomes of a job, and of those with it, now that its row is written or is not.
fn settle_marking(
    sorted: &mut Sorted,
    marking: Marking,
    written: &Written,
    siblings: &HashMap<i64, Siblings>,
    left_in: &mut Vec<(i64, String)>,
) {
    let status = marking.status.unwrap_or_default();
    if *written == Written::Written
        && let Some(family) = siblings.get(&marking.ready.job.job_id)
    {
        left_in.extend(family.jobs.iter().map(|sibling| (*sibling, status.clone())));
    }
    for mut ready in std::iter::once(marking.ready).chain(marking.followers) {
        let id = ready.job.job_id;
        match written {
            Written::Written => {
                ready.request.write_back.expected = expected(&ready, &status);
                sorted.ready.push(ready);
            }
            Written::Locked => sorted.held.push(id),
            Written::Moved => sorted.obsolete.push((id, "the row moved on".to_owned())),
            Written::Deleted => sorted.obsolete.push((id, "the row was deleted".to_owned())),
            Written::Failed(error) => {
                sorted.blocked.push((id, format!("status_running cannot be written: {error}")));
            }
        }
    }
}
