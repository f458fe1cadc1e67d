//! Statements on `rowcall.attempts` while they are open.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Row;

use super::DatabaseError;
use super::columns::{Columns as _, Unreadable, strings};
use super::source_rows::RowWriting;
use super::statements::Statements;
use super::typed::Typed;
use crate::job::{AttemptId, Cause, DispatcherId, JobId, Launched, RunnerName};
use crate::parameters::Deadlines;

/// An attempt about to be written down, before any runner hears of it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct NewAttempt {
    pub id: AttemptId,
    pub job_id: JobId,
    pub task: String,
    pub source_table: u32,
    pub row_key: Value,
    pub number: i32,
    pub runner: RunnerName,
    pub launch_key: String,
    pub token_hash: Vec<u8>,
    /// What its request has in common with others.
    pub terms_id: String,
    /// What was rendered for it alone.
    pub rendered: Option<Value>,
    pub deadlines: Deadlines,
    /// What a user was known to have moved the row to, which the attempt begins with all the same.
    pub moved_to: Option<String>,
    /// The concurrency key of a job that has had none until now.
    pub concurrency_key: Option<String>,
}

/// New attempts as the columns of a statement.
struct NewAttempts<'a> {
    ids: Vec<AttemptId>,
    jobs: Vec<JobId>,
    tasks: Vec<&'a str>,
    source_tables: Vec<u32>,
    row_keys: Vec<&'a Value>,
    numbers: Vec<i32>,
    runners: Vec<RunnerName>,
    launch_keys: Vec<&'a str>,
    token_hashes: Vec<&'a [u8]>,
    terms_ids: Vec<&'a str>,
    rendered: Vec<Option<&'a Value>>,
    timeouts: Vec<f64>,
    launch_timeouts: Vec<f64>,
    heartbeat_timeouts: Vec<Option<f64>>,
    moved_to: Vec<Option<&'a str>>,
    keys: Vec<Option<&'a str>>,
}

impl<'a> NewAttempts<'a> {
    fn of(attempts: &'a [NewAttempt]) -> Self {
        Self {
            ids: column(attempts, |a| a.id),
            jobs: column(attempts, |a| a.job_id),
            tasks: column(attempts, |a| a.task.as_str()),
            source_tables: column(attempts, |a| a.source_table),
            row_keys: column(attempts, |a| &a.row_key),
            numbers: column(attempts, |a| a.number),
            runners: column(attempts, |a| a.runner),
            launch_keys: column(attempts, |a| a.launch_key.as_str()),
            token_hashes: column(attempts, |a| a.token_hash.as_slice()),
            terms_ids: column(attempts, |a| a.terms_id.as_str()),
            rendered: column(attempts, |a| a.rendered.as_ref()),
            timeouts: column(attempts, |a| a.deadlines.timeout),
            launch_timeouts: column(attempts, |a| a.deadlines.launch),
            heartbeat_timeouts: column(attempts, |a| a.deadlines.heartbeat),
            moved_to: column(attempts, |a| a.moved_to.as_deref()),
            keys: column(attempts, |a| a.concurrency_key.as_deref()),
        }
    }

    fn columns(&self) -> [&dyn Typed; 16] {
        [
            &self.ids,
            &self.jobs,
            &self.tasks,
            &self.source_tables,
            &self.row_keys,
            &self.numbers,
            &self.runners,
            &self.launch_keys,
            &self.token_hashes,
            &self.terms_ids,
            &self.rendered,
            &self.timeouts,
            &self.launch_timeouts,
            &self.heartbeat_timeouts,
            &self.moved_to,
            &self.keys,
        ]
    }
}

/// Starts a batch of locked jobs: from here on they run, each with its attempt.
pub async fn start_jobs(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    attempts: &[NewAttempt],
) -> Result<(), DatabaseError> {
    if attempts.is_empty() {
        return Ok(());
    }
    let new = NewAttempts::of(attempts);
    let mut values: Vec<&dyn Typed> = vec![&dispatcher_id];
    values.extend(new.columns());
    client.run(include_str!("../../sql/queries/attempts/attempts_start.sql"), &values).await?;
    Ok(())
}

