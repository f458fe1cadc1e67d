//! Reading and writing rows of source tables, set by set.

use serde_json::Value;
use tokio_postgres::Row;

use super::DatabaseError;
use super::columns::{Columns as _, Noted, Unreadable};
use super::statements::Statements;
use super::typed::Typed;
use crate::job::UnknownWord;

/// The word of `rowcall_internal.source_rows` for a row that is left to the next reading.
const LATER: &str = "later";

/// A row that a job stands for.
#[derive(Debug, Clone)]
pub struct SourceRow {
    /// Its primary key.
    pub key: Value,
    /// Its status now.
    pub status: Option<String>,
    /// All of it, for templates, as the text of a jsonb: what it holds need not be read to be passed on.
    pub data: String,
    /// Changes with each write of it. None if it cannot be read.
    pub version: Option<String>,
    /// Why it cannot be read.
    pub problem: Option<RowProblem>,
}

/// Why one row cannot be read, while others can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowProblem {
    /// The rows before it are as many bytes as are read at once.
    Later,
    /// What is wrong with it.
    Wrong(String),
}

/// The rows of one table; missing ones are gone. The error is the table's own (dropped, no right to read, a lock).
pub type TableRows = Result<Vec<SourceRow>, String>;

/// The rows with these keys.
pub async fn source_rows(
    client: &impl Statements,
    source_table: u32,
    keys: &[Value],
) -> Result<TableRows, DatabaseError> {
    let mut found = Ok(Vec::with_capacity(keys.len()));
    client.users_ran();
    for row in client
        .rows(include_str!("../../sql/queries/source_rows/source_rows.sql"), &[&source_table, &keys])
        .await?
    {
        add_row(&mut found, &row)?;
    }
    Ok(found)
}

/// Adds a line of `rowcall_internal.source_rows` to the rows of its table.
pub fn add_row(found: &mut TableRows, line: &Row) -> Result<(), Unreadable> {
    let said: Option<String> = line.column("error")?;
    let Some(key) = line.column("row_key")? else {
        *found = Err(said.unwrap_or_default());
        return Ok(());
    };
    let mut unreadable = Noted::default();
    let status = unreadable.note(line.column("status"));
    let data: Option<String> = unreadable.note(line.column("row_data"));
    let said = said.or_else(|| unreadable.first.map(|column| column.to_string()));
    let problem = said.map(|word| if word == LATER { RowProblem::Later } else { RowProblem::Wrong(word) });
    let version = line.column("version")?;
    if let Ok(rows) = found {
        rows.push(SourceRow { key, status, data: data.unwrap_or_default(), version, problem });
    }
    Ok(())
}

/// One row to write.
#[derive(Debug, Clone)]
pub struct RowWriting {
    /// Its primary key.
    pub key: Value,
    /// Statuses in which it may be written.
    pub expected: Vec<String>,
    /// The only version of it that may be written; none for any.
    pub version: Option<String>,
    /// What its runner calls the attempt, for tables that keep it; none leaves it.
    pub external_id: Option<String>,
    /// The new status; none leaves it.
    pub status: Option<String>,
    /// Merged into the result column; none leaves it.
    pub merge: Option<Value>,
    /// Whose write it is.
    pub task: String,
    /// Where the new status is announced, if anywhere.
    pub notify_channel: Option<String>,
}

/// Why rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// What a job does to its row: its new status may ask for other tasks.
    Onward,
    /// The status that asked for the job is put back for it, and asks for nothing anew.
    Back,
    /// What an observer ends with, whatever the row's status.
    Results,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is in the row.
    Written,
    /// The status is in the row; the result is not, for a reason in words.
    Kept(String),
    /// The row has another status by now; left as it is.
    Moved,
    /// It is another version than the one that was read.
    Changed,
    /// There is no such row any more.
    Deleted,
    /// Another session holds the row; try again later.
    Locked,
    /// It was not tried: the rows before it waited for locks all the time there is.
    Later,
    /// The table refused the write, or is not watched any more.
    Failed(String),
}

impl Written {
    /// The word kept in `rowcall.history.write_back`; none for a plain success.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        match self {
            Self::Written => None,
            Self::Kept(why) => Some(format!("kept: {why}")),
            Self::Moved => Some("moved".to_owned()),
            Self::Changed => Some("changed".to_owned()),
            Self::Deleted => Some("deleted".to_owned()),
            Self::Locked | Self::Later => Some("locked".to_owned()),
            Self::Failed(error) => Some(format!("failed: {error}")),
        }
    }
}

/// Writes rows of one table, each by compare-and-set; answers in the order asked.
pub async fn write_back(
    client: &impl Statements,
    source_table: u32,
    result_column: Option<&str>,
    rows: &[RowWriting],
    writing: Writing,
) -> Result<Vec<Written>, DatabaseError> {
    let keys: Vec<&Value> = rows.iter().map(|r| &r.key).collect();
    let expected: Vec<Value> = rows.iter().map(|r| Value::from(r.expected.clone())).collect();
    let statuses: Vec<Option<&str>> = rows.iter().map(|r| r.status.as_deref()).collect();
    let merges: Vec<Option<&Value>> = rows.iter().map(|r| r.merge.as_ref()).collect();
    let tasks: Vec<&str> = rows.iter().map(|r| r.task.as_str()).collect();
    let channels: Vec<Option<&str>> = rows.iter().map(|r| r.notify_channel.as_deref()).collect();
    let versions: Vec<Option<&str>> = rows.iter().map(|r| r.version.as_deref()).collect();
    let external_ids: Vec<Option<&str>> = rows.iter().map(|r| r.external_id.as_deref()).collect();
    let (back, observers) = (writing == Writing::Back, writing == Writing::Results);
    client.users_ran();
    let values: [&dyn Typed; 12] = [
        &source_table,
        &result_column,
        &keys,
        &expected,
        &statuses,
        &merges,
        &tasks,
        &channels,
        &back,
        &observers,
        &versions,
        &external_ids,
    ];
    let answer = client.rows(include_str!("../../sql/queries/source_rows/write_back.sql"), &values).await?;
    let mut written = vec![Written::Locked; rows.len()];
    for row in answer {
        let place = row.column::<i32>("place")? as usize - 1;
        written[place] = match row.column::<&str>("state")? {
            "written" => Written::Written,
            "kept" => Written::Kept(row.column::<Option<String>>("error")?.unwrap_or_default()),
            "moved" => Written::Moved,
            "changed" => Written::Changed,
            "deleted" => Written::Deleted,
            "failed" => Written::Failed(row.column::<Option<String>>("error")?.unwrap_or_default()),
            "locked" => Written::Locked,
            "later" => Written::Later,
            word => {
                let known = "written, kept, moved, changed, deleted, failed, locked, later".to_owned();
                return Err(UnknownWord { what: "state of a write", word: word.to_owned(), known }.into());
            }
        };
    }
    Ok(written)
}
