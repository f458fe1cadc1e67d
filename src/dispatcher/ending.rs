//! What is written into a row at a job's end, also where the jobs of several tasks share the row and its status.
//!
//! While another of them is unsettled, an end writes its result or its message, and leaves the status. The last end
//! writes the status: the failed one if any of them failed, else its own.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::GenericClient;
use serde_json::{Map, Value, json};

use super::prepare::grouped;
use crate::database::{
    DatabaseError, Open, RowWriting, Siblings, Writing, Written, lock_siblings, tell_left_in, tell_withheld,
    write_back,
};
use crate::job::{Next, Outcome, RowWrite, Settlement};
use crate::parameters::WriteBack;

/// An end that is decided, and what becomes of its row.
#[derive(Debug)]
pub struct Decided {
    pub open: Open,
    pub write_back: WriteBack,
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
    let target = |i: &usize| (decided[*i].open.source_table, decided[*i].write_back.result_column.clone());
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
    tell_siblings(client, decided, siblings).await
}

/// Those that remain must know how this one ended, and where it leaves their row.
async fn tell_siblings(
    client: &impl GenericClient,
    decided: &[Decided],
    siblings: &HashMap<i64, Siblings>,
) -> Result<(), DatabaseError> {
    let (mut withheld, mut left_in) = (Vec::new(), Vec::new());
    for d in decided.iter().filter(|d| d.settlement.row != RowWrite::None) {
        let Some(family) = siblings.get(&d.open.job_id) else { continue };
        let reported = d.settlement.row == RowWrite::Succeeded && d.open.row_written;
        // What ended with a row that somebody had moved on is no business of those whose row it is now.
        if !reported && !matches!(d.written, Some(Written::Written | Written::Failed(_))) {
            continue;
        }
        let mut how = message(&d.settlement);
        how.insert("task".to_owned(), json!(d.open.task));
        how.insert("status".to_owned(), json!(own_status(d)));
        withheld.extend(family.jobs.iter().map(|sibling| (*sibling, Value::Object(how.clone()))));
        if let Some(status) = d.open.left_in.as_ref().or(d.write_back.expected.first()) {
            left_in.extend(family.jobs.iter().map(|sibling| (*sibling, status.clone())));
        }
    }
    tell_withheld(client, &withheld).await?;
    tell_left_in(client, &left_in).await
}

fn message(settlement: &Settlement) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("message".to_owned(), json!(settlement.message));
    message.insert("outcome".to_owned(), json!(settlement.outcome.as_str()));
    message
}

/// The status that an end by itself would give the row.
fn own_status(decided: &Decided) -> Option<&String> {
    match decided.settlement.row {
        RowWrite::Failed => decided.write_back.status_failed.as_ref(),
        _ => decided.write_back.status_succeeded.as_ref(),
    }
}

/// What one end writes; `shared`, if others of the same status are to come.
fn row_writing(decided: &Decided, shared: bool) -> RowWriting {
    let write_back = &decided.write_back;
    let failed = decided.settlement.row == RowWrite::Failed;
    let mut merge: Map<String, Value> = if failed {
        message(&decided.settlement)
    } else {
        decided.result.iter().map(|result| ("result".to_owned(), result.clone())).collect()
    };
    let mut status = own_status(decided).cloned();
    if let Some(Value::Object(before)) = &decided.open.withheld {
        let theirs = before.get("status").and_then(Value::as_str).map(str::to_owned);
        let they_failed = before.get("outcome").is_some_and(|outcome| outcome != Outcome::Succeeded.as_str());
        if they_failed && !failed {
            status = theirs.or(status);
            let words = ["message", "outcome"].into_iter().filter_map(|word| before.get_key_value(word));
            merge.extend(words.map(|(word, value)| (word.clone(), value.clone())));
        } else {
            // Their word stands where this task has none of its own.
            status = status.or(theirs);
        }
    }
    let mut expected = write_back.expected.clone();
    expected.extend(decided.open.left_in.clone());
    RowWriting {
        key: decided.open.row_key.clone(),
        expected,
        status: status.filter(|_| !shared),
        merge: Some(Value::Object(merge)).filter(|_| write_back.result_column.is_some()),
        task: decided.open.task.clone(),
        notify_channel: write_back.notify_channel.clone(),
    }
}
