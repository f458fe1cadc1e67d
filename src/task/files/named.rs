//! What a row names: the files that a task is about.

use regex_lite::Regex;
use serde_json::Value;

use super::address::Address;

/// So many are fetched for one attempt at most; a folder that was named by mistake may hold millions.
pub const MOST: usize = 10_000;

/// A file, or a folder of them, and where its name stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What is named.
    pub address: Address,
    /// Such as `row.attributes.path`.
    pub at: String,
}

/// Looks for names in the parts of `whole` that the paths in `from` lead to. Each is found once.
///
/// A string is a name if all of it is an address: `s3://…` and `file://…`, and absolute paths too where a pattern
/// tells them from other strings that begin with a slash. The pattern is for files; files below a folder are
/// compared with it later.
pub fn named(whole: &Value, from: &[String], pattern: Option<&Regex>) -> Result<Vec<Named>, String> {
    let mut search = Search { pattern, found: Vec::new() };
    for path in from {
        let mut steps: Vec<String> = path.split('.').map(str::to_owned).collect();
        if let Some(part) = crate::task::calls::at(whole, path) {
            search.walk(part, &mut steps)?;
        }
    }
    Ok(search.found)
}

struct Search<'a> {
    pattern: Option<&'a Regex>,
    found: Vec<Named>,
}

impl Search<'_> {
    fn walk(&mut self, value: &Value, steps: &mut Vec<String>) -> Result<(), String> {
        match value {
            Value::String(text) => return self.consider(text, steps),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    steps.push(i.to_string());
                    self.walk(item, steps)?;
                    steps.pop();
                }
            }
            Value::Object(members) => {
                for (member, value) in members {
                    steps.push(member.clone());
                    if !is_an_earlier_end(steps) {
                        self.walk(value, steps)?;
                    }
                    steps.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }

    fn consider(&mut self, text: &str, steps: &[String]) -> Result<(), String> {
        let at = steps.join(".");
        let matches = self.pattern.is_none_or(|pattern| pattern.is_match(text));
        let is_url = text.starts_with("s3://") || text.starts_with("file://");
        // Without a pattern a text such as "/" or "/api/v1" would count.
        if !(is_url || self.pattern.is_some() && matches && text.starts_with('/')) {
            return Ok(());
        }
        let address = match Address::parse(text) {
            Ok(Some(address)) => address,
            Err(why) if matches => return Err(format!("{at}: {why}")),
            Ok(None) | Err(_) => return Ok(()),
        };
        let counts = match &address {
            Address::S3 { key, .. } if key.is_empty() => match self.pattern {
                Some(_) => false,
                None => {
                    return Err(format!(
                        "{at}: {text} is a whole bucket; name an object, or a folder with / at its end, or leave \
                         it out by --input-pattern or --input-from"
                    ));
                }
            },
            // Only as a URL: a pattern that means files matches hardly a folder, and all of a disk may lie below.
            folder if folder.is_folder() => is_url,
            _ => matches,
        };
        if counts && !self.found.iter().any(|named| named.address == address) {
            if self.found.len() == MOST {
                return Err(format!(
                    "{at}: {MOST} files are named before this one, and more are not fetched"
                ));
            }
            self.found.push(Named { address, at });
        }
        Ok(())
    }
}

/// The result of an earlier task, which Rowcall has written into a row of its own table or one like it
/// (`row.attributes.result`, or `row.attributes.results` of observers). Its files are input of the next task only by
/// `--input-from`.
fn is_an_earlier_end(steps: &[String]) -> bool {
    matches!(steps, [row, _, key] if row == "row" && ["result", "results", "message"].contains(&key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(whole: &Value, from: &[&str], pattern: Option<&str>) -> Vec<String> {
        let from: Vec<String> = from.iter().map(ToString::to_string).collect();
        let pattern = pattern.map(|pattern| Regex::new(pattern).unwrap());
        let found = named(whole, &from, pattern.as_ref()).unwrap();
        found.into_iter().map(|named| format!("{} {}", named.at, named.address)).collect()
    }

    #[test]
    fn strings_that_are_addresses_are_found_anywhere_and_once() {
        let whole = json!({"row": {
            "id": 1,
            "status": "REGISTERED",
            "attributes": {
                "path": "s3://b/x.nc",
                "again": "s3://b/x.nc",
                "parts": [{"u": "file:///data/a%20b"}, "see s3://b/y.nc", "s3://b/folder/"],
                "site": "/api/v1",
                "none": null,
            },
        }, "values": {"lut": "s3://b/lut"}});
        let expected = [
            "row.attributes.parts.0.u file:///data/a%20b",
            "row.attributes.parts.2 s3://b/folder/",
            "row.attributes.path s3://b/x.nc",
        ];
        // Whichever of two equal ones comes first.
        let all = found(&whole, &["row"], None).into_iter().map(|one| one.replace("again", "path"));
        let mut all: Vec<String> = all.collect();
        all.sort();
        assert_eq!(all, expected);
        assert_eq!(
            found(&whole, &["values.lut", "row.attributes.path", "row.nothing"], None),
            ["values.lut s3://b/lut", "row.attributes.path s3://b/x.nc"]
        );
    }

    #[test]
    fn a_pattern_chooses_files_and_makes_paths_count() {
        let whole = json!({"row": [
            "/data/x.nc", "/data/x.txt", "data/x.nc", "s3://b/x.nc", "s3://b/x.txt", "file:///x.nc", "/", "/nc/",
            "s3://b/folder/", "s3://b", "s3://", "file://elsewhere/x.txt"
        ]});
        assert_eq!(
            found(&whole, &["row"], Some(r"\.nc$")),
            ["row.0 file:///data/x.nc", "row.3 s3://b/x.nc", "row.5 file:///x.nc", "row.8 s3://b/folder/"]
        );
        assert_eq!(found(&json!({"row": ["/", "/nc/"]}), &["row"], Some(".")), [""; 0]);
    }

    #[test]
    fn what_an_earlier_task_left_is_not_the_next_ones_input() {
        let result = json!({"files": [{"name": "y.nc", "url": "s3://b/out/y.nc"}]});
        let whole =
            json!({"row": {"attributes": {"path": "s3://b/x.nc", "result": result, "message": "s3://b/z"}}});
        assert_eq!(found(&whole, &["row"], None), ["row.attributes.path s3://b/x.nc"]);
        assert_eq!(found(&whole, &["row.attributes"], None), ["row.attributes.path s3://b/x.nc"]);
        let named = found(&whole, &["row.attributes.result"], None);
        assert_eq!(named, ["row.attributes.result.files.0.url s3://b/out/y.nc"]);
    }

    #[test]
    fn broken_names_and_whole_buckets_are_errors_that_say_where() {
        for (text, words) in
            [("s3://b/", "whole bucket"), ("s3:///x", "no bucket"), ("file://host/x", "another machine")]
        {
            let why = named(&json!({"row": {"u": text}}), &["row".to_owned()], None).unwrap_err();
            assert!(why.starts_with("row.u: ") && why.contains(words), "{why}");
        }
    }
}
