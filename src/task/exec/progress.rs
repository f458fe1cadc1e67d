//! How far the program is, by its own word: the last line of a file.

use std::path::PathBuf;

use serde::Deserialize;

use super::place::read_end;
use crate::task::files::Saying;

/// The variable that names the file.
pub const PROGRESS_FILE: &str = "ROWCALL_PROGRESS_FILE";
/// The last line is in here; Postgres keeps no longer message.
const LONGEST: u64 = 4096;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// From 0 to 1.
    pub fraction: Option<f64>,
    /// What it is doing.
    pub message: Option<String>,
}

/// Watches the file.
pub struct Progress {
    file: Option<PathBuf>,
    seen: Vec<u8>,
    complained: bool,
    /// Our own word, before the program and after it.
    pub saying: Saying,
}

impl Progress {
    /// None yet.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, seen: Vec::new(), complained: false, saying: Saying::default() }
    }

    /// What is new since the last look. A line that cannot be read is as good as none; the first is told.
    pub fn look(&mut self) -> Option<Update> {
        if let Some(word) = self.saying.take() {
            return Some(Update { fraction: None, message: Some(word) });
        }
        let (bytes, _) = read_end(self.file.as_ref()?, LONGEST)?;
        let line = bytes.trim_ascii().rsplit(|byte| *byte == b'\n').next()?.trim_ascii().to_vec();
        if line.is_empty() || line == self.seen {
            return None;
        }
        self.seen = line;
        let update = parse(&String::from_utf8_lossy(&self.seen));
        if update.is_none() && !std::mem::replace(&mut self.complained, true) {
            eprintln!(
                "rowcall-task: {PROGRESS_FILE}: a line is neither like `0.42 reading page 3` nor like \
                 {{\"fraction\": 0.42, \"message\": \"…\"}}; such lines are ignored"
            );
        }
        update
    }
}

fn parse(line: &str) -> Option<Update> {
    let update = if line.starts_with('{') {
        serde_json::from_str(line).ok()?
    } else {
        let (fraction, message) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let message = Some(message.trim().to_owned()).filter(|message| !message.is_empty());
        Update { fraction: Some(fraction.parse().ok()?), message }
    };
    let Update { fraction, message } = update;
    if fraction.is_some_and(|fraction: f64| !(0.0..=1.0).contains(&fraction)) {
        return None;
    }
    // Postgres stores any character but this.
    Some(Update { fraction, message: message.map(|text| text.replace('\0', "\u{fffd}")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_a_fraction_and_a_message_or_json() {
        let update =
            |fraction, message: Option<&str>| Some(Update { fraction, message: message.map(str::to_owned) });
        assert_eq!(parse("0.42 reading page 3"), update(Some(0.42), Some("reading page 3")));
        assert_eq!(parse("1"), update(Some(1.0), None));
        assert_eq!(parse(r#"{"fraction": 0.5, "message": "ü"}"#), update(Some(0.5), Some("ü")));
        assert_eq!(parse(r#"{"message": "a\u0000b"}"#), update(None, Some("a\u{fffd}b")));
        for wrong in ["reading", "42%", "1.5 too far", "-0.1", "NaN", "{", r#"{"fraction": 2}"#] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_last_line_counts_and_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut progress = Progress::new(Some(file.path().to_owned()));
        assert_eq!(progress.look(), None);
        std::fs::write(file.path(), "0.1 first\n0.2 second\n").unwrap();
        assert_eq!(progress.look().unwrap().message.unwrap(), "second");
        assert_eq!(progress.look(), None);
        std::fs::write(file.path(), format!("{}\n0.3 third", "x".repeat(5000))).unwrap();
        assert_eq!(progress.look().unwrap().fraction, Some(0.3));
    }

    proptest! {
        /// Nearly right more often than not: a line of noise is refused at once.
        #[test]
        fn whatever_a_line_says_is_a_fraction_or_nothing(
            line in prop_oneof!["[-+0-9.eEinfNa]{0,9}[ \t]?\\PC{0,12}", r#"\{"(fraction|message)": ?[-0-9.e"nul]{0,9}[,}]{0,2}"#, ".*"]
        ) {
            if let Some(Update { fraction, message }) = parse(&line) {
                prop_assert!(fraction.is_none_or(|fraction| (0.0..=1.0).contains(&fraction)), "{fraction:?}");
                prop_assert!(!message.unwrap_or_default().contains('\0'));
            }
        }
    }
}