/// Rows of one table that attempts which are about to start find in a status and leave in another.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Marks {
    pub source_table: u32,
    /// The new status asks for nothing.
    pub back: bool,
    pub keys: Vec<Value>,
    pub found_in: Vec<String>,
    pub statuses: Vec<String>,
    /// The only versions that may be written; none for any.
    pub versions: Vec<Option<String>>,
    pub tasks: Vec<String>,
    /// Where the new statuses are announced, if anywhere.
    pub channels: Vec<Option<String>>,
}

/// Marks rows and starts a batch of locked jobs in one statement. An error if one of the rows cannot be marked now, or if the parameters
/// were edited since they were read under this stamp: then nothing of it stands. Behind all else in a transaction, so that the
/// look at the parameters is as of its end.
pub async fn start_at_once(
    client: &impl Statements,
    marks: &Marks,
    dispatcher_id: DispatcherId,
    attempts: &[NewAttempt],
    stamp: &str,
) -> Result<(), DatabaseError> {
    client.users_ran();
    let Marks { source_table, back, keys, found_in, statuses, versions, tasks, channels } = marks;
    let new = NewAttempts::of(attempts);
    let mut values: Vec<&dyn Typed> =
        vec![source_table, keys, found_in, statuses, versions, tasks, channels, back, &dispatcher_id];
    values.extend(new.columns());
    values.push(&stamp);
    client.run(include_str!("../../sql/queries/attempts/attempts_start_at_once.sql"), &values).await?;
    Ok(())
}

/// One column of a batch.
fn column<'a, T>(attempts: &'a [NewAttempt], field: impl Fn(&'a NewAttempt) -> T) -> Vec<T> {
    attempts.iter().map(field).collect()
}

/// What is left to do after launches were noted.
#[derive(Debug, Default)]
pub struct LaunchesNoted {
    /// Attempts that another session holds, to be noted later.
    pub held: Vec<AttemptId>,
    /// Rows that keep the runner's name of their attempt, each with its table.
    pub rows: Vec<(u32, RowWriting)>,
}

/// Notes attempts that their runner has taken.
pub async fn mark_launched(
    client: &impl Statements,
    launched: &[(AttemptId, Launched)],
) -> Result<LaunchesNoted, DatabaseError> {
    let sql = include_str!("../../sql/queries/attempts/attempts_launched.sql");
    let (mut noted, mut over) = (LaunchesNoted::default(), HashSet::new());
    for row in client.rows(sql, &Launches::of(launched.iter()).columns()).await? {
        if row.column("is_held")? {
            noted.held.push(row.column("id")?);
        } else if row.column("is_over")? {
            over.insert(row.column::<AttemptId>("id")?);
        } else {
            noted.rows.push((row.column("source_table")?, named_row(&row)?));
        }
    }
    if !over.is_empty() {
        let late = Launches::of(launched.iter().filter(|(id, _)| over.contains(id)));
        let sql = include_str!("../../sql/queries/attempts/attempts_launched_late.sql");
        client.run(sql, &late.columns()).await?;
    }
    Ok(noted)
}

/// Launches as the columns of a statement.
struct Launches<'a> {
    ids: Vec<AttemptId>,
    external_ids: Vec<&'a str>,
    begun: Vec<bool>,
    groups: Vec<Option<&'a str>>,
    streams: Vec<Option<&'a str>>,
}

impl<'a> Launches<'a> {
    fn of(launched: impl Iterator<Item = &'a (AttemptId, Launched)> + Clone) -> Self {
        let logs = launched.clone().map(|(_, l)| l.log.as_ref());
        Self {
            ids: launched.clone().map(|(id, _)| *id).collect(),
            external_ids: launched.clone().map(|(_, l)| l.external_id.as_str()).collect(),
            begun: launched.map(|(_, l)| l.begun).collect(),
            groups: logs.clone().map(|log| log.map(|log| log.group.as_str())).collect(),
            streams: logs.map(|log| log.and_then(|log| log.stream.as_deref())).collect(),
        }
    }

    fn columns(&self) -> [&dyn Typed; 5] {
        [&self.ids, &self.external_ids, &self.begun, &self.groups, &self.streams]
    }
}

