//! What an attempt's end means for its job and its row.
//!
//! Several witnesses may speak: the task's report, the row (moved by a bare UPDATE), a stop we ordered, the
//! runner. They are heard in that order, because that is the order of who knows the work best: a task that
//! reported success and then crashed in its clean-up has succeeded; one that exits 0 because it was told to
//! stop has not.

use std::time::Duration;

use super::{Cause, Completion, End, How, LONGEST, Outcome, Policy, Report, delay, telling_line};

/// Everything known when an attempt is settled.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What the runner saw.
    pub end: &'a End,
    /// What the task said.
    pub report: Option<&'a Report>,
    /// A stop that was ordered: what it means for the attempt, for which cause, and why in words.
    pub stop: Option<(Outcome, Cause, &'a str)>,
    /// The status that a user or the program gave the row meanwhile.
    pub moved_to: Option<&'a str>,
    /// Whether it was the program, as far as its login tells.
    pub moved_by_task: bool,
    /// The statuses that the attempt itself may have left the row in.
    pub expected: &'a [String],
    /// The row asked again meanwhile.
    pub again: bool,
    /// The status that means success, if the parameters name one.
    pub status_succeeded: Option<&'a str>,
    /// The status that means failure, if the parameters name one.
    pub status_failed: Option<&'a str>,
    /// The status that means failure by no fault of the task, if the parameters name one.
    pub status_runner_failed: Option<&'a str>,
    /// How hard to try.
    pub policy: &'a Policy,
    /// Who decides where nothing was reported.
    pub completion: Completion,
    /// Failures of this job before this attempt that count.
    pub failures: i32,
    /// Failures of this job before this attempt that do not.
    pub runner_failures: i32,
    /// Where those end all the same.
    pub max_runner_failures: i32,
}

/// The decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The end of the attempt.
    pub outcome: Outcome,
    /// Why, in one word.
    pub cause: Cause,
    /// Why, for a person; none needed for a plain success.
    pub message: Option<String>,
    /// What becomes of the job.
    pub next: Next,
    /// What becomes of the row.
    pub row: RowWrite,
    /// The job's counters from here on.
    pub failures: i32,
    /// The same for failures that do not count.
    pub runner_failures: i32,
}

/// What becomes of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is over.
    Finish,
    /// It is tried again after this.
    Retry(Duration),
}

/// What is written into the row, if its status still allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowWrite {
    /// Nothing.
    None,
    /// `status_succeeded` and the result.
    Succeeded,
    /// `status_failed` and the message.
    Failed,
}

/// Decides. `random` (0 to 1) spreads retries.
#[must_use]
pub fn settle(facts: &Facts<'_>, random: f64) -> Settlement {
    let verdict = judge(facts);
    let Facts { policy, mut failures, mut runner_failures, .. } = *facts;
    let mut message = verdict.message;

    let worth_it = verdict.retry && policy.retry_on.covers(verdict.outcome, facts.end.exit_code);
    let next = match verdict.outcome {
        Outcome::Succeeded | Outcome::Cancelled | Outcome::Obsolete => Next::Finish,
        Outcome::Snoozed => match facts.report {
            Some(Report::Snoozed { delay, .. }) => Next::Retry((*delay).min(LONGEST)),
            _ => Next::Finish,
        },
        Outcome::TaskFailed | Outcome::TimedOut => {
            failures = failures.saturating_add(1);
            if worth_it && failures < policy.max_attempts {
                Next::Retry(delay(policy.backoff, policy.backoff_max, failures, random))
            } else {
                if failures > 1 {
                    message = message.map(|m| format!("{m} (attempt {failures} of {})", policy.max_attempts));
                }
                Next::Finish
            }
        }
        Outcome::RunnerFailed | Outcome::Lost => {
            runner_failures = runner_failures.saturating_add(1);
            if worth_it && runner_failures < facts.max_runner_failures {
                Next::Retry(delay(policy.backoff, policy.backoff_max, runner_failures, random))
            } else {
                Next::Finish
            }
        }
    };
    // A newer wish takes the place of a retry, and the row already says so.
    let next = if facts.again { Next::Finish } else { next };
    let (mut outcome, mut cause, mut next) = (verdict.outcome, verdict.cause, next);
    // What was cancelled is not tried again, whatever the task has said before.
    if let (Some((Outcome::Cancelled, why, reason)), Next::Retry(_)) = (facts.stop, next) {
        (outcome, cause, next) = (Outcome::Cancelled, why, Next::Finish);
        message = Some(reason.to_owned());
    }
    let row = match (next, outcome) {
        _ if facts.again => RowWrite::None,
        (Next::Retry(_), _) => RowWrite::None,
        (Next::Finish, Outcome::Succeeded) => RowWrite::Succeeded,
        (Next::Finish, _) => RowWrite::Failed,
    };
    Settlement { outcome, cause, message, next, row, failures, runner_failures }
}

