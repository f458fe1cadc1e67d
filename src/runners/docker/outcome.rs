//! What the end of a container means.

use std::time::{Duration, SystemTime};

use bollard::models::ContainerState;

use crate::job::{Cause, End};
use crate::runners::exit_code::signal;

/// The engine notes the end of what it stops on its way down, or finds dead on its way up, no later than this.
const WITH_THE_ENGINE: Duration = Duration::from_secs(2);

/// A container that ended so shortly before the engine's present life ended with the last one: the engine asks its
/// containers to end when it goes, and a program that traps the signal may exit with any code, also 0.
const WAY_DOWN: Duration = Duration::from_mins(1);

/// What is known of a container that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of its first process.
    pub exit_code: i32,
    /// The kernel has ended it, or something in it, for want of memory.
    pub oom_killed: bool,
    /// The engine's words, where it could not run it.
    pub error: String,
    /// When it began to run; none if it never did.
    pub started: Option<SystemTime>,
    /// When it ended.
    pub finished: Option<SystemTime>,
    /// It was stopped or killed, and not by Rowcall.
    pub stopped_by_somebody: bool,
    /// Since when the engine runs.
    pub engine_since: Option<SystemTime>,
}

impl Evidence {
    /// From what the engine says of its state.
    pub fn of(state: &ContainerState) -> Self {
        let time = |text: &Option<String>| text.as_deref().and_then(time);
        Self {
            exit_code: state.exit_code.unwrap_or_default() as i32,
            oom_killed: state.oom_killed == Some(true),
            error: state.error.clone().unwrap_or_default(),
            started: time(&state.started_at),
            finished: time(&state.finished_at),
            ..Self::default()
        }
    }

    /// It ran before the engine's present life, and not since.
    fn went_with_the_engine(&self) -> bool {
        let (Some(since), Some(started), Some(finished)) = (self.engine_since, self.started, self.finished)
        else {
            return false;
        };
        // Killed, asked to end, or found dead: codes that are seldom a program's own.
        let telling = matches!(self.exit_code, 137 | 143 | 255);
        !self.oom_killed
            && started < since
            && finished <= since + WITH_THE_ENGINE
            && (telling || finished + WAY_DOWN >= since)
    }
}

/// The end that a container came to.
#[must_use]
pub fn end(evidence: &Evidence) -> End {
    let code = evidence.exit_code;
    if evidence.started.is_none() {
        let stays = matches!(code, 126 | 127);
        return End::not_started(format!("never started: {}", evidence.error), !stays);
    }
    if evidence.went_with_the_engine() {
        let reason = format!("its engine was stopped or restarted (exit code {code})");
        return End { exit_code: Some(code), ..End::interrupted(reason, true) };
    }
    if evidence.stopped_by_somebody {
        let reason = format!("stopped outside of Rowcall (exit code {code})");
        return End {
            exit_code: Some(code),
            ..End::interrupted(reason, false).because(Cause::StoppedOutside)
        };
    }
    if evidence.oom_killed {
        // Also with code 0, when only a child process was killed.
        return End {
            exit_code: Some(code),
            ..End::failed(format!("out of memory (exit code {code})")).because(Cause::OutOfMemory)
        };
    }
    let reason = signal(code).or_else(|| Some(evidence.error.clone()).filter(|error| !error.is_empty()));
    End { reason, ..End::exited(code) }
}

/// Why Docker's own first process could not run the program, which it prints where the program would print: no engine
/// knows of it.
#[must_use]
pub fn not_begun(exit_code: Option<i32>, output: &str) -> Option<End> {
    let line = output.lines().find_map(|line| line.strip_prefix("[FATAL tini ("))?;
    let (_, why) =
        line.split_once(")] ").filter(|(_, why)| why.starts_with("exec ") && why.contains(" failed: "))?;
    matches!(exit_code, Some(126 | 127)).then(|| End::not_started(format!("never started: {why}"), false))
}

/// The end of an attempt whose container is not there any more.
#[must_use]
pub fn removed(elsewhere: Option<(&str, &str)>) -> End {
    End::lost(match elsewhere {
        None => {
            "its container is gone: it was removed before its end was recorded, or was never on this engine"
                .to_owned()
        }
        Some((theirs, ours)) => {
            format!(
                "it was handed to the engine {theirs}, and this dispatcher speaks to {ours}, which does not know it"
            )
        }
    })
}

