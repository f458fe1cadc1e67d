//! What is written into a row at a job's end.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::database::{DatabaseError, OpenAttempt, RowWriting, Statements, Writing, Written, write_back};
use crate::dispatcher::claim::prepare::grouped;
use crate::job::{RowWrite, Settlement};
use crate::parameters::WriteBack;

/// An end that is decided, and what becomes of its row.
#[derive(Debug)]
pub struct DecidedAttempt {
    pub open: OpenAttempt,
    pub write_back: Arc<WriteBack>,
    pub settlement: Settlement,
    pub result: Option<Value>,
    pub external_id: Option<String>,
    pub written: Option<Written>,
}

/// Writes status, result and message into the rows that the decisions name.
pub async fn write_rows(
    client: &impl Statements,
    decided: &mut [DecidedAttempt],
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
    let target = |i: &usize| {
        let DecidedAttempt { open, write_back, .. } = &decided[*i];
        let writing = if write_back.observer { Writing::Results } else { Writing::Onward };
        (open.source_table, write_back.result_column.clone(), writing)
    };
    for ((source_table, result_column, writing), places) in grouped(writing, target) {
        let rows: Vec<RowWriting> = places.iter().map(|i| row_writing(&decided[*i])).collect();
        let written = write_back(client, source_table, result_column.as_deref(), &rows, writing).await?;
        for (i, written) in places.into_iter().zip(written) {
            decided[i].written = Some(written);
        }
    }
    Ok(())
}

/// What one end writes.
fn row_writing(decided: &DecidedAttempt) -> RowWriting {
    let DecidedAttempt { open, write_back, settlement, result, .. } = decided;
    let (status, merge): (_, Map<String, Value>) = if settlement.row == RowWrite::Failed {
        let words = [("message", json!(settlement.message)), ("outcome", json!(settlement.outcome.as_str()))];
        (
            write_back.status_of(settlement.outcome),
            words.map(|(word, value)| (word.to_owned(), value)).into_iter().collect(),
        )
    } else {
        let result = result.iter().map(|result| ("result".to_owned(), result.clone()));
        (write_back.status_succeeded.as_ref(), result.collect())
    };
    // A row that a user has moved on may have come to the same status again, by another task.
    let still_ours = open.moved_to.as_ref().is_none_or(|moved_to| write_back.expected.contains(moved_to));
    RowWriting {
        key: open.row_key.clone(),
        expected: if still_ours { write_back.expected.clone() } else { Vec::new() },
        version: None,
        // An observer's is not the row's.
        external_id: decided.external_id.clone().filter(|_| !write_back.observer),
        status: status.cloned(),
        merge: write_back.result_column.is_some().then_some(Value::Object(merge)),
        task: open.task.clone(),
        notify_channel: write_back.notify_channel.clone(),
    }
}
