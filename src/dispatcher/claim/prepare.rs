//! From locked jobs to attempts that may be launched, within the claim's own transaction: look at the rows, render, mark
//! the rows as running, start the jobs. A job that cannot be started is set aside with the reason, and was never started;
//! the others are not disturbed.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::mark_running::mark_running;
use super::one_owner::one_owner;
use crate::database::{
    ClaimedJob, DatabaseError, NewAttempt, RowProblem, SourceRow, Statements, TableRows, announce_jobs,
    block, defer, mark_obsolete, refuse, set_concurrency_keys, source_rows, start_jobs,
};
use crate::dispatcher::pace::{ROW_CHANGED, ROW_HELD, ROW_OWNED, jittered};
use crate::dispatcher::shared::Shared;
use crate::dispatcher::token;
use crate::job::JobId;
use crate::parameters::{Frozen, JobContext, Task, render, render_key};
use crate::runners::{Age, Attempt};

/// The word of `rowcall_internal.source_rows` for a table that another session has locked.
const LOCKED: &str = "locked";

/// A job that can be launched once its row is marked.
#[derive(Debug)]
pub struct ReadyJob {
    pub job: ClaimedJob,
    pub task: Arc<Task>,
    pub request: Frozen,
    /// The status in which the row was found.
    pub found_in: String,
    /// The version of the row that was read.
    pub version: Option<String>,
    /// Its concurrency key, where the job has had none until now.
    pub new_key: Option<String>,
}

/// What claimed jobs turned out to be.
#[derive(Debug, Default)]
pub struct SortedJobs {
    pub ready: Vec<ReadyJob>,
    pub blocked: Vec<(JobId, String)>,
    pub obsolete: Vec<(JobId, String)>,
    /// Another session holds the row.
    pub held: Vec<JobId>,
    /// Another owner has the row.
    pub owned: Vec<JobId>,
    /// Its row was written after it was read.
    pub changed: Vec<JobId>,
    /// It stays as it is, for the next claim: the rows before its own took all the bytes or all the time that one has.
    pub later: Vec<JobId>,
    /// The settings of this dispatcher forbid it, and say why.
    pub refused: Vec<(JobId, String)>,
    /// The row says another concurrency key by now; or the first one, which has no room.
    pub rekeyed: Vec<(JobId, String)>,
}

impl SortedJobs {
    /// Whether there is nothing to be said of any of them but that it starts.
    pub fn are_all_ready(&self) -> bool {
        let Self { ready, blocked, obsolete, held, owned, changed, later, refused, rekeyed } = self;
        !ready.is_empty()
            && [blocked.len(), obsolete.len(), held.len(), owned.len(), changed.len(), later.len()] == [0; 6]
            && refused.is_empty()
            && rekeyed.is_empty()
    }
}

/// Says that jobs are blocked, and which is the first of them.
fn tell_blocked(names: &HashMap<JobId, Named>, jobs: usize, first_job: JobId, reason: &str, words: &str) {
    let Named { task, table, key } = names.get(&first_job).cloned().unwrap_or_default();
    tracing::warn!(jobs, first_job = first_job.get(), task, table, %key, reason, "{words}");
}

/// A job as the log names it.
#[derive(Debug, Default, Clone)]
struct Named {
    task: String,
    table: String,
    key: String,
}

impl Named {
    fn of(job: &ClaimedJob) -> Self {
        Self { task: job.task.clone(), table: job.table_name.clone(), key: job.row_key.to_string() }
    }
}

/// A claimed batch, sorted.
#[derive(Debug)]
pub struct Prepared {
    pub sorted: SortedJobs,
    names: HashMap<JobId, Named>,
}

/// The rows of claimed jobs, by table, where they have still to be read.
pub async fn read_rows(
    client: &impl Statements,
    claimed: &[ClaimedJob],
) -> Result<HashMap<u32, TableRows>, DatabaseError> {
    let mut rows = HashMap::new();
    let readable = claimed.iter().filter(|job| job.unreadable.is_none());
    for (source_table, jobs) in grouped(readable.collect(), |job| job.source_table) {
        let keys: Vec<Value> = jobs.iter().map(|job| job.row_key.clone()).collect();
        rows.insert(source_table, source_rows(client, source_table, &keys).await?);
    }
    Ok(rows)
}

