//! Locking the jobs to start next, and the keys by which they are counted.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Row;

use super::DatabaseError;
use super::columns::{Columns as _, Noted, Unreadable, strings};
use super::source_rows::{TableRows, add_row};
use super::statements::Statements;
use super::typed::Typed;
use crate::job::{AttemptId, DispatcherId, JobId};
use crate::parameters::Task;

const CLAIM: &str = concat!(
    include_str!("../../sql/queries/claims/claim.sql"),
    include_str!("../../sql/queries/claims/claimed_jobs.sql"),
    include_str!("../../sql/queries/claims/claim_plan.sql")
);
const CLAIM_WITH_ROWS: &str = concat!(
    include_str!("../../sql/queries/claims/claim.sql"),
    include_str!("../../sql/queries/claims/claimed_jobs.sql"),
    include_str!("../../sql/queries/claims/claimed_rows.sql"),
    include_str!("../../sql/queries/claims/claim_plan.sql")
);
const CLAIM_FEW: &str = concat!(
    include_str!("../../sql/queries/claims/claim_few.sql"),
    include_str!("../../sql/queries/claims/claimed_jobs.sql"),
    include_str!("../../sql/queries/claims/claimed_rows.sql"),
    include_str!("../../sql/queries/claims/claim_few_counted.sql")
);
const CLAIM_COUNTED: &str = concat!(
    include_str!("../../sql/queries/claims/claim_counted.sql"),
    include_str!("../../sql/queries/claims/claimed_jobs.sql")
);

const CLAIM_UNKEYED: &str = concat!(
    include_str!("../../sql/queries/claims/claim_unkeyed.sql"),
    include_str!("../../sql/queries/claims/claimed_jobs.sql")
);

/// A job that this transaction has locked, to start it or to set it aside.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job.
    pub job_id: JobId,
    /// Its task.
    pub task: String,
    /// The table of its row, as an OID.
    pub source_table: u32,
    /// The same by name, for people.
    pub table_name: String,
    /// The row's primary key.
    pub row_key: Value,
    /// The status that asked for it.
    pub on_status: String,
    /// The status that a user gave the row since.
    pub moved_to: Option<String>,
    /// The number of the attempt to be made.
    pub number: i32,
    /// The id of the attempt to be made.
    pub attempt_id: AttemptId,
    /// Statuses in which the attempt before left the row.
    pub expected_before: Vec<String>,
    /// Whether it has been held back for so long by sessions that hold or write its row that it runs all the same.
    pub has_waited: bool,
    /// Since when it is due, in seconds of the Unix epoch.
    pub due: f64,
    /// What it was counted by.
    pub concurrency_key: Option<String>,
    /// What of it this program cannot read.
    pub unreadable: Option<Unreadable>,
}

/// What one look at the queue came to.
#[derive(Debug, Default)]
pub struct Claim {
    /// Jobs locked.
    pub taken: Vec<ClaimedJob>,
    /// Their rows, by table, where they came along.
    pub rows: Option<HashMap<u32, TableRows>>,
    /// Whether there was anything to be had, taken or not.
    pub seen: bool,
    /// Tasks whose jobs are counted, and how many of each may be locked.
    pub counted: Vec<(String, i64)>,
    /// Tasks with jobs whose concurrency key is not rendered yet.
    pub unkeyed: Vec<String>,
}