struct Verdict {
    outcome: Outcome,
    cause: Cause,
    message: Option<String>,
    retry: bool,
}

fn verdict(outcome: Outcome, cause: Cause, message: impl Into<String>, retry: bool) -> Verdict {
    Verdict { outcome, cause, message: Some(message.into()), retry }
}

fn judge(facts: &Facts<'_>) -> Verdict {
    let moved_to = |status: Option<&str>| status.is_some() && facts.moved_to == status;
    match facts.report {
        Some(Report::Succeeded) => return succeeded(facts.end, Cause::Reported),
        Some(Report::Failed { message, retry, by_runner }) => {
            let outcome = if *by_runner { Outcome::RunnerFailed } else { Outcome::TaskFailed };
            return verdict(outcome, Cause::Reported, message, *retry);
        }
        Some(Report::Snoozed { reason, .. }) => {
            let (outcome, cause) = (Outcome::Snoozed, Cause::Reported);
            return Verdict { outcome, cause, message: reason.clone(), retry: true };
        }
        None => {}
    }
    if moved_to(facts.status_succeeded) {
        return succeeded(facts.end, Cause::RowMoved);
    }
    if moved_to(facts.status_failed) {
        let words = "the task set the row's status to failed";
        return verdict(Outcome::TaskFailed, Cause::RowMoved, words, false);
    }
    if moved_to(facts.status_runner_failed) {
        let words = "the task set the row's status to status_runner_failed";
        return verdict(Outcome::RunnerFailed, Cause::RowMoved, words, false);
    }
    if let Some((outcome, cause, reason)) = facts.stop {
        if facts.end.how == How::Unseen && outcome != Outcome::Cancelled {
            let words = format!("{reason}, and {}", explain_exit(facts.end));
            return verdict(outcome, cause, words, false);
        }
        return verdict(outcome, cause, reason, outcome != Outcome::Cancelled);
    }
    let cause = facts.end.cause;
    let told = |or: &str| facts.end.reason.clone().unwrap_or_else(|| or.to_owned());
    match facts.end.how {
        How::Exited => match (facts.end.exit_code, facts.completion) {
            (Some(0), Completion::Exit) if let Some(word) = another_word(facts) => {
                let words = format!(
                    "the task set the row's status to {word}, which means neither success nor failure (status_succeeded, \
                     status_failed, status_runner_failed)"
                );
                verdict(Outcome::TaskFailed, Cause::RowMoved, words, false)
            }
            (Some(0), Completion::Exit) => {
                Verdict { outcome: Outcome::Succeeded, cause, message: None, retry: false }
            }
            (Some(0), Completion::Report) => {
                let words = "exited with code 0 without reporting a result";
                verdict(Outcome::TaskFailed, Cause::NoReport, words, true)
            }
            _ => verdict(Outcome::TaskFailed, cause, explain_exit(facts.end), true),
        },
        How::NotStarted { retryable } => {
            verdict(Outcome::RunnerFailed, cause, told("could not be started"), retryable)
        }
        How::Interrupted { retryable } => {
            verdict(Outcome::RunnerFailed, cause, told("was taken away"), retryable)
        }
        How::Lost => verdict(Outcome::Lost, cause, told("gone without a trace"), true),
        How::Error => verdict(Outcome::TaskFailed, cause, told("answered with an error"), true),
        How::Unseen => verdict(Outcome::Lost, cause, told("its end cannot be seen"), false),
    }
}

