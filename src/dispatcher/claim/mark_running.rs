//! Gives the rows of claimed jobs their running status, and says in which statuses each job may write its row later.

use crate::database::{DatabaseError, RowWriting, Statements, Writing, Written, write_back};
use crate::dispatcher::claim::prepare::{ReadyJob, SortedJobs, grouped};

/// Marks the rows of all ready jobs. A job whose row cannot be written does not start.
pub async fn mark_running(client: &impl Statements, sorted: &mut SortedJobs) -> Result<(), DatabaseError> {
    let mut marking = Vec::new();
    for mut ready in std::mem::take(&mut sorted.ready) {
        match status_for(&ready) {
            Some(status) => marking.push((ready, status)),
            None => {
                ready.request.write_back.expected = expected(&ready, &ready.found_in);
                sorted.ready.push(ready);
            }
        }
    }
    let group =
        |(ready, _): &(ReadyJob, String)| (ready.job.source_table, ready.task.write_back.running_by_task);
    for ((source_table, back), marking) in grouped(marking, group) {
        let writing = if back { Writing::Back } else { Writing::Onward };
        let rows: Vec<RowWriting> =
            marking.iter().map(|(ready, status)| row_writing(ready, status)).collect();
        let written = write_back(client, source_table, None, &rows, writing).await?;
        for ((ready, status), written) in marking.into_iter().zip(written) {
            place(sorted, ready, &status, written);
        }
    }
    Ok(())
}

/// The status to be written for a job that starts, if any.
pub fn status_for(ready: &ReadyJob) -> Option<String> {
    let task = &ready.task;
    if task.write_back.running_by_task {
        // Its program looks for rows by their status, and an attempt before may have left this one in another.
        return (ready.found_in != task.on_status).then(|| task.on_status.clone());
    }
    task.write_back.running.clone()
}

/// The statuses in which a job that starts with its row in `status` may write it when it ends.
pub fn expected(ready: &ReadyJob, status: &str) -> Vec<String> {
    let write_back = &ready.task.write_back;
    if write_back.is_observer() {
        return Vec::new();
    }
    let mut expected = vec![status.to_owned()];
    if write_back.running_by_task {
        expected.extend(write_back.running.clone());
    }
    expected
}

/// The write that marks its row.
pub fn row_writing(ready: &ReadyJob, status: &str) -> RowWriting {
    let ReadyJob { job, task, found_in, version, .. } = ready;
    RowWriting {
        key: job.row_key.clone(),
        expected: vec![found_in.clone()],
        // What was rendered is what the row holds: a write between the reading and now is read first.
        // A job that has waited long for its row to rest runs with what was read.
        version: version.clone().filter(|_| !job.has_waited),
        external_id: None,
        status: Some(status.to_owned()),
        merge: None,
        task: job.task.clone(),
        notify_channel: task.write_back.notify_channel.clone(),
    }
}

/// What becomes of a job now that its row is written or is not.
fn place(sorted: &mut SortedJobs, mut ready: ReadyJob, status: &str, written: Written) {
    let id = ready.job.job_id;
    match written {
        Written::Written | Written::Kept(_) => {
            ready.request.write_back.expected = expected(&ready, status);
            sorted.ready.push(ready);
        }
        Written::Locked => sorted.held.push(id),
        Written::Later => sorted.later.push(id),
        Written::Changed => sorted.changed.push(id),
        Written::Moved => sorted.obsolete.push((id, "the row moved on".to_owned())),
        Written::Deleted => sorted.obsolete.push((id, "the row was deleted".to_owned())),
        Written::Failed(error) => {
            sorted.blocked.push((id, format!("status_running cannot be written: {error}")));
        }
    }
}