/// Looks at claimed jobs and their rows.
pub fn sort_all(
    shared: &Shared,
    tasks: &[Task],
    claimed: Vec<ClaimedJob>,
    mut rows: HashMap<u32, TableRows>,
) -> Prepared {
    let by_name: HashMap<&str, Arc<Task>> =
        tasks.iter().map(|task| (task.name.as_str(), Arc::new(task.clone()))).collect();
    let mut sorted = SortedJobs::default();
    let names: HashMap<JobId, Named> = claimed.iter().map(|job| (job.job_id, Named::of(job))).collect();
    // After a failover that lost commits, the database gives numbers again. What is left as it is gets another one soon.
    let (taken, claimed): (Vec<_>, Vec<_>) =
        claimed.into_iter().partition(|job| shared.in_flight.is_taken(job.attempt_id));
    sorted.later.extend(taken.into_iter().map(|job| job.job_id));
    let (unreadable, claimed): (Vec<_>, Vec<_>) =
        claimed.into_iter().partition(|job| job.unreadable.is_some());
    for job in unreadable {
        let reason = job.unreadable.map(|unreadable| format!("the job cannot be read: {unreadable}"));
        sorted.blocked.push((job.job_id, reason.unwrap_or_default()));
    }
    for (source_table, jobs) in grouped(claimed, |job| job.source_table) {
        match rows.remove(&source_table).unwrap_or_else(|| Ok(Vec::new())) {
            Err(error) if error == LOCKED => sorted.held.extend(jobs.into_iter().map(|job| job.job_id)),
            Err(error) => sorted
                .blocked
                .extend(jobs.into_iter().map(|job| (job.job_id, format!("the row cannot be read: {error}")))),
            Ok(rows) => {
                let rows: HashMap<String, SourceRow> =
                    rows.into_iter().map(|row| (row.key.to_string(), row)).collect();
                for job in jobs {
                    let row = rows.get(&job.row_key.to_string());
                    sort(shared, &mut sorted, by_name.get(job.task.as_str()), job, row);
                }
            }
        }
    }
    Prepared { sorted, names }
}

/// What came of starting jobs.
#[derive(Debug)]
pub enum Started {
    /// Those that are ready; the others are set aside.
    All(Vec<Attempt>),
    /// None: these terms of their requests must be written down first.
    Unknown(Vec<Value>),
}

/// Prepares a claimed batch, step by step. The attempts returned are written down once the caller commits.
pub async fn prepare(
    shared: &Shared,
    client: &impl Statements,
    tasks: &[Task],
    Prepared { mut sorted, names }: Prepared,
) -> Result<Started, DatabaseError> {
    one_owner(client, tasks, &mut sorted).await?;
    mark_running(client, &mut sorted).await?;

    let terms = match shared.terms.ids(&sorted.ready) {
        Ok(terms) => terms,
        Err(unknown) => return Ok(Started::Unknown(unknown)),
    };
    let (new, attempts) = attempts_of(shared, sorted.ready, terms);
    start_jobs(client, shared.identity.id, &new).await?;
    block(client, &sorted.blocked).await?;
    mark_obsolete(client, &sorted.obsolete).await?;
    defer(client, &sorted.held, jittered(ROW_HELD), "another session holds the row").await?;
    defer(client, &sorted.changed, jittered(ROW_CHANGED), "the row was written while it was read").await?;
    defer(
        client,
        &sorted.owned,
        jittered(ROW_OWNED),
        "another task owns the status of the row until it ends",
    )
    .await?;
    let blocked = refuse(client, shared.identity.id, &sorted.refused).await?;
    if blocked > 0 {
        let (first, reason) = &sorted.refused[0];
        tell_blocked(&names, blocked, *first, reason, "blocked: no dispatcher allows them");
    } else if let Some((first, reason)) = sorted.refused.first() {
        let (jobs, of) = (sorted.refused.len(), names.get(first).cloned().unwrap_or_default());
        tracing::info!(jobs, first_job = first.get(), task = of.task, table = of.table, key = %of.key, reason, "left to other dispatchers");
        // They may be asleep, and were told nothing of these jobs, which an awake one took.
        announce_jobs(client).await?;
    }
    set_concurrency_keys(client, &sorted.rekeyed).await?;
    for (reason, jobs) in grouped(sorted.blocked, |(_, reason)| reason.clone()) {
        tell_blocked(&names, jobs.len(), jobs[0].0, &reason, "blocked");
    }
    Ok(Started::All(attempts))
}

/// Decides about one job by its row and its task.
fn sort(
    shared: &Shared,
    sorted: &mut SortedJobs,
    task: Option<&Arc<Task>>,
    job: ClaimedJob,
    row: Option<&SourceRow>,
) {
    let Some(task) = task else {
        sorted.blocked.push((job.job_id, format!("no parameters row named {}", job.task)));
        return;
    };
    let Some(row) = row else {
        sorted.obsolete.push((job.job_id, "the row was deleted".to_owned()));
        return;
    };
    match &row.problem {
        None => {}
        Some(RowProblem::Later) => return sorted.later.push(job.job_id),
        Some(RowProblem::Wrong(problem)) => {
            return sorted.blocked.push((job.job_id, format!("the row cannot be read: {problem}")));
        }
    }
    let status = row.status.as_deref().unwrap_or("null");
    if !still_wanted(&job, task, status) {
        sorted.obsolete.push((job.job_id, format!("the row moved on to {status}")));
        return;
    }
    match request_for(shared, task, &job, row) {
        Ok((_, Some(key))) if job.concurrency_key.as_ref().is_some_and(|counted_by| *counted_by != key) => {
            sorted.rekeyed.push((job.job_id, key));
        }
        Ok((request, key)) => {
            let (found_in, version) = (status.to_owned(), row.version.clone());
            let new_key = key.filter(|_| job.concurrency_key.is_none());
            sorted.ready.push(ReadyJob { job, task: Arc::clone(task), request, found_in, version, new_key });
        }
        Err(NotNow::Blocked(reason)) => sorted.blocked.push((job.job_id, reason)),
        Err(NotNow::Refused(reason)) => sorted.refused.push((job.job_id, reason)),
    }
}

