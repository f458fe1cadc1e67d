//! What a task has made, as its result tells it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::task::failure::Failure;

/// The key of the result that holds the list.
pub const KEY: &str = "files";
/// What `rowcall.task_succeed` takes.
const MOST: usize = 1 << 20;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Below the output directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
    /// Where it is to be found.
    pub url: String,
}

/// The result of the program, with the list in it.
pub fn join(result: Option<Value>, entries: &[Entry]) -> Result<Value, Failure> {
    let mut whole = match result {
        None => Map::new(),
        Some(Value::Object(members)) if members.contains_key(KEY) => {
            return Err(Failure::lasting(
                "the program's result has a key `files`, which --output-dir needs for its list; give it another name",
            ));
        }
        Some(Value::Object(members)) => members,
        Some(_) => {
            return Err(Failure::lasting(
                "the program's result is not an object, so that the list of --output-dir finds no place in it",
            ));
        }
    };
    whole.insert(KEY.to_owned(), json!(entries));
    let whole = Value::Object(whole);
    let bytes = length(&whole);
    if bytes > MOST {
        return Err(Failure::lasting(format!(
            "the result with the list of {} files has {bytes} bytes, and 1 MiB is allowed; leave fewer files, such \
             as one archive",
            entries.len()
        )));
    }
    Ok(whole)
}

/// As Postgres writes it, with a space after each comma and colon.
fn length(value: &Value) -> usize {
    spaces(value) + value.to_string().len()
}

fn spaces(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len().saturating_sub(1) + items.iter().map(spaces).sum::<usize>(),
        Value::Object(members) => {
            (2 * members.len()).saturating_sub(1) + members.values().map(spaces).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        let (name, url) = (name.to_owned(), format!("s3://b/{name}"));
        Entry { name, bytes: 3, sha256: "00".repeat(32), url }
    }

    #[test]
    fn the_list_joins_the_programs_result() {
        let list = json!([{"name": "x", "bytes": 3, "sha256": "00".repeat(32), "url": "s3://b/x"}]);
        assert_eq!(join(None, &[entry("x")]), Ok(json!({ "files": list })));
        assert_eq!(join(Some(json!({"n": 1})), &[entry("x")]), Ok(json!({ "n": 1, "files": list })));
        assert_eq!(join(None, &[]), Ok(json!({ "files": [] })));
    }

    #[test]
    fn a_result_without_room_for_the_list_is_refused() {
        for (result, words) in [(json!({"files": 3}), "key `files`"), (json!([1]), "not an object")] {
            let failure = join(Some(result), &[]).unwrap_err();
            assert!(!failure.retry && failure.message.contains(words), "{failure:?}");
        }
    }

    #[test]
    fn a_list_too_large_for_the_database_is_refused_before_storing() {
        let some = |n: usize| (0..n).map(|i| entry(&i.to_string())).collect::<Vec<_>>();
        assert!(join(None, &some(5000)).is_ok());
        let failure = join(None, &some(10_000)).unwrap_err();
        assert!(
            failure.message.contains("list of 10000 files has 1297791 bytes") && !failure.retry,
            "{failure:?}"
        );
    }

    #[test]
    fn lengths_are_counted_as_postgres_writes() {
        // select octet_length('…'::jsonb::text)
        for (value, bytes) in
            [(json!({"a": [1, 2, {}], "b": {}}), 26), (json!([]), 2), (json!({"ü": "x, y: z"}), 17)]
        {
            assert_eq!(length(&value), bytes, "{value}");
        }
    }
}
