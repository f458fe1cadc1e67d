//! Statements that end attempts and jobs.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Row;

use super::DatabaseError;
use super::columns::{Columns as _, Noted, Unreadable};
use super::statements::Statements;
use crate::job::{AttemptId, Cause, DispatcherId, JobId, Launched, LogPlace, Outcome, Report, ReportKind};

/// What the database knows of an attempt about to be settled; its job is locked.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct OpenAttempt {
    pub id: AttemptId,
    pub job_id: JobId,
    pub number: i32,
    pub report: Option<Report>,
    pub result: Option<Value>,
    pub row_written: bool,
    pub stop: Option<(Outcome, Cause, String)>,
    pub task: String,
    pub terms_id: String,
    pub row_key: Value,
    pub external_id: Option<String>,
    pub source_table: u32,
    /// Its table's name, for people.
    pub table_name: String,
    /// Since it was written down.
    pub seconds: f64,
    pub again: bool,
    pub moved_to: Option<String>,
    pub moved_by_task: bool,
    pub failures: i32,
    pub runner_failures: i32,
    /// What of it this program cannot read.
    pub unreadable: Option<Unreadable>,
}

/// Locks what this dispatcher has of them and can be locked without waiting; the rest must come back later.
pub async fn lock_for_settling(
    client: &impl Statements,
    dispatcher_id: DispatcherId,
    ids: &[AttemptId],
) -> Result<Vec<OpenAttempt>, DatabaseError> {
    client
        .rows(include_str!("../../sql/queries/settling/settle_lock.sql"), &[&ids, &dispatcher_id])
        .await?
        .iter()
        .map(|row| Ok(open(row)?))
        .collect()
}

/// An attempt. What cannot be read of it is noted with it, and ends it alone.
fn open(row: &Row) -> Result<OpenAttempt, Unreadable> {
    let mut unreadable = Noted::default();
    let open = OpenAttempt {
        id: row.column("id")?,
        job_id: row.column("job_id")?,
        number: row.column("number")?,
        report: unreadable.note(report(row)),
        result: unreadable.note(row.column("result")),
        row_written: row.column("row_written")?,
        stop: unreadable.note(stop(row)),
        task: unreadable.note(row.column("task")),
        terms_id: row.column("terms_id")?,
        row_key: unreadable.note(row.column("row_key")),
        external_id: unreadable.note(row.column("external_id")),
        source_table: row.column("source_table")?,
        seconds: row.column("seconds")?,
        table_name: unreadable.note(row.column("table_name")),
        again: row.column("run_again")?,
        moved_to: unreadable.note(row.column("moved_to")),
        moved_by_task: row.column("moved_by_task")?,
        failures: row.column("failures")?,
        runner_failures: row.column("runner_failures")?,
        unreadable: None,
    };
    Ok(OpenAttempt { unreadable: unreadable.first, ..open })
}

fn report(row: &Row) -> Result<Option<Report>, Unreadable> {
    let Some(word) = row.column::<Option<&str>>("report")? else { return Ok(None) };
    let message: Option<String> = row.column("message")?;
    Ok(Some(match ReportKind::parse(word)? {
        ReportKind::Succeeded => Report::Succeeded,
        ReportKind::Snoozed => {
            let snooze: Option<f64> = row.column("snooze")?;
            let delay =
                snooze.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default();
            Report::Snoozed { delay, reason: message }
        }
        kind @ (ReportKind::Failed | ReportKind::RunnerFailed) => Report::Failed {
            message: message.unwrap_or_default(),
            by_runner: kind == ReportKind::RunnerFailed,
            retry: row.column::<Option<bool>>("retry")?.unwrap_or(true),
        },
    }))
}

fn stop(row: &Row) -> Result<Option<(Outcome, Cause, String)>, Unreadable> {
    let Some(reason) = row.column::<Option<String>>("stop_requested")? else { return Ok(None) };
    let cause = Cause::parse(row.column::<Option<&str>>("stop_cause")?.unwrap_or_default())?;
    Ok(Some((cause.outcome_of_stop()?, cause, reason)))
}

/// Which of these attempts can never be settled by us: their job is over, or has another attempt by now.
pub async fn settled_elsewhere(
    client: &impl Statements,
    ids: &[AttemptId],
) -> Result<Vec<AttemptId>, DatabaseError> {
    let rows = client.rows(include_str!("../../sql/queries/settling/settled_elsewhere.sql"), &[&ids]).await?;
    Ok(rows.iter().map(|row| row.column(0)).collect::<Result<_, _>>()?)
}

