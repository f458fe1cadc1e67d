//! Programs as they wrote down themselves, against attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::checker::Checker;
use super::end::Attempts;
use super::ledger::{Event, Line, Run};
use super::tasks::Kind;

impl Checker<'_> {
    /// All that does not agree.
    pub fn check_runs(
        &self,
        lines: &[Line],
        attempts: &Attempts,
        kind: &Kind,
        is_acted_on: bool,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut begun: BTreeMap<(i64, i32), Vec<(&Run, Duration)>> = BTreeMap::new();
        let mut ended: BTreeMap<(i64, i32), Vec<i32>> = BTreeMap::new();
        // When each was last heard of.
        let mut launches: BTreeMap<String, Duration> = BTreeMap::new();
        for line in lines {
            match &line.event {
                Event::Begun(run) => {
                    // A server that has forgotten its end lets it run once more, under the same name.
                    let before = launches.insert(run.launch.clone(), line.at);
                    if before.is_some_and(|before| !self.may_be_lost(before)) {
                        wrong.push(format!("{} ran twice", run.launch));
                    }
                    begun.entry((run.job, run.attempt)).or_default().push((run, line.at));
                }
                Event::Ended(run, code) => {
                    launches.insert(run.launch.clone(), line.at);
                    ended.entry((run.job, run.attempt)).or_default().push(*code);
                }
                _ => {}
            }
        }
        for ((job, number), runs) in &begun {
            let lossy =
                runs.iter().any(|(run, at)| self.may_be_lost(*at) || self.may_be_lost(launches[&run.launch]));
            if lossy {
                continue;
            }
            if runs.len() > 1 {
                wrong.push(format!("attempt {number} of job {job} ran {} times", runs.len()));
            }
            match attempts.get(&(*job, *number)) {
                None => wrong
                    .push(format!("attempt {number} of job {job} ran, and the database does not know it")),
                Some(attempt) if kind.runner != "docker" && attempt.launch != runs[0].0.launch => {
                    wrong.push(format!(
                        "attempt {number} of job {job} ran as {}, and was to run as {}",
                        runs[0].0.launch, attempt.launch
                    ));
                }
                Some(_) => {}
            }
        }
        for ((job, number), attempt) in attempts {
            let outcome = attempt.outcome.as_deref().unwrap_or_default();
            let codes = ended.get(&(*job, *number)).map(Vec::as_slice).unwrap_or_default();
            let is_lossy = begun
                .get(&(*job, *number))
                .is_some_and(|runs| runs.iter().any(|(_, at)| self.may_be_lost(*at)));
            if matches!(outcome, "SUCCEEDED" | "TASK_FAILED") && !begun.contains_key(&(*job, *number)) {
                wrong.push(format!("attempt {number} of job {job} ended {outcome}, and never began"));
            }
            if !kind.by_exit_code || kind.runner == "ecs" {
                continue;
            }
            if outcome == "SUCCEEDED" && !codes.contains(&0) {
                wrong.push(format!("attempt {number} of job {job} succeeded, and its program did not"));
            }
            let of_a_signal = attempt.exit_code.is_none_or(|code| code > 128);
            if outcome == "TASK_FAILED"
                && !of_a_signal
                && !codes.contains(&attempt.exit_code.unwrap_or_default())
            {
                wrong.push(format!(
                    "attempt {number} of job {job} failed with {:?}, its program with {codes:?}",
                    attempt.exit_code
                ));
            }
            // A program that is killed after its last word has not ended well.
            if codes.contains(&0)
                && !matches!(outcome, "SUCCEEDED" | "LOST")
                && !is_acted_on
                && !is_lossy
                && !of_a_signal
            {
                wrong.push(format!("attempt {number} of job {job} ended {outcome}, its program with 0"));
            }
        }
        wrong
    }
}
