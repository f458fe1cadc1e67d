//! What is written into a row at a job's end, also where the jobs of several tasks share the row and its status.
//!
//! While another of them is unsettled, an end writes its result or its message, and leaves the status. The last end
//! writes the status: the failed one if any of them failed, else its own.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::GenericClient;
use serde_json::{Map, Value, json};

use super::prepare::grouped;
use crate::database::{
    DatabaseError, Open, RowWriting, Siblings, Writing, Written, lock_siblings, tell_failed, write_back,
};
use crate::job::{Next, RowWrite, Settlement};
use crate::runners::Request;

/// An end that is decided, and what becomes of its row.
#[derive(Debug)]
pub struct Decided {
    pub open: Open,
    pub request: Request,
    pub settlement: Settlement,
    pub result: Option<Value>,
    pub written: Option<Written>,
}

impl Decided {
    /// Whether its job leaves the table.
    fn is_last_word(&self) -> bool {
        self.settlement.next == Next::Finish && !self.open.again
    }
}

/// Leaves out those whose siblings are in somebody's hands, and all but one of each row: the next must see what the
/// first has left. Returns the siblings of the others.
pub async fn one_of_each_row(
    client: &impl GenericClient,
    decided: &mut Vec<Decided>,
) -> Result<HashMap<i64, Siblings>, DatabaseError> {
    let jobs: Vec<i64> =
        decided.iter().filter(|d| d.open.has_siblings && d.is_last_word()).map(|d| d.open.job_id).collect();
    let siblings = lock_siblings(client, &jobs).await?;
    let mut seen = HashSet::new();
    decided.retain(|d| match siblings.get(&d.open.job_id) {
        Some(family) => family.held && seen.insert((d.open.source_table, d.open.row_key.to_string())),
        None => true,
    });
    Ok(siblings)
}

/// Writes status, result and message into the rows that the decisions name, and tells the siblings that remain.
pub async fn write_rows(
    client: &impl GenericClient,
    decided: &mut [Decided],
    siblings: &HashMap<i64, Siblings>,
) -> Result<(), DatabaseError> {
    let writing: Vec<usize> = (0..decided.len())
        .filter(|i| {
            let d = &decided[*i];
            match d.settlement.row {
                RowWrite::None => false,
                // The task wrote it when it reported.
                RowWrite::Succeeded => !d.open.row_written,
                RowWrite::Failed => true,
            }
        })
        .collect();
    let target =
        |i: &usize| (decided[*i].open.source_table, decided[*i].request.write_back.result_column.clone());
    for ((source_table, result_column), places) in grouped(writing, target) {
        let rows: Vec<RowWriting> = places
            .iter()
            .map(|i| row_writing(&decided[*i], siblings.contains_key(&decided[*i].open.job_id)))
            .collect();
        let written =
            write_back(client, source_table, result_column.as_deref(), &rows, Writing::Onward).await?;
        for (i, written) in places.into_iter().zip(written) {
            decided[i].written = Some(written);
        }
    }
    let mut failed = Vec::new();
    for d in
        decided.iter().filter(|d| d.settlement.row == RowWrite::Failed && d.written != Some(Written::Locked))
    {
        if let (Some(family), Some(status)) =
            (siblings.get(&d.open.job_id), &d.request.write_back.status_failed)
        {
            let mut how = message(&d.settlement);
            how.insert("status".to_owned(), json!(status));
            failed.extend(family.jobs.iter().map(|sibling| (*sibling, Value::Object(how.clone()))));
        }
    }
    tell_failed(client, &failed).await
}

fn message(settlement: &Settlement) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("message".to_owned(), json!(settlement.message));
    message.insert("outcome".to_owned(), json!(settlement.outcome.as_str()));
    message
}

/// What one end writes; `shared`, if others of the same status are to come.
fn row_writing(decided: &Decided, shared: bool) -> RowWriting {
    let write_back = &decided.request.write_back;
    let (own, mut merge) = match decided.settlement.row {
        RowWrite::Failed => (&write_back.status_failed, message(&decided.settlement)),
        _ => {
            let result = decided.result.iter().map(|result| ("result".to_owned(), result.clone()));
            (&write_back.status_succeeded, result.collect())
        }
    };
    let mut status = own.clone();
    if let Some(Value::Object(failed)) = &decided.open.failed_with
        && decided.settlement.row == RowWrite::Succeeded
    {
        // Another task of the same status failed before.
        let mut failed = failed.clone();
        status = failed.remove("status").and_then(|s| s.as_str().map(str::to_owned)).or(status);
        merge.extend(failed);
    }
    RowWriting {
        key: decided.open.row_key.clone(),
        expected: write_back.expected.clone(),
        status: status.filter(|_| !shared),
        merge: Some(Value::Object(merge)).filter(|_| write_back.result_column.is_some()),
        task: decided.open.task.clone(),
        notify_channel: write_back.notify_channel.clone(),
    }
}
