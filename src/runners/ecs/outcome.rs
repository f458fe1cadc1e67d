//! What a stopped task means. One table decides, in the order of its lines; `docs/ecs-outcomes.md` is printed
//! from it.
//!
//! The order of evidence: the stop code, then the exit code of the task's own container, then that container's
//! reason, then the task's stopped reason. A container list may be empty, an exit code may be missing, a sidecar
//! may have failed without any meaning, and AWS adds stop codes; so nothing is decided from the list alone, and
//! everything unknown ends in a line that is safe.

use aws_sdk_ecs::types::Task;

use super::reasons;
use crate::job::{Cause, End};
use crate::runners::exit_code::signal;

/// What ECS tells of a stopped task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Why the task was stopped, in one word; empty if ECS does not say.
    pub stop_code: String,
    /// Whether the task ever ran; if not, none of its code did.
    pub started: bool,
    /// Of the task's own container.
    pub exit_code: Option<i32>,
    /// Of the task's own container.
    pub container_reason: String,
    /// Of the task.
    pub stopped_reason: String,
}

impl Evidence {
    /// Gathers it from what DescribeTasks answered.
    #[must_use]
    pub fn of(task: &Task, container: Option<&str>) -> Self {
        let containers = task.containers();
        let own = match container {
            Some(name) => containers.iter().find(|c| c.name() == Some(name)),
            None if containers.len() == 1 => containers.first(),
            None => None,
        };
        Self {
            stop_code: task.stop_code().map(|code| code.as_str().to_owned()).unwrap_or_default(),
            started: task.started_at().is_some(),
            exit_code: own.and_then(aws_sdk_ecs::types::Container::exit_code),
            container_reason: own.and_then(|c| c.reason()).unwrap_or_default().to_owned(),
            stopped_reason: task.stopped_reason().unwrap_or_default().to_owned(),
        }
    }

    fn out_of_memory(&self) -> bool {
        self.container_reason.starts_with("OutOfMemory") || self.stopped_reason.starts_with("OutOfMemory")
    }

    fn why_not_started(&self) -> Cause {
        match reasons::why_not_started(&self.container_reason) {
            Cause::NotStarted => reasons::why_not_started(&self.stopped_reason),
            cause => cause,
        }
    }

    /// The most telling words.
    fn words(&self) -> &str {
        [self.container_reason.as_str(), self.stopped_reason.as_str()]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or("ECS gives no reason")
    }
}

/// What becomes of the attempt, as far as ECS can tell; a report of the task's own outweighs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The program ended with this exit code, and that is all.
    Exited,
    /// The program failed, whatever its exit code says.
    Failed,
    /// It never ran.
    NotStarted {
        /// Whether a new attempt may fare better.
        retryable: bool,
    },
    /// It was taken away.
    Interrupted {
        /// Whether a new attempt may fare better.
        retryable: bool,
    },
}

/// One line of the table.
pub struct Rule {
    /// The evidence, in words.
    pub when: &'static str,
    /// The evidence.
    holds: fn(&Evidence) -> bool,
    /// What it means.
    pub meaning: Meaning,
    /// Its cause.
    cause: fn(&Evidence) -> Cause,
    /// How it is told: a prefix to ECS's own words.
    tell: &'static str,
    /// A task this line is about.
    pub example: fn() -> Evidence,
}

fn example(stop_code: &str, started: bool, exit_code: Option<i32>, container: &str, task: &str) -> Evidence {
    Evidence {
        stop_code: stop_code.to_owned(),
        started,
        exit_code,
        container_reason: container.to_owned(),
        stopped_reason: task.to_owned(),
    }
}

