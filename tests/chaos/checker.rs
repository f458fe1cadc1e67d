//! Compares what clients, programs and AWS saw with what the database says in the end. They must agree exactly.

use std::time::Duration;

use super::end::{Attempts, End, Row, Settled};
use super::ledger::{Event, Fate, Ledger, Line, Write};
use super::tasks::Kind;

/// What a client or a daemon does so long after a fail-over may still come from what it knew before.
const AFTERMATH: Duration = Duration::from_secs(6);

/// A client hears of its commit so long after the standby could have heard of it.
const HEARD_LATE: Duration = Duration::from_secs(1);

/// One point at which two of them do not agree.
pub struct Disagreement {
    pub row: String,
    pub what: String,
}

/// All that is known at the end.
pub struct Checker<'a> {
    pub ledger: &'a Ledger,
    pub kinds: &'a [Kind],
    /// From when to when a fail-over has lost commits.
    pub losses: Vec<(Duration, Duration)>,
    pub end: End,
}

/// What was asked of a row that is there, as far as it was done.
#[derive(Default)]
struct Asked {
    agains: usize,
    is_moved: bool,
    is_operated: bool,
    /// Some of it was done while commits got lost.
    is_lossy: bool,
}

impl Checker<'_> {
    /// Everything that does not agree.
    pub fn check(&self) -> Vec<Disagreement> {
        let by_row = self.ledger.by_row();
        let told = by_row.iter().flat_map(|(row, lines)| {
            self.check_row(row, lines).into_iter().map(|what| Disagreement { row: row.clone(), what })
        });
        let strangers =
            self.end.rows.keys().filter(|row| !by_row.contains_key(*row)).map(|row| Disagreement {
                row: row.clone(),
                what: "is in the database, and no client has written it".to_owned(),
            });
        told.chain(strangers).collect()
    }

    /// Whether a fail-over may have taken away what was done at this time.
    pub fn may_be_lost(&self, at: Duration) -> bool {
        self.losses.iter().any(|(from, to)| at + HEARD_LATE >= *from && at <= *to + AFTERMATH)
    }

    fn check_row(&self, name: &str, lines: &[Line]) -> Vec<String> {
        let row = match self.existence(name, lines) {
            Ok(Some(row)) => row,
            Ok(None) => return Vec::new(),
            Err(what) => return vec![what],
        };
        let mut wrong = Vec::new();
        let asked = self.asked(row, lines, &mut wrong);
        let kind = self.kinds.iter().find(|kind| kind.name == row.task).unwrap();
        let (jobs, attempts) = (self.end.jobs(row.id), self.end.attempts(row.id));
        wrong.extend(match jobs.last() {
            None => Some("asked for its task, and has no job".to_owned()),
            Some(last) => status_fits(row, last, &asked),
        });
        wrong.extend(jobs.iter().flat_map(|job| job_fits(job, attempts, kind, &asked)));
        let successes = jobs.iter().filter(|job| job.outcome == "SUCCEEDED").count();
        if successes > 1 + asked.agains {
            wrong.push(format!("succeeded {successes} times, and asked {} times", 1 + asked.agains));
        }
        if kind.name == "said" && successes > 0 && !asked.is_moved && !asked.is_lossy {
            let by = row.result["by"].as_i64();
            let known = attempts.iter().any(|((_, number), attempt)| {
                Some(i64::from(*number)) == by && attempt.outcome.as_deref() == Some("SUCCEEDED")
            });
            if !known {
                wrong.push(format!("has the result of attempt {by:?}, which did not succeed"));
            }
        }
        wrong.extend(self.check_runs(lines, attempts, kind, asked.is_operated || asked.is_moved));
        wrong
    }

    /// The row, if it is there; whether it is must be as its client was told.
    fn existence(&self, name: &str, lines: &[Line]) -> Result<Option<&Row>, String> {
        let made = lines.iter().find_map(|line| match &line.event {
            Event::Written { what: Write::Insert { task }, fate } => Some((line.at, task, *fate)),
            _ => None,
        });
        let Some((at, task, fate)) = made else {
            return Err("ran, and no client has written it".to_owned());
        };
        let began = lines.iter().any(|line| matches!(line.event, Event::Begun(_)));
        match (fate, self.end.rows.get(name)) {
            (Fate::RolledBack, Some(_)) => Err("was rolled back, and is there".to_owned()),
            (_, Some(row)) if row.task != *task => Err(format!("is of the task {}", row.task)),
            (_, Some(row)) => Ok(Some(row)),
            (_, None) if self.may_be_lost(at) => Ok(None),
            (Fate::Committed, None) => Err("was committed, and is not there".to_owned()),
            (_, None) if began => Err("was never committed, and ran".to_owned()),
            (_, None) => Ok(None),
        }
    }

    /// What was asked of it, by its client's words and by the marks that each write leaves in a row.
    fn asked(&self, row: &Row, lines: &[Line], wrong: &mut Vec<String>) -> Asked {
        let mut asked = Asked::default();
        for line in lines {
            asked.is_lossy |= self.may_be_lost(line.at);
            let Event::Written { what, fate } = &line.event else {
                asked.is_operated |= matches!(line.event, Event::Operated(_));
                continue;
            };
            let lossy = self.may_be_lost(line.at);
            let (Write::Again { revision } | Write::Move { revision }) = what else { continue };
            let is_done = row.revisions.contains(revision);
            if *fate == Fate::Committed && !is_done && !lossy {
                wrong.push(format!("lacks what a client has committed: {what:?}"));
            }
            if is_done {
                asked.is_moved = matches!(what, Write::Move { .. });
                asked.agains += usize::from(matches!(what, Write::Again { .. }));
            }
        }
        asked
    }
}

fn status_fits(row: &Row, last: &Settled, asked: &Asked) -> Option<String> {
    let fits = match (last.outcome.as_str(), asked.is_moved) {
        (_, true) => row.status == "DELETED",
        ("SUCCEEDED", false) => row.status == "PROCESSED",
        // A job that never started leaves its row as it is.
        ("CANCELLED", false) => row.status == "ERROR" || last.attempts == 0,
        (_, false) => row.status == "ERROR",
    };
    (!fits).then(|| format!("is {} after a job that ended {}", row.status, last.outcome))
}

fn job_fits(job: &Settled, attempts: &Attempts, kind: &Kind, asked: &Asked) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_job = || attempts.iter().filter(|((of, _), _)| *of == job.job);
    let was_killed = of_job().any(|(_, attempt)| attempt.exit_code.is_some_and(|code| code > 128));
    let by_others = match job.outcome.as_str() {
        "CANCELLED" => asked.is_operated,
        "OBSOLETE" => asked.is_moved,
        "TASK_FAILED" => was_killed,
        // The order to stop it is forgotten, and not that it was stopped.
        "RUNNER_FAILED" => asked.is_operated && asked.is_lossy,
        _ => false,
    };
    if !kind.ends.contains(&job.outcome.as_str()) && !by_others {
        wrong.push(format!("job {} ended {}", job.job, job.outcome));
    }
    let highest = of_job().map(|((_, number), _)| *number).max().unwrap_or_default();
    if highest < job.attempts {
        wrong.push(format!("job {} says {} attempts, and {highest} is the last", job.job, job.attempts));
    }
    for ((_, number), attempt) in of_job() {
        if attempt.outcome.is_none() {
            wrong.push(format!("attempt {number} of job {} is open", job.job));
        }
    }
    wrong
}
