//! The program's result: what its result file says, or else the last line of its standard output.

use std::path::Path;

use serde_json::Value;

use super::place::read_end;

/// The variable that names the file.
pub const RESULT_FILE: &str = "ROWCALL_RESULT_FILE";
/// Of a result as it is written. Postgres counts it in its own spelling, and `task_succeed` takes a quarter of this;
/// the rest is for those who indent.
const LONGEST: usize = 4 << 20;

/// The last line that is not empty, however long it is.
#[derive(Debug, Default)]
pub struct LastLine {
    line: Vec<u8>,
    /// Bytes of it that were not kept.
    beyond: u64,
    ended: bool,
}

impl LastLine {
    /// Adds what was printed.
    pub fn push(&mut self, mut new: &[u8]) {
        while let Some(end) = new.iter().position(|byte| *byte == b'\n') {
            self.add(&new[..end]);
            self.ended = true;
            new = &new[end + 1..];
        }
        self.add(new);
    }

    fn add(&mut self, piece: &[u8]) {
        if self.ended {
            if piece.trim_ascii().is_empty() {
                return;
            }
            *self = Self::default();
        }
        let room = LONGEST - self.line.len();
        let kept = piece.len().min(room);
        self.line.extend_from_slice(&piece[..kept]);
        self.beyond += (piece.len() - kept) as u64;
    }

    /// A JSON object is a result; anything else is only output. Too long for a result but begun like one, it is
    /// an error.
    fn result(&self) -> Result<Option<Value>, String> {
        let line = self.line.trim_ascii();
        if self.beyond > 0 {
            let looks_like_one = line.starts_with(b"{");
            return if looks_like_one {
                Err(too_large(self.line.len() as u64 + self.beyond))
            } else {
                Ok(None)
            };
        }
        Ok(serde_json::from_slice::<Value>(without_mark(line)).ok().filter(Value::is_object))
    }

    /// What is wrong with a last line that looks like a result and is none, such as {"mean": NaN}. It may be no more than what
    /// the program printed last; so this is said, and no failure.
    fn almost(&self) -> Option<String> {
        let line = without_mark(self.line.trim_ascii());
        if self.beyond > 0 || !line.starts_with(b"{") || !line.ends_with(b"}") {
            return None;
        }
        let error = serde_json::from_slice::<Value>(line).err()?;
        Some(format!("the last line printed looks like a result, and is not JSON: {error}"))
    }
}

/// Without the mark that some programs put before text in UTF-8.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// The result, if there is one; an error if the program meant to leave one and failed at it. Returns also a remark for a
/// person, where a result seems to be missing.
pub fn find(file: Option<&Path>, last_line: &LastLine) -> (Result<Option<Value>, String>, Option<String>) {
    match file.and_then(|file| read_end(file, LONGEST as u64)) {
        Some((bytes, length)) => (of_file(&bytes, length), None),
        None => (last_line.result(), last_line.almost()),
    }
}

fn of_file(bytes: &[u8], length: u64) -> Result<Option<Value>, String> {
    if length > LONGEST as u64 {
        return Err(too_large(length));
    }
    if bytes.trim_ascii().is_empty() {
        return Err("the result file is empty".to_owned());
    }
    serde_json::from_slice(without_mark(bytes.trim_ascii()))
        .map(Some)
        .map_err(|error| format!("the result file is not JSON: {error}"))
}

fn too_large(bytes: u64) -> String {
    format!(
        "the result has {bytes} bytes, and 1 MiB is allowed; store large output elsewhere, and report where it is"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn result(pieces: &[&str]) -> Result<Option<Value>, String> {
        let mut last_line = LastLine::default();
        for piece in pieces {
            last_line.push(piece.as_bytes());
        }
        last_line.result()
    }

    #[test]
    fn the_result_is_the_last_line_if_it_is_a_json_object() {
        assert_eq!(result(&["log\n{\"n\"", ": 1}\n", "\n"]), Ok(Some(json!({"n": 1}))));
        assert_eq!(result(&["{\"n\": 1}\ndone\n"]), Ok(None));
        assert_eq!(result(&["{\"n\": 1}\n", " \n"]), Ok(Some(json!({"n": 1}))));
        assert_eq!(result(&["3\n"]), Ok(None));
        assert_eq!(result(&["\u{feff}{\"n\": 1}\n"]), Ok(Some(json!({"n": 1}))));
        assert_eq!(result(&[]), Ok(None));
    }

    #[test]
    fn a_line_that_is_almost_a_result_is_remarked_upon() {
        let almost = |line: &str| {
            let mut last_line = LastLine::default();
            last_line.push(line.as_bytes());
            last_line.almost()
        };
        for line in ["{\"mean\": NaN}", "{'rows': 3}", "{\"a\": 1,}"] {
            assert!(almost(line).is_some(), "{line}");
        }
        for line in ["{\"mean\": 1}", "done", "{open", "[1, NaN]"] {
            assert_eq!(almost(line), None, "{line}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let line = r#"{"big":123456789012345678901234567890,"price":1.10,"tiny":1e-30}"#;
        assert_eq!(result(&[line, "\n"]).unwrap().unwrap().to_string(), line);
    }

    #[test]
    fn a_line_beyond_all_measure_is_an_error_if_it_may_be_a_result() {
        let long = "x".repeat(LONGEST);
        assert_eq!(result(&["log\n", &long, "x"]), Ok(None));
        assert!(result(&["log\n{\"x\": \"", &long, "\"}\n"]).unwrap_err().contains("has 41943"));
        assert_eq!(result(&["{", &long, "\n{}\n"]), Ok(Some(json!({}))));
    }

    proptest! {
        #[test]
        fn the_last_line_is_the_same_in_whatever_pieces_it_comes(
            text in prop::collection::vec(prop_oneof!["\n", " ", r#"\{"a": 1\}"#, r"\{", r"\}", "\u{feff}", "[a-z\"]{1,3}"], 0..12),
            cut in 1_usize..7
        ) {
            let text = text.concat();
            let (mut whole, mut pieces) = (LastLine::default(), LastLine::default());
            whole.push(text.as_bytes());
            text.as_bytes().chunks(cut).for_each(|piece| pieces.push(piece));
            prop_assert_eq!(whole.result(), pieces.result());
            prop_assert_eq!(whole.almost(), pieces.almost());
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let is_object = |line: &str| serde_json::from_str::<Value>(line.trim_start_matches('\u{feff}').trim()).is_ok_and(|v| v.is_object());
            if whole.result().unwrap().is_some() {
                prop_assert!(is_object(last.trim()), "{last:?}");
            }
        }
    }
}