/// The table. The first line that holds decides.
pub const RULES: &[Rule] = &[
    Rule {
        when: "it was stopped before it ran, and not by Rowcall",
        holds: |e| !e.started && e.stop_code == "UserInitiated",
        meaning: Meaning::NotStarted { retryable: false },
        cause: |_| Cause::StoppedOutside,
        tell: "stopped outside of Rowcall before it ran",
        example: || example("UserInitiated", false, None, "", "not today"),
    },
    Rule {
        when: "it never ran, for a reason that stays (image or secret not found, access denied, command missing)",
        holds: |e| {
            !e.started
                && (reasons::is_permanent(&e.container_reason) || reasons::is_permanent(&e.stopped_reason))
        },
        meaning: Meaning::NotStarted { retryable: false },
        cause: Evidence::why_not_started,
        tell: "never started",
        example: || {
            let reason = "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to \
                          resolve ref registry.example/loader:7: not found";
            example("TaskFailedToStart", false, None, reason, reason)
        },
    },
    Rule {
        when: "it never ran, for any other reason (no capacity, network interface, time-out, Spot); containers may be []",
        holds: |e| !e.started,
        meaning: Meaning::NotStarted { retryable: true },
        cause: Evidence::why_not_started,
        tell: "never started",
        example: || {
            example(
                "TaskFailedToStart",
                false,
                None,
                "",
                "Timeout waiting for network interface provisioning to complete.",
            )
        },
    },
    Rule {
        when: "Spot took it back, whatever its exit code: one that traps SIGTERM exits with 0",
        holds: |e| {
            e.stop_code == "SpotInterruption"
                || e.stop_code == "TerminationNotice"
                || reasons::is_spot(&e.stopped_reason)
        },
        meaning: Meaning::Interrupted { retryable: true },
        cause: |_| Cause::Reclaimed,
        tell: "taken back",
        example: || example("SpotInterruption", true, Some(0), "", "Your Spot Task was interrupted."),
    },
    Rule {
        when: "its host was stopped or failed, whatever the exit code",
        holds: |e| e.stop_code == "InfrastructureHealth" || reasons::is_host(&e.stopped_reason),
        meaning: Meaning::Interrupted { retryable: true },
        cause: |_| Cause::Reclaimed,
        tell: "its host went away",
        example: || example("", true, None, "", "Host EC2 (instance i-0123456789abcdef0) terminated."),
    },
    Rule {
        when: "it was stopped, and not by Rowcall (whose own stops are timeouts and cancellations)",
        holds: |e| e.stop_code == "UserInitiated" || e.stop_code == "ServiceSchedulerInitiated",
        meaning: Meaning::Interrupted { retryable: false },
        cause: |_| Cause::StoppedOutside,
        tell: "stopped outside of Rowcall",
        example: || example("UserInitiated", true, Some(143), "", "not today"),
    },
    Rule {
        when: "its container ran out of memory, whatever the exit code: 0 means that only a child process was killed",
        holds: |e| e.exit_code.is_some() && e.out_of_memory(),
        meaning: Meaning::Failed,
        cause: |_| Cause::OutOfMemory,
        tell: "out of memory",
        example: || {
            let reason = "OutOfMemoryError: Container killed due to memory usage";
            example("EssentialContainerExited", true, Some(137), reason, "Essential container in task exited")
        },
    },
    Rule {
        when: "its container exited with 0",
        holds: |e| e.exit_code == Some(0),
        meaning: Meaning::Exited,
        cause: |_| Cause::ExitCode,
        tell: "",
        example: || {
            example("EssentialContainerExited", true, Some(0), "", "Essential container in task exited")
        },
    },
    Rule {
        when: "its container exited with another code; an unknown stop code changes nothing",
        holds: |e| e.exit_code.is_some(),
        meaning: Meaning::Exited,
        cause: |_| Cause::ExitCode,
        tell: "",
        example: || {
            example("EssentialContainerExited", true, Some(3), "", "Essential container in task exited")
        },
    },
    Rule {
        when: "its container could not be run, for a reason that stays",
        holds: |e| reasons::is_permanent(&e.container_reason) || reasons::is_permanent(&e.stopped_reason),
        meaning: Meaning::Interrupted { retryable: false },
        cause: Evidence::why_not_started,
        tell: "could not run",
        example: || {
            let reason = "CannotStartContainerError: exec: \"/nope\": stat /nope: no such file or directory";
            example("EssentialContainerExited", true, None, reason, "Essential container in task exited")
        },
    },
    Rule {
        when: "it ran, and there is no exit code: the infrastructure ended it (containers may be [])",
        holds: |_| true,
        meaning: Meaning::Interrupted { retryable: true },
        cause: |_| Cause::Reclaimed,
        tell: "ended without an exit code",
        example: || example("SomethingNew", true, None, "", "Task stopped by a feature of 2031"),
    },
];

/// The line that decides.
#[must_use]
pub fn rule(evidence: &Evidence) -> &'static Rule {
    // The last line always holds.
    RULES.iter().find(|rule| (rule.holds)(evidence)).unwrap_or(&RULES[RULES.len() - 1])
}

