//! One owner at a time: of two owners that were asked for by hand, or by routes that were edited between, the second waits
//! until the first is done. Where their tasks have a running status, the row itself tells; elsewhere only this does.

use std::collections::{HashMap, HashSet};

use super::prepare::SortedJobs;
use crate::database::{DatabaseError, Statements, jobs_without_row};
use crate::parameters::Task;

/// Sets aside the ready jobs whose row another owner has.
pub async fn one_owner(
    client: &impl Statements,
    tasks: &[Task],
    sorted: &mut SortedJobs,
) -> Result<(), DatabaseError> {
    let owners = owners_of_tables(tasks);
    let mut taken = HashSet::new();
    let mut asked = Vec::new();
    let mut second = HashSet::new();
    for ready in sorted.ready.iter().filter(|ready| !ready.task.write_back.is_observer()) {
        if !taken.insert((ready.job.source_table, ready.job.row_key.to_string())) {
            second.insert(ready.job.job_id);
        } else if owners.get(&ready.job.source_table).is_some_and(|owners| *owners > 1) {
            asked.push(ready.job.job_id);
        }
    }
    second.extend(jobs_without_row(client, &asked).await?);
    sorted.ready.retain(|ready| !second.contains(&ready.job.job_id));
    sorted.owned.extend(second);
    Ok(())
}

/// Whether the database must be asked about the row of one of these jobs.
pub fn may_be_anothers(tasks: &[Task], sorted: &SortedJobs) -> bool {
    let owners = owners_of_tables(tasks);
    let mut rows = HashSet::new();
    sorted.ready.iter().filter(|ready| !ready.task.write_back.is_observer()).any(|ready| {
        !rows.insert((ready.job.source_table, ready.job.row_key.to_string()))
            || owners.get(&ready.job.source_table).is_some_and(|owners| *owners > 1)
    })
}

/// How many owners a table has. Where there is one, there is no other to ask about.
fn owners_of_tables(tasks: &[Task]) -> HashMap<u32, usize> {
    let mut owners = HashMap::new();
    for task in tasks.iter().filter(|task| !task.write_back.is_observer()) {
        *owners.entry(task.source_table).or_default() += 1;
    }
    owners
}