/// The name alone: neither status nor result.
fn named_row(row: &Row) -> Result<RowWriting, Unreadable> {
    let expected: Option<Value> = row.column("expected")?;
    Ok(RowWriting {
        key: row.column("row_key")?,
        expected: expected.as_ref().map(strings).unwrap_or_default(),
        version: None,
        external_id: row.column("external_id")?,
        status: None,
        merge: None,
        task: row.column("task")?,
        notify_channel: None,
    })
}

/// Attempts whose program was seen to run; returns those written down.
pub async fn mark_begun(
    client: &impl Statements,
    ids: &[AttemptId],
) -> Result<Vec<AttemptId>, DatabaseError> {
    let rows = client.rows(include_str!("../../sql/queries/attempts/attempts_begun.sql"), &[&ids]).await?;
    Ok(rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?)
}

/// Writes down that a runner is about to be called. Whether it may be: not if the attempt is over, another
/// dispatcher's, or was asked for by another.
pub async fn mark_asked(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    id: AttemptId,
) -> Result<bool, DatabaseError> {
    let row = client
        .opt(include_str!("../../sql/queries/attempts/attempts_asked.sql"), &[&id, &dispatcher_id])
        .await?;
    Ok(row.map(|row| row.column(0)).transpose()?.unwrap_or_default())
}

/// Takes that note back: the runner was called and did nothing.
pub async fn unmark_asked(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    id: AttemptId,
) -> Result<(), DatabaseError> {
    client
        .run(include_str!("../../sql/queries/attempts/attempts_unasked.sql"), &[&id, &dispatcher_id])
        .await?;
    Ok(())
}

/// Puts attempts back into the queue that no runner has heard of; returns those that are there.
pub async fn give_back(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    ids: &[AttemptId],
) -> Result<Vec<AttemptId>, DatabaseError> {
    let sql = include_str!("../../sql/queries/attempts/attempts_give_back.sql");
    let rows = client.rows(sql, &[&dispatcher_id, &ids]).await?;
    Ok(rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?)
}

/// An attempt that must be stopped, and why.
#[derive(Debug, Clone)]
pub struct OverdueAttempt {
    /// The attempt.
    pub id: AttemptId,
    /// For a person.
    pub reason: String,
    /// Why, where that was found just now.
    pub cause: Option<Cause>,
    /// Whether its program has reported its end, and is only to leave.
    pub is_done: bool,
    /// Whether the database has it. Not if another session holds the attempt.
    pub is_written: bool,
}

/// This dispatcher's attempts that must be stopped now. `starting`: those that their runner has and does not run
/// yet, with the stage. `blind_runners`: those that see no ends. `followed`: those it follows, which are all that are looked at; among
/// them `borrowed`: attempts of others that are gone.
pub async fn overdue_attempts(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    report_grace: Duration,
    starting: &[(AttemptId, String)],
    blind_runners: &[RunnerName],
    followed: &[AttemptId],
    borrowed: &[AttemptId],
) -> Result<Vec<OverdueAttempt>, DatabaseError> {
    let (ids, stages): (Vec<AttemptId>, Vec<&str>) = starting.iter().map(|(id, s)| (*id, s.as_str())).unzip();
    let rows = client
        .rows_planned_anew(
            include_str!("../../sql/queries/attempts/attempts_overdue.sql"),
            &[
                &dispatcher_id,
                &report_grace.as_secs_f64(),
                &ids,
                &stages,
                &blind_runners,
                &borrowed,
                &followed,
            ],
        )
        .await?;
    let overdue = |row: &Row| {
        Ok(OverdueAttempt {
            id: row.column("id")?,
            reason: row.column("reason")?,
            cause: row.column::<Option<&str>>("cause")?.map(Cause::parse).transpose()?,
            is_done: row.column("is_done")?,
            is_written: row.column("is_written")?,
        })
    };
    rows.iter().map(overdue).collect()
}

/// Of these launch keys, each with the attempt that it names, those whose attempt is over.
pub async fn attempts_over(
    client: &impl Statements,
    launch_keys: &[(&str, AttemptId)],
) -> Result<HashSet<String>, DatabaseError> {
    let (launch_keys, ids): (Vec<&str>, Vec<AttemptId>) = launch_keys.iter().copied().unzip();
    let rows = client
        .rows(include_str!("../../sql/queries/attempts/attempts_over.sql"), &[&launch_keys, &ids])
        .await?;
    Ok(rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?)
}