/// The status that the program itself gave its row, where that is none of its task's words, and success has one. A program that
/// asks for another run of its own is none that has failed.
fn another_word<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    facts.moved_to.filter(|word| {
        !facts.again
            && facts.moved_by_task
            && facts.status_succeeded.is_some()
            && !facts.expected.iter().any(|own| own == word)
    })
}

/// A success, whatever the program did afterwards; that is kept as a remark.
fn succeeded(end: &End, cause: Cause) -> Verdict {
    // Where the end cannot be seen, the task's word is all there is.
    let seen_to_fail = end.exit_code != Some(0) && end.how != How::Unseen;
    let remark = seen_to_fail.then(|| format!("succeeded, then {}", explain_exit(end)));
    Verdict { outcome: Outcome::Succeeded, cause, message: remark, retry: false }
}

/// `exit code 3: <last line it printed>`, in whatever parts are known.
fn explain_exit(end: &End) -> String {
    let what = match (&end.reason, end.exit_code) {
        (Some(reason), _) => reason.clone(),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "ended without an exit code".to_owned(),
    };
    let last_line = end.output.as_deref().and_then(telling_line);
    match last_line {
        Some(line) => format!("{what}: {}", line.chars().take(500).collect::<String>()),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::job::RetryOn;

    static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy {
        max_attempts: 3,
        backoff: 10.0,
        backoff_max: 600.0,
        retry_on: RetryOn::default(),
    });

    fn facts(end: &End) -> Facts<'_> {
        Facts {
            end,
            report: None,
            stop: None,
            moved_to: None,
            moved_by_task: false,
            expected: &[],
            again: false,
            status_succeeded: Some("PROCESSED"),
            status_failed: Some("ERROR"),
            status_runner_failed: None,
            policy: &POLICY,
            completion: Completion::Exit,
            failures: 0,
            runner_failures: 0,
            max_runner_failures: 10,
        }
    }

    fn decide(facts: &Facts<'_>) -> (Outcome, Next, RowWrite) {
        let s = settle(facts, 0.0);
        (s.outcome, s.next, s.row)
    }

    #[test]
    fn an_end_that_is_not_worth_a_retry_is_the_last() {
        let end = End::exited(64);
        let choosy =
            Policy { retry_on: RetryOn(vec!["TASK_FAILED".into(), "!exit:64".into()]), ..POLICY.clone() };
        let decided = settle(&Facts { policy: &choosy, ..facts(&end) }, 0.5);
        assert_eq!((decided.outcome, decided.next), (Outcome::TaskFailed, Next::Finish));
        assert_eq!(decided.row, RowWrite::Failed);
        let other = End::exited(1);
        assert!(matches!(settle(&Facts { policy: &choosy, ..facts(&other) }, 0.5).next, Next::Retry(_)));
        let lost = End::lost("gone");
        assert_eq!(settle(&Facts { policy: &choosy, ..facts(&lost) }, 0.5).next, Next::Finish);
    }

    #[test]
    fn exit_0_without_report_is_success_only_where_exit_decides() {
        let end = End::exited(0);
        assert_eq!(decide(&facts(&end)), (Outcome::Succeeded, Next::Finish, RowWrite::Succeeded));
        assert_eq!(
            settle(&Facts { completion: Completion::Report, ..facts(&end) }, 0.0).outcome,
            Outcome::TaskFailed
        );
    }

    #[test]
    fn a_reported_success_stands_whatever_the_exit_code() {
        let end = End::exited(1);
        let s = settle(&Facts { report: Some(&Report::Succeeded), ..facts(&end) }, 0.0);
        assert_eq!((s.outcome, s.row), (Outcome::Succeeded, RowWrite::Succeeded));
        assert_eq!(s.message.as_deref(), Some("succeeded, then exit code 1"));
    }

    #[test]
    fn what_may_run_still_is_not_tried_again() {
        let end = End::unseen("it may run still");
        assert_eq!(decide(&facts(&end)), (Outcome::Lost, Next::Finish, RowWrite::Failed));
        let stop = Some((Outcome::TimedOut, Cause::TimedOut, "ran too long"));
        let s = settle(&Facts { stop, ..facts(&end) }, 0.0);
        assert_eq!((s.outcome, s.next), (Outcome::TimedOut, Next::Finish));
        assert_eq!(s.message.as_deref(), Some("ran too long, and it may run still"));
        let s = settle(&Facts { report: Some(&Report::Succeeded), ..facts(&end) }, 0.0);
        assert_eq!((s.outcome, s.message), (Outcome::Succeeded, None));
    }

    #[test]
    fn an_answered_error_is_a_failure_in_its_own_words() {
        let end = End { output: Some("last line".into()), ..End::error("ValueError: boom") };
        let s = settle(&facts(&end), 0.0);
        assert_eq!((s.outcome, s.message.as_deref()), (Outcome::TaskFailed, Some("ValueError: boom")));
        assert_eq!(s.next, Next::Retry(Duration::from_secs(10)));
    }

    #[test]
    fn failures_are_retried_until_attempts_are_spent() {
        let end = End::exited(3);
        assert_eq!(
            decide(&facts(&end)),
            (Outcome::TaskFailed, Next::Retry(Duration::from_secs(10)), RowWrite::None)
        );
        let last = Facts { failures: 2, ..facts(&end) };
        assert_eq!(decide(&last), (Outcome::TaskFailed, Next::Finish, RowWrite::Failed));
        assert_eq!(settle(&last, 0.0).message.as_deref(), Some("exit code 3 (attempt 3 of 3)"));
    }

    #[test]
    fn a_task_may_refuse_its_retry() {
        let end = End::exited(1);
        let report = Report::Failed { message: "no such file".into(), retry: false, by_runner: false };
        let s = settle(&Facts { report: Some(&report), ..facts(&end) }, 0.0);
        assert_eq!((s.outcome, s.next, s.row), (Outcome::TaskFailed, Next::Finish, RowWrite::Failed));
        assert_eq!(s.message.as_deref(), Some("no such file"));
    }

    #[test]
    fn runner_trouble_spends_no_attempt_but_not_for_ever() {
        let end = End::not_started("no capacity", true);
        let s = settle(&Facts { failures: 2, ..facts(&end) }, 0.0);
        assert_eq!(
            (s.outcome, s.failures, s.runner_failures, s.row),
            (Outcome::RunnerFailed, 2, 1, RowWrite::None)
        );
        assert!(matches!(s.next, Next::Retry(_)));
        let last = Facts { runner_failures: 9, ..facts(&end) };
        assert_eq!(decide(&last), (Outcome::RunnerFailed, Next::Finish, RowWrite::Failed));
        let hopeless = End::not_started("no such image", false);
        assert_eq!(decide(&facts(&hopeless)), (Outcome::RunnerFailed, Next::Finish, RowWrite::Failed));
    }

    #[test]
    fn a_stop_outweighs_the_exit_code_it_caused() {
        let end = End::exited(0);
        let timed_out =
            Facts { stop: Some((Outcome::TimedOut, Cause::NoHeartbeat, "ran too long")), ..facts(&end) };
        assert_eq!(decide(&timed_out).0, Outcome::TimedOut);
        assert!(matches!(decide(&timed_out).1, Next::Retry(_)));
        let cancelled =
            Facts { stop: Some((Outcome::Cancelled, Cause::Cancelled, "by hand")), ..facts(&end) };
        assert_eq!(decide(&cancelled), (Outcome::Cancelled, Next::Finish, RowWrite::Failed));
    }

    #[test]
    fn a_bare_update_of_the_row_counts_as_a_report() {
        let end = End::exited(1);
        assert_eq!(decide(&Facts { moved_to: Some("PROCESSED"), ..facts(&end) }).0, Outcome::Succeeded);
        let end = End::exited(0);
        let failed = Facts { moved_to: Some("ERROR"), ..facts(&end) };
        assert_eq!(decide(&failed), (Outcome::TaskFailed, Next::Finish, RowWrite::Failed));
        assert_eq!(decide(&Facts { moved_to: Some("DELETED"), ..facts(&end) }).0, Outcome::Succeeded);
    }

    #[test]
    fn a_row_that_asked_again_is_neither_retried_nor_written() {
        let end = End::exited(3);
        assert_eq!(
            decide(&Facts { again: true, ..facts(&end) }),
            (Outcome::TaskFailed, Next::Finish, RowWrite::None)
        );
    }

    #[test]
    fn a_snooze_spends_nothing() {
        let end = End::exited(0);
        let report = Report::Snoozed { delay: Duration::from_mins(1), reason: None };
        let s = settle(&Facts { report: Some(&report), failures: 1, ..facts(&end) }, 0.0);
        assert_eq!((s.next, s.failures), (Next::Retry(Duration::from_mins(1)), 1));
    }

    #[test]
    fn what_was_cancelled_is_not_tried_again_whatever_was_reported() {
        let end = End::exited(1);
        let stop = Some((Outcome::Cancelled, Cause::Cancelled, "not today"));
        let snoozed = Report::Snoozed { delay: Duration::from_mins(1), reason: None };
        let failed = Report::Failed { message: "no such file".into(), retry: true, by_runner: false };
        for report in [&snoozed, &failed] {
            let s = settle(&Facts { report: Some(report), stop, ..facts(&end) }, 0.0);
            assert_eq!((s.outcome, s.cause, s.next), (Outcome::Cancelled, Cause::Cancelled, Next::Finish));
            assert_eq!(s.message.as_deref(), Some("not today"));
        }
        let s = settle(&Facts { report: Some(&Report::Succeeded), stop, ..facts(&end) }, 0.0);
        assert_eq!((s.outcome, s.next), (Outcome::Succeeded, Next::Finish), "its work is done");
    }

    #[test]
    fn a_failure_is_explained_by_the_last_line_printed() {
        let end = End { output: Some("start\ncannot open x.csv\n\n".into()), ..End::exited(2) };
        assert_eq!(settle(&facts(&end), 0.0).message.as_deref(), Some("exit code 2: cannot open x.csv"));
    }

    #[test]
    fn the_cause_is_of_the_witness_that_decides() {
        let (memory, zero) = (End::failed("out of memory").because(Cause::OutOfMemory), End::exited(0));
        let cause = |facts: Facts<'_>| settle(&facts, 0.0).cause;
        assert_eq!(cause(facts(&memory)), Cause::OutOfMemory);
        assert_eq!(cause(Facts { report: Some(&Report::Succeeded), ..facts(&memory) }), Cause::Reported);
        assert_eq!(cause(Facts { moved_to: Some("ERROR"), ..facts(&memory) }), Cause::RowMoved);
        let stop = Some((Outcome::TimedOut, Cause::NoHeartbeat, "no heartbeat"));
        assert_eq!(cause(Facts { stop, ..facts(&memory) }), Cause::NoHeartbeat);
        assert_eq!(cause(facts(&zero)), Cause::ExitCode);
        assert_eq!(cause(Facts { completion: Completion::Report, ..facts(&zero) }), Cause::NoReport);
    }
}
