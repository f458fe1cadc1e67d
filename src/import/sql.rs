//! Statements as text: the same text is printed for a person and run.

use serde_json::Value;

/// A value as a literal. Objects and lists are jsonb.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) | Value::Object(_) => quoted(&value.to_string()),
    }
}

/// A text as a literal, whatever `standard_conforming_strings` is.
pub fn quoted(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("e'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// An INSERT into `rowcall.parameters`, a column a line.
pub fn insert(columns: &[(&str, Value)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<String> = columns.iter().map(|(_, value)| literal(value)).collect();
    // Seven names fit on a line.
    let names: Vec<String> = names.chunks(7).map(|names| names.join(", ")).collect();
    format!(
        "insert into rowcall.parameters\n    ({})\nvalues\n    ({});",
        names.join(",\n     "),
        values.join(",\n     ")
    )
}

/// An UPDATE of one row of `rowcall.parameters`.
pub fn update(name: &str, columns: &[(&str, Value)]) -> String {
    let set: Vec<String> =
        columns.iter().map(|(column, value)| format!("{column} = {}", literal(value))).collect();
    format!("update rowcall.parameters\nset {}\nwhere name = {};", set.join(",\n    "), quoted(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_cannot_be_left() {
        assert_eq!(quoted("it's"), "'it''s'");
        assert_eq!(quoted(r"a\' or true --"), r"e'a\\'' or true --'");
        assert_eq!(literal(&json!({"a": "it's"})), r#"'{"a":"it''s"}'"#);
        assert_eq!(literal(&json!([1, null])), "'[1,null]'");
        assert_eq!([json!(null), json!(true), json!(7)].map(|v| literal(&v)), ["null", "true", "7"]);
    }
}