/// An attempt taken over from a dispatcher that is gone.
#[derive(Debug, Clone)]
// Each bool is a fact of its own.
#[allow(missing_docs, clippy::struct_excessive_bools)]
pub struct RescuedAttempt {
    pub id: AttemptId,
    pub job_id: JobId,
    pub task: String,
    pub number: i32,
    pub runner: RunnerName,
    pub launch_key: String,
    pub request: Result<Value, Unreadable>,
    pub external_id: Option<String>,
    /// Whether a runner is known to have taken it.
    pub launched: bool,
    /// Whether its program is known to have begun.
    pub begun: bool,
    /// No running dispatcher offers its runner.
    pub is_unoffered: bool,
    /// A session holds it, so that it is not this dispatcher's yet.
    pub is_held: bool,
    /// Since it was written down.
    pub age: Duration,
}

/// An attempt that is perhaps not this dispatcher's any more.
#[derive(Debug, Clone, Copy)]
// Each bool is a fact of its own.
#[allow(missing_docs, clippy::struct_excessive_bools)]
pub struct TakenOver {
    pub id: AttemptId,
    /// Another dispatcher has it, or has ended it.
    pub elsewhere: bool,
    pub over: bool,
    /// That dispatcher is gone.
    pub is_orphan: bool,
    /// The database has no such attempt.
    pub is_unknown: bool,
}

/// Which of these attempts, each with its launch key, another dispatcher has taken over, are over, or are not known.
pub async fn taken_over(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    followed: &[(AttemptId, String)],
) -> Result<Vec<TakenOver>, DatabaseError> {
    let (ids, keys): (Vec<AttemptId>, Vec<&str>) =
        followed.iter().map(|(id, key)| (*id, key.as_str())).unzip();
    let rows = client
        .rows(
            include_str!("../../sql/queries/attempts/attempts_taken_over.sql"),
            &[&ids, &dispatcher_id, &keys],
        )
        .await?;
    let taken = |row: &Row| {
        Ok(TakenOver {
            id: row.column("id")?,
            elsewhere: row.column("elsewhere")?,
            over: row.column("over")?,
            is_orphan: row.column("is_orphan")?,
            is_unknown: row.column("is_unknown")?,
        })
    };
    rows.iter().map(taken).collect()
}

/// Takes over the open attempts of dispatchers that are gone, and this one's own that it does not follow. `bound_runners`:
/// those whose attempts can be seen at one place only, and `places` for each of them that place. `is_patient`: only those that have said
/// that they end are gone, or were found to have.
pub async fn rescue_attempts(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    dead_after: Duration,
    free_runners: &[RunnerName],
    (bound_runners, places): (&[RunnerName], &[String]),
    followed: &[AttemptId],
    is_patient: bool,
) -> Result<Vec<RescuedAttempt>, DatabaseError> {
    let rows = client
        .rows(
            include_str!("../../sql/queries/attempts/attempts_rescue.sql"),
            &[
                &dispatcher_id,
                &dead_after.as_secs_f64(),
                &free_runners,
                &bound_runners,
                &followed,
                &places,
                &is_patient,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(RescuedAttempt {
                id: row.column("id")?,
                job_id: row.column("job_id")?,
                task: row.column("task")?,
                number: row.column("number")?,
                runner: RunnerName::parse(row.column("runner")?)?,
                launch_key: row.column("launch_key")?,
                request: row.column("request"),
                external_id: row.column("external_id")?,
                launched: row.column("launched")?,
                begun: row.column("begun")?,
                is_unoffered: row.column("is_unoffered")?,
                is_held: row.column("is_held")?,
                // Negative only if the database's clock was set back.
                age: Duration::try_from_secs_f64(row.column("age")?).unwrap_or_default(),
            })
        })
        .collect()
}

/// Ends open attempts that are no job's any more.
pub async fn end_attempts_without_job(client: &impl Statements) -> Result<i64, DatabaseError> {
    let row = client.one(include_str!("../../sql/queries/attempts/attempts_without_job.sql"), &[]).await?;
    Ok(row.column(0)?)
}