/// Why a job is not started.
enum NotNow {
    /// No dispatcher could start it as things are.
    Blocked(String),
    /// This one may not.
    Refused(String),
}

impl From<String> for NotNow {
    fn from(reason: String) -> Self {
        Self::Blocked(reason)
    }
}

/// Whether the row is where its owner may find it: where it was asked for, or where an attempt has left it. An observer
/// does not look at the status.
fn still_wanted(job: &ClaimedJob, task: &Task, status: &str) -> bool {
    if task.write_back.is_observer() {
        return true;
    }
    // The words of this job's own attempts; a program that finds its rows by their status writes one of them itself.
    let by_task = task.write_back.running.as_deref().filter(|_| task.write_back.running_by_task);
    let own = |word: &str| {
        by_task == Some(word) || job.expected_before.iter().any(|left| left == word && *left != job.on_status)
    };
    match job.moved_to.as_deref() {
        // A user moved the row on, and that asked for no run of this task. Where the row is now, another job put it.
        Some(moved_to) => own(moved_to) && own(status),
        None => status == job.on_status || own(status),
    }
}

/// Whether another owner that may start has the same status of the same table.
fn shares_with_owner(shared: &Shared, task: &Task) -> bool {
    shared.parameters.tasks().iter().any(|other| {
        other.source_table == task.source_table
            && other.on_status == task.on_status
            && other.enabled
            && other.name != task.name
            && !other.write_back.is_observer()
    })
}

/// What the runner is to be asked, and the concurrency key.
fn request_for(
    shared: &Shared,
    task: &Task,
    job: &ClaimedJob,
    row: &SourceRow,
) -> Result<(Frozen, Option<String>), NotNow> {
    if let Some(unreadable) = &task.unreadable {
        return Err(format!("parameters: {unreadable}").into());
    }
    if let Some(status_loop) = &task.status_loop {
        return Err(format!("parameters: this would run for ever: {status_loop}").into());
    }
    if task.write_back.running_by_task && shares_with_owner(shared, task) {
        return Err("parameters.status_running_by: a task that finds its rows by their status cannot share that status \
                    with another owner"
            .to_owned()
            .into());
    }
    let context =
        JobContext { id: job.job_id, attempt: job.number, row_key: &job.row_key, on_status: &job.on_status };
    let key = render_key(task, context, &row.data)?;
    let mut request = render(task, context, &row.data)?;
    let runner = shared
        .runners
        .get(task.runner)
        .ok_or_else(|| format!("this dispatcher does not offer the runner {}", task.runner))?;
    runner.check(&request.launch).map_err(NotNow::Refused)?;
    runner.freeze(&mut request.launch);
    Ok((request, key))
}

/// An attempt for each job, with its frozen request, whose terms have these ids: as it is written down, and as runners see it.
pub fn attempts_of(
    shared: &Shared,
    ready: Vec<ReadyJob>,
    terms: Vec<String>,
) -> (Vec<NewAttempt>, Vec<Attempt>) {
    let mut rows = Vec::with_capacity(ready.len());
    let mut attempts = Vec::with_capacity(ready.len());
    for (ReadyJob { job, task, request, new_key, .. }, terms_id) in ready.into_iter().zip(terms) {
        let launch_key = shared.identity.launch_key(job.attempt_id);
        rows.push(NewAttempt {
            id: job.attempt_id,
            job_id: job.job_id,
            task: job.task.clone(),
            source_table: job.source_table,
            row_key: job.row_key,
            number: job.number,
            runner: request.launch.runner,
            token_hash: token::hash(&shared.identity.token(job.attempt_id, &launch_key)),
            launch_key: launch_key.clone(),
            terms_id,
            rendered: request.rendered(task.renders_settings()),
            deadlines: task.deadlines,
            moved_to: job.moved_to,
            concurrency_key: new_key,
        });
        attempts.push(Attempt {
            id: job.attempt_id,
            job_id: job.job_id,
            number: job.number,
            task: job.task,
            launch_key,
            request: Arc::new(request.launch),
            external_id: None,
            age: Age::zero(),
            in_doubt: false,
            launch_until: None,
        });
    }
    (rows, attempts)
}

/// Items by a key, keys in order of first appearance.
pub fn grouped<T, K: PartialEq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let k = key(&item);
        match groups.iter_mut().find(|(other, _)| *other == k) {
            Some((_, group)) => group.push(item),
            None => groups.push((k, vec![item])),
        }
    }
    groups
}