impl Claim {
    /// Whether a line is of a job or of its row: then it is in the claim now.
    fn takes(&mut self, line: &Row) -> Result<bool, DatabaseError> {
        if line.column("of_row")? {
            let table = line.column("source_table")?;
            let rows = self.rows.get_or_insert_default();
            add_row(rows.entry(table).or_insert_with(|| Ok(Vec::new())), line)?;
        } else if line.column::<Option<JobId>>("id")?.is_some() {
            self.taken.push(claimed(line)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// How to choose among the jobs that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The best by priority and age.
    Best,
    /// Any there are: other dispatchers hold the best.
    Any,
}

/// For each task, behind which job a look begins: since when that is due, in seconds of the Unix epoch, and its id.
pub type Since = (Vec<f64>, Vec<i64>);

/// What a claim is to take.
#[derive(Debug, Clone)]
pub struct Wish {
    /// No more jobs than this.
    pub limit: i64,
    /// So long a wait counts as one point of priority.
    pub ageing: Duration,
    /// Which of the jobs.
    pub choice: Choice,
    /// Whether their rows come along. Reading them runs code of users, whose error is then the whole claim's.
    pub with_rows: bool,
    /// Where it begins with each task.
    pub since: Since,
}

/// A locked job. What cannot be read of it is noted with it, and blocks it alone.
fn claimed(row: &Row) -> Result<ClaimedJob, Unreadable> {
    let mut unreadable = Noted::default();
    let before: Option<Value> = unreadable.note(row.column("expected_before"));
    let job = ClaimedJob {
        job_id: row.column("id")?,
        task: unreadable.note(row.column("task")),
        source_table: row.column("source_table")?,
        table_name: unreadable.note(row.column("table_name")),
        row_key: unreadable.note(row.column("row_key")),
        on_status: unreadable.note(row.column("on_status")),
        moved_to: unreadable.note(row.column("moved_to")),
        number: row.column("number")?,
        attempt_id: row.column("attempt_id")?,
        expected_before: before.as_ref().map(strings).unwrap_or_default(),
        has_waited: row.column("has_waited")?,
        due: row.column("due")?,
        concurrency_key: unreadable.note(row.column("concurrency_key")),
        unreadable: None,
    };
    Ok(ClaimedJob { unreadable: unreadable.first, ..job })
}

/// The word by which a job says that this dispatcher has refused it, by the parameters as they are.
fn refused(dispatcher_id: DispatcherId, task: &Task) -> String {
    format!("{dispatcher_id}/{}", task.version)
}

fn per_key(task: &Task) -> Option<i32> {
    task.concurrency_key.is_some().then_some(task.max_running_per_key)
}

/// Locks all jobs of these tasks, if there are fewer than `limit` and none of a counted task, and reads their rows. None if there
/// are more: what is locked then is no choice, and the transaction must be undone. `since`: where it begins with tasks of these names.
pub async fn claim_few(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    tasks: &[&Task],
    limit: i64,
    since: impl FnOnce(&[&str]) -> Since,
) -> Result<Option<Claim>, DatabaseError> {
    let (counted, free): (Vec<&Task>, Vec<&Task>) = tasks.iter().partition(|task| task.is_counted());
    let names: Vec<&str> = free.iter().map(|task| task.name.as_str()).collect();
    let refused: Vec<String> = free.iter().map(|task| refused(dispatcher_id, task)).collect();
    let counted: Vec<&str> = counted.iter().map(|task| task.name.as_str()).collect();
    let (dues, ids) = since(&names);
    let values: [&dyn Typed; 6] = [&names, &refused, &limit, &counted, &dues, &ids];
    let mut claim = Claim { rows: Some(HashMap::new()), ..Claim::default() };
    let mut is_all = true;
    for row in client.rows_of_users(CLAIM_FEW, &values).await? {
        claim.seen = true;
        is_all &= claim.takes(&row)?;
    }
    if claim.taken.is_empty() {
        client.no_user_ran();
    }
    is_all &= (claim.taken.len() as i64) < limit;
    Ok(is_all.then_some(claim))
}

/// Locks jobs of those tasks whose jobs need not be counted, and counts the others'. `served`: of each task, when
/// it had its latest turn, in any unit.
pub async fn claim(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    tasks: &[&Task],
    served: &[i64],
    wish: Wish,
) -> Result<Claim, DatabaseError> {
    let Wish { limit, ageing, choice, with_rows, since: (dues, ids) } = wish;
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    let priorities: Vec<i32> = tasks.iter().map(|task| i32::from(task.priority)).collect();
    let caps: Vec<Option<i32>> = tasks.iter().map(|task| task.max_running).collect();
    let caps_per_key: Vec<Option<i32>> = tasks.iter().map(|task| per_key(task)).collect();
    let counted: Vec<bool> = tasks.iter().map(|task| task.is_counted()).collect();
    let (ageing, any) = (ageing.as_secs_f64(), choice == Choice::Any);
    let refused: Vec<String> = tasks.iter().map(|task| refused(dispatcher_id, task)).collect();
    let values: [&dyn Typed; 12] = [
        &names,
        &priorities,
        &caps,
        &caps_per_key,
        &counted,
        &limit,
        &ageing,
        &any,
        &refused,
        &served,
        &dues,
        &ids,
    ];
    let mut claim = Claim { rows: with_rows.then(HashMap::new), ..Claim::default() };
    let lines = if with_rows {
        client.rows_of_users(CLAIM_WITH_ROWS, &values).await?
    } else {
        client.rows(CLAIM, &values).await?
    };
    for row in lines {
        claim.seen = true;
        if claim.takes(&row)? {
            continue;
        }
        let task: String = row.column("task")?;
        if row.column("unkeyed")? {
            claim.unkeyed.push(task.clone());
        }
        let is_counted: bool = row.column("counted")?;
        if let Some(quota) = row.column::<Option<i64>>("quota")?.filter(|_| is_counted) {
            claim.counted.push((task, quota));
        }
    }
    if with_rows && claim.taken.is_empty() {
        client.no_user_ran();
    }
    Ok(claim)
}

/// Waits for our turn to take jobs that are counted; it ends with the transaction. What is read after it, by statements
/// of their own, is what the one before us has left.
pub async fn lock_claims(client: &impl Statements) -> Result<(), DatabaseError> {
    client.run(include_str!("../../sql/queries/claims/claim_lock.sql"), &[]).await?;
    Ok(())
}

/// In our turn, locks up to `limit` jobs of these tasks, of each at most so many and no more than its caps leave room for.
pub async fn claim_counted(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    tasks: &[(&Task, i64)],
    limit: i64,
) -> Result<Claim, DatabaseError> {
    let names: Vec<&str> = tasks.iter().map(|(task, _)| task.name.as_str()).collect();
    let caps: Vec<Option<i32>> = tasks.iter().map(|(task, _)| task.max_running).collect();
    let caps_per_key: Vec<Option<i32>> = tasks.iter().map(|(task, _)| per_key(task)).collect();
    let quotas: Vec<i64> = tasks.iter().map(|(_, quota)| *quota).collect();
    let refused: Vec<String> = tasks.iter().map(|(task, _)| refused(dispatcher_id, task)).collect();
    let values: [&dyn Typed; 6] = [&names, &caps, &caps_per_key, &quotas, &limit, &refused];
    let mut claim = Claim::default();
    for row in client.rows(CLAIM_COUNTED, &values).await? {
        claim.takes(&row)?;
    }
    Ok(claim)
}

/// In our turn, locks up to `limit` jobs of a task whose keys are not known yet.
pub async fn claim_unkeyed(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    task: &Task,
    limit: i64,
) -> Result<Claim, DatabaseError> {
    let refused = refused(dispatcher_id, task);
    let mut claim = Claim::default();
    for row in client.rows(CLAIM_UNKEYED, &[&task.name, &task.max_running, &refused, &limit]).await? {
        claim.takes(&row)?;
    }
    Ok(claim)
}

/// How a concurrency key of a task stands.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct KeyInUse {
    pub running: i64,
    /// Jobs of it that have their key wait, and come first.
    pub others_wait: bool,
}

/// In our turn, how these keys of a task stand.
pub async fn keys_in_use(
    client: &impl Statements,
    task: &str,
    keys: &[&str],
) -> Result<HashMap<String, KeyInUse>, DatabaseError> {
    let rows = client.rows(include_str!("../../sql/queries/claims/keys_in_use.sql"), &[&task, &keys]).await?;
    let in_use = |row: &Row| {
        let key = KeyInUse { running: row.column("running")?, others_wait: row.column("others_wait")? };
        Ok((row.column("key")?, key))
    };
    rows.iter().map(in_use).collect()
}

/// A pending job without its concurrency key.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct UnkeyedJob {
    pub job_id: JobId,
    pub task: String,
    pub source_table: u32,
    pub row_key: Value,
    pub on_status: String,
    pub attempts: i32,
    pub unreadable: Option<Unreadable>,
}

/// Locks up to `limit` pending jobs of these tasks that have no key yet.
pub async fn jobs_without_concurrency_key(
    client: &impl Statements,
    tasks: &[String],
    limit: i64,
) -> Result<Vec<UnkeyedJob>, DatabaseError> {
    let rows = client
        .rows(include_str!("../../sql/queries/claims/jobs_without_concurrency_key.sql"), &[&tasks, &limit])
        .await?;
    let unkeyed = |row: &Row| {
        let mut unreadable = Noted::default();
        let job = UnkeyedJob {
            job_id: row.column("id")?,
            task: unreadable.note(row.column("task")),
            source_table: row.column("source_table")?,
            row_key: unreadable.note(row.column("row_key")),
            on_status: unreadable.note(row.column("on_status")),
            attempts: row.column("attempt_count")?,
            unreadable: None,
        };
        Ok(UnkeyedJob { unreadable: unreadable.first, ..job })
    };
    rows.iter().map(unkeyed).collect()
}

/// Gives pending jobs their keys.
pub async fn set_concurrency_keys(
    client: &impl Statements,
    keys: &[(JobId, String)],
) -> Result<(), DatabaseError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (jobs, keys): (Vec<JobId>, Vec<&str>) = keys.iter().map(|(id, key)| (*id, key.as_str())).unzip();
    client
        .run(include_str!("../../sql/queries/claims/jobs_set_concurrency_key.sql"), &[&jobs, &keys])
        .await?;
    Ok(())
}

/// Of these locked jobs of owners, those whose row another owner has. The rows of the others are held until the transaction
/// ends, where another job waits for them.
pub async fn jobs_without_row(client: &impl Statements, jobs: &[JobId]) -> Result<Vec<JobId>, DatabaseError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    client.users_ran();
    let rows = client.rows(include_str!("../../sql/queries/claims/jobs_without_row.sql"), &[&jobs]).await?;
    Ok(rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?)
}