/// The end that a stopped task came to.
#[must_use]
pub fn end(evidence: &Evidence) -> End {
    let rule = rule(evidence);
    let told = match evidence.exit_code {
        Some(code) => format!("{} (exit code {code}): {}", rule.tell, evidence.words()),
        None => format!("{}: {}", rule.tell, evidence.words()),
    };
    let end = match rule.meaning {
        Meaning::Exited => {
            let code = evidence.exit_code.unwrap_or_default();
            End { reason: signal(code), ..End::exited(code) }
        }
        Meaning::Failed => End { exit_code: evidence.exit_code, ..End::failed(told) },
        Meaning::NotStarted { retryable } => End::not_started(told, retryable),
        Meaning::Interrupted { retryable } => {
            End { exit_code: evidence.exit_code, ..End::interrupted(told, retryable) }
        }
    };
    end.because((rule.cause)(evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Completion, Facts, Policy, RetryOn, settle};

    /// Each example must be decided by its own line, not by an earlier one.
    #[test]
    fn every_line_of_the_table_is_reached() {
        for (i, line) in RULES.iter().enumerate() {
            let decided = RULES.iter().position(|rule| (rule.holds)(&(line.example)())).unwrap();
            assert_eq!(decided, i, "{}", line.when);
        }
    }

    #[test]
    fn an_unknown_stop_code_neither_hides_nor_makes_an_exit_code() {
        let exited = |exit_code| end(&example("SomethingNew", true, exit_code, "", "whatever"));
        assert_eq!(exited(Some(0)), End::exited(0));
        assert_eq!(exited(Some(3)), End::exited(3));
        assert_eq!(exited(None).reason.as_deref(), Some("ended without an exit code: whatever"));
    }

    #[test]
    fn signals_are_named() {
        let killed = end(&example("EssentialContainerExited", true, Some(137), "", ""));
        assert_eq!(killed.reason.as_deref(), Some("killed by signal 9 SIGKILL (exit code 137)"));
        assert_eq!(signal(127).as_deref(), Some("the command was not found (exit code 127)"));
        assert_eq!(signal(255), None);
    }

    fn row(rule: &Rule) -> String {
        let evidence = (rule.example)();
        let end = end(&evidence);
        let policy = Policy { max_attempts: 3, backoff: 1.0, backoff_max: 1.0, retry_on: RetryOn::default() };
        let facts = Facts {
            end: &end,
            report: None,
            stop: None,
            moved_to: None,
            moved_by_task: false,
            expected: &[],
            again: false,
            status_succeeded: None,
            status_failed: None,
            status_runner_failed: None,
            policy: &policy,
            completion: Completion::Exit,
            failures: 0,
            runner_failures: 0,
            max_runner_failures: 10,
        };
        let settled = settle(&facts, 0.0);
        let again = if settled.next == crate::job::Next::Finish { "no" } else { "yes" };
        let code = evidence.exit_code.map_or("none".to_owned(), |code| code.to_string());
        let shown = |text: &str| if text.is_empty() { "absent".to_owned() } else { format!("`{text}`") };
        format!(
            "| {} | {} | {} | {} | {} | {code} | {} |\n",
            rule.when,
            settled.outcome,
            settled.cause,
            if settled.outcome == crate::job::Outcome::Succeeded { "" } else { again },
            shown(&evidence.stop_code),
            settled.message.unwrap_or_default().replace('|', "\\|"),
        )
    }

    /// `ROWCALL_WRITE_DOCS=1 cargo test` writes the page anew.
    #[test]
    fn the_page_about_outcomes_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ecs-outcomes.md");
        let begin = "<!-- printed by src/runners/ecs/outcome.rs: begin -->\n";
        let finish = "<!-- end -->\n";
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(begin).unwrap();
        let (_, after) = rest.split_once(finish).unwrap();
        let table: String = RULES.iter().map(row).collect();
        let current = format!(
            "{before}{begin}| what ECS tells | outcome | cause | tried again | stop code | exit code | what the row says, for example |\n\
             |---|---|---|---|---|---|---|\n{table}{finish}{after}"
        );
        if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        assert_eq!(page, current, "docs/ecs-outcomes.md is not what the table says");
    }
}