/// The end of one attempt.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct EndedAttempt {
    pub id: AttemptId,
    pub outcome: Outcome,
    pub cause: Cause,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub output: Option<String>,
    pub result: Option<Value>,
    pub external_id: Option<String>,
    /// How long ago it was.
    pub ago: Duration,
    /// Its launch, and how long ago that was, where it has not been written down.
    pub launched: Option<(Launched, Duration)>,
}

/// One column of the launches that come with these ends.
fn launched<T>(ended: &[EndedAttempt], part: impl Fn(&Launched, Duration) -> T) -> Vec<Option<T>> {
    ended.iter().map(|e| e.launched.as_ref().map(|(launched, ago)| part(launched, *ago))).collect()
}

/// A job that is over.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct FinishedJob {
    pub job_id: JobId,
    pub attempt_id: AttemptId,
    pub outcome: Outcome,
    pub cause: Cause,
    pub message: Option<String>,
    pub write_back: Option<String>,
}

/// Writes the ends of a batch of attempts, and moves the jobs that are over into the history; a row that asked again gets its new job.
pub async fn settle_attempts(
    client: &impl Statements,
    ended: &[EndedAttempt],
    finished: &[FinishedJob],
) -> Result<(), DatabaseError> {
    let ids: Vec<AttemptId> = ended.iter().map(|e| e.id).collect();
    let outcomes: Vec<&str> = ended.iter().map(|e| e.outcome.as_str()).collect();
    let codes: Vec<Option<i32>> = ended.iter().map(|e| e.exit_code).collect();
    let reasons: Vec<Option<&str>> = ended.iter().map(|e| e.reason.as_deref()).collect();
    let outputs: Vec<Option<&str>> = ended.iter().map(|e| e.output.as_deref()).collect();
    let results: Vec<Option<&Value>> = ended.iter().map(|e| e.result.as_ref()).collect();
    let external: Vec<Option<&str>> = ended.iter().map(|e| e.external_id.as_deref()).collect();
    let causes: Vec<&str> = ended.iter().map(|e| e.cause.as_str()).collect();
    let ago: Vec<f64> = ended.iter().map(|e| e.ago.as_secs_f64()).collect();
    let log = |part: fn(&LogPlace) -> Option<&str>| -> Vec<Option<&str>> {
        ended.iter().map(|e| part(e.launched.as_ref()?.0.log.as_ref()?)).collect()
    };
    let jobs: Vec<JobId> = finished.iter().map(|f| f.job_id).collect();
    let attempts: Vec<AttemptId> = finished.iter().map(|f| f.attempt_id).collect();
    let job_outcomes: Vec<&str> = finished.iter().map(|f| f.outcome.as_str()).collect();
    let messages: Vec<Option<&str>> = finished.iter().map(|f| f.message.as_deref()).collect();
    let write_backs: Vec<Option<&str>> = finished.iter().map(|f| f.write_back.as_deref()).collect();
    let job_causes: Vec<&str> = finished.iter().map(|f| f.cause.as_str()).collect();
    client
        .run(
            include_str!("../../sql/queries/settling/settle_attempts.sql"),
            &[
                &ids,
                &outcomes,
                &codes,
                &reasons,
                &outputs,
                &results,
                &external,
                &causes,
                &ago,
                &launched(ended, |_, ago| ago.as_secs_f64()),
                &launched(ended, |launched, _| launched.begun),
                &log(|log| Some(log.group.as_str())),
                &log(|log| log.stream.as_deref()),
                &jobs,
                &attempts,
                &job_outcomes,
                &messages,
                &write_backs,
                &job_causes,
            ],
        )
        .await?;
    Ok(())
}

/// A job that will be tried again.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct RetriedJob {
    pub job_id: JobId,
    pub attempt_id: AttemptId,
    pub delay: Duration,
    pub failures: i32,
    pub runner_failures: i32,
    pub reason: Option<String>,
}

/// Sends jobs back to wait.
pub async fn retry_jobs(client: &impl Statements, retried: &[RetriedJob]) -> Result<(), DatabaseError> {
    if retried.is_empty() {
        return Ok(());
    }
    let jobs: Vec<JobId> = retried.iter().map(|r| r.job_id).collect();
    let attempts: Vec<AttemptId> = retried.iter().map(|r| r.attempt_id).collect();
    let delays: Vec<f64> = retried.iter().map(|r| r.delay.as_secs_f64()).collect();
    let failures: Vec<i32> = retried.iter().map(|r| r.failures).collect();
    let runner_failures: Vec<i32> = retried.iter().map(|r| r.runner_failures).collect();
    let reasons: Vec<Option<&str>> = retried.iter().map(|r| r.reason.as_deref()).collect();
    client
        .run(
            include_str!("../../sql/queries/settling/settle_retry.sql"),
            &[&jobs, &attempts, &delays, &failures, &runner_failures, &reasons],
        )
        .await?;
    Ok(())
}