/// A time as the engine writes it: in UTC, or with the offset of its machine; none if it is the year 1, which is its
/// word for never.
#[must_use]
pub fn time(text: &str) -> Option<SystemTime> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time);
    }
    let split = text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at))?;
    let (local, offset) = text.split_at(split);
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let offset_by =
        Duration::from_secs(hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60);
    match offset.chars().next()? {
        '+' => local.checked_sub(offset_by),
        '-' => local.checked_add(offset_by),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::How;
    use proptest::prelude::*;

    const BEGAN: &str = "2026-05-01T10:00:00Z";
    const ENDED: &str = "2026-05-01T10:05:00.25Z";

    fn evidence(exit_code: i32) -> Evidence {
        Evidence { exit_code, started: time(BEGAN), finished: time(ENDED), ..Evidence::default() }
    }

    #[test]
    fn the_cause_is_told_as_far_as_the_engine_knows() {
        let cause = |evidence: &Evidence| end(evidence).cause;
        assert_eq!(cause(&evidence(3)), Cause::ExitCode);
        assert_eq!(cause(&Evidence { oom_killed: true, ..evidence(137) }), Cause::OutOfMemory);
        assert_eq!(cause(&Evidence { stopped_by_somebody: true, ..evidence(0) }), Cause::StoppedOutside);
        assert_eq!(cause(&Evidence { started: None, ..evidence(127) }), Cause::NotStarted);
        let engine_since = time(ENDED).map(|at| at + Duration::from_secs(1));
        assert_eq!(cause(&Evidence { engine_since, ..evidence(137) }), Cause::Reclaimed);
        assert_eq!(removed(None).cause, Cause::Lost);
    }

    fn told(evidence: &Evidence) -> (How, Option<i32>, String) {
        let end = end(evidence);
        (end.how, end.exit_code, end.reason.unwrap_or_default())
    }

    #[test]
    fn exit_codes_and_signals_are_the_programs() {
        assert_eq!(told(&evidence(0)), (How::Exited, Some(0), String::new()));
        assert_eq!(told(&evidence(3)), (How::Exited, Some(3), String::new()));
        assert_eq!(
            told(&evidence(137)),
            (How::Exited, Some(137), "killed by signal 9 SIGKILL (exit code 137)".into())
        );
    }

    #[test]
    fn out_of_memory_is_said_whatever_the_code() {
        let killed = Evidence { oom_killed: true, ..evidence(137) };
        assert_eq!(told(&killed), (How::Exited, Some(137), "out of memory (exit code 137)".into()));
        let (how, _, reason) = told(&Evidence { oom_killed: true, ..evidence(0) });
        assert_eq!((how, reason.as_str()), (How::Exited, "out of memory (exit code 0)"));
    }

    #[test]
    fn what_never_ran_was_not_started() {
        let error = "exec: \"/nope\": stat /nope: no such file or directory".to_owned();
        let never = Evidence { started: None, error: error.clone(), ..evidence(127) };
        assert_eq!(
            told(&never),
            (How::NotStarted { retryable: false }, None, format!("never started: {error}"))
        );
        let (how, ..) = told(&Evidence { exit_code: 128, ..never });
        assert_eq!(how, How::NotStarted { retryable: true });
    }

    #[test]
    fn what_the_first_process_could_not_run_was_not_started() {
        let printed = "[FATAL tini (7)] exec /nope failed: No such file or directory\n";
        let end = not_begun(Some(127), printed).unwrap();
        assert_eq!(end.how, How::NotStarted { retryable: false });
        assert_eq!(
            end.reason.as_deref(),
            Some("never started: exec /nope failed: No such file or directory")
        );
        assert_eq!(not_begun(Some(1), printed), None);
        assert_eq!(not_begun(Some(127), "sh: nope: not found\n"), None);
    }

    #[test]
    fn a_stop_by_a_person_is_not_the_tasks_fault_and_not_retried() {
        let stopped = Evidence { stopped_by_somebody: true, ..evidence(0) };
        assert_eq!(
            told(&stopped),
            (
                How::Interrupted { retryable: false },
                Some(0),
                "stopped outside of Rowcall (exit code 0)".into()
            )
        );
    }

    #[test]
    fn what_went_with_the_engine_is_tried_again() {
        let after = |seconds| time(ENDED).map(|at| at + Duration::from_secs(seconds));
        for (code, seconds) in [(137, 1), (143, 1), (255, 1), (0, 1), (3, 1), (137, 3600)] {
            let (how, ..) = told(&Evidence { engine_since: after(seconds), ..evidence(code) });
            assert_eq!(how, How::Interrupted { retryable: true }, "{code}");
        }
        for code in [0, 3] {
            let long_before = Evidence { engine_since: after(120), ..evidence(code) };
            assert_eq!(told(&long_before).0, How::Exited, "a code of the program's own");
        }
        let memory = Evidence { engine_since: after(1), oom_killed: true, ..evidence(137) };
        assert_eq!(told(&memory).0, How::Exited);
        let before = Evidence { engine_since: time(BEGAN), ..evidence(137) };
        assert_eq!(told(&before).0, How::Exited, "the engine has lived all the while");
    }

    #[test]
    fn times_are_read_with_any_offset() {
        assert_eq!(time("2026-05-01T12:00:00+02:00"), time(BEGAN));
        assert_eq!(time("2026-05-01T04:30:00.5-05:30"), time("2026-05-01T10:00:00.5Z"));
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        assert_eq!(time("soon"), None);
        assert_eq!(time(""), None);
    }

    proptest! {
        #[test]
        fn a_time_is_the_same_in_every_zone(
            seconds in 0_u64..4_000_000_000, nanos in 0_u32..1_000_000_000, hours in 0_u64..24, minutes in 0_u64..60, ahead in any::<bool>()
        ) {
            let at = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
            let offset = Duration::from_secs(hours * 3600 + minutes * 60);
            let (local, sign) = if ahead { (at + offset, '+') } else { (at.checked_sub(offset).unwrap_or(at), '-') };
            prop_assume!(ahead || local < at || offset.is_zero());
            prop_assume!(local >= SystemTime::UNIX_EPOCH);
            let local = humantime::format_rfc3339_nanos(local).to_string();
            let text = format!("{}{sign}{hours:02}:{minutes:02}", local.trim_end_matches('Z'));
            prop_assert_eq!(time(&text), Some(at), "{}", text);
        }

        #[test]
        fn what_is_no_time_is_none(text in prop_oneof![".{0,40}", "[0-9T:.Z+-]{0,36}"]) {
            let _ = time(&text);
            let _ = not_begun(Some(127), &text);
        }
    }
}
