//! Which ends are worth a retry: the words of `parameters.retry_on`.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// Words such as `TIMED_OUT`, `exit:75`, `exit:64-78`, each perhaps with a `!` before it. The database checks their
/// form (`rowcall.parameters_columns`); a word that is none matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetryOn(pub Vec<String>);

/// Every failure; the default of the column.
impl Default for RetryOn {
    fn default() -> Self {
        Self(Outcome::ALL.iter().filter(|o| o.is_retryable()).map(ToString::to_string).collect())
    }
}

impl RetryOn {
    /// Whether some word asks for it, and none with a `!` speaks against it.
    #[must_use]
    pub fn covers(&self, outcome: Outcome, exit_code: Option<i32>) -> bool {
        let matches = |word: &str| match word.strip_prefix("exit:") {
            // A program that a stop ended has the exit code of the stop.
            Some(codes) if outcome == Outcome::TaskFailed => {
                exit_code.is_some_and(|code| within(codes, code))
            }
            Some(_) => false,
            None => word == outcome.as_str(),
        };
        let (mut wanted, mut refused) = (false, false);
        for word in &self.0 {
            match word.strip_prefix('!') {
                Some(word) => refused |= matches(word),
                None => wanted |= matches(word),
            }
        }
        wanted && !refused
    }
}

/// Whether `75` or `64-78` holds a code.
fn within(codes: &str, code: i32) -> bool {
    let (first, last) = codes.split_once('-').unwrap_or((codes, codes));
    matches!((first.parse::<i32>(), last.parse::<i32>()), (Ok(first), Ok(last)) if (first..=last).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(words: &[&str], outcome: Outcome, exit_code: Option<i32>) -> bool {
        RetryOn(words.iter().map(|w| (*w).to_owned()).collect()).covers(outcome, exit_code)
    }

    #[test]
    fn every_failure_is_worth_a_retry_unless_retry_on_leaves_it_out() {
        for outcome in [Outcome::TaskFailed, Outcome::TimedOut, Outcome::RunnerFailed, Outcome::Lost] {
            assert!(RetryOn::default().covers(outcome, Some(1)), "{outcome:?}");
            assert!(!covers(&[], outcome, Some(1)), "{outcome:?}");
        }
    }

    #[test]
    fn exit_codes_choose_among_failures_of_the_task() {
        assert!(covers(&["exit:75"], Outcome::TaskFailed, Some(75)));
        assert!(!covers(&["exit:75"], Outcome::TaskFailed, Some(74)));
        assert!(!covers(&["exit:75"], Outcome::TaskFailed, None));
        assert!(!covers(&["exit:143"], Outcome::TimedOut, Some(143)));
        assert!(covers(&["exit:64-78"], Outcome::TaskFailed, Some(64)));
        assert!(covers(&["exit:64-78"], Outcome::TaskFailed, Some(78)));
        assert!(!covers(&["exit:64-78"], Outcome::TaskFailed, Some(79)));
    }

    #[test]
    fn a_word_with_an_exclamation_mark_takes_back() {
        let words = ["TASK_FAILED", "LOST", "!exit:64-78", "!exit:2"];
        assert!(covers(&words, Outcome::TaskFailed, Some(1)));
        assert!(covers(&words, Outcome::TaskFailed, None));
        assert!(!covers(&words, Outcome::TaskFailed, Some(70)));
        assert!(!covers(&words, Outcome::TaskFailed, Some(2)));
        assert!(covers(&words, Outcome::Lost, None));
        assert!(!covers(&words, Outcome::TimedOut, None));
    }
}
