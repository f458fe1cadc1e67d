//! JSON as text: looked into where it stands, never read as a whole. So a number keeps its digits, a structure its
//! spelling, and neither size nor depth of a row matters.

use std::borrow::Cow;

use serde_json::Value;

/// A JSON value in the spelling of jsonb.
#[derive(Debug, Clone)]
pub struct Json<'a>(Cow<'a, str>);

/// As `jsonb_typeof` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// Postgres' word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

impl<'a> Json<'a> {
    /// What this text says.
    pub fn of(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A JSON string.
    pub fn string(content: &str) -> Self {
        Self(Cow::Owned(quoted(content)))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn kind(&self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Of a string its content, of anything else its text.
    pub fn plain(&self) -> String {
        match self.kind() {
            Kind::String => serde_json::from_str(&self.0).unwrap_or_default(),
            _ => self.0.to_string(),
        }
    }
}

/// The member of an object.
pub fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let wanted = quoted(name);
    let mut place = text.starts_with('{').then_some(1)?;
    loop {
        let (key, after) = next(text, place)?;
        let (value, after) = next(text, after)?;
        if key == wanted {
            return Some(value);
        }
        place = after;
    }
}

/// The item of an array, counted from 0.
pub fn item(text: &str, number: usize) -> Option<&str> {
    let mut place = text.starts_with('[').then_some(1)?;
    for _ in 0..number {
        place = next(text, place)?.1;
    }
    next(text, place).map(|(value, _)| value)
}

/// The next value from this place on, and where it ends; none at the end of what holds it.
fn next(text: &str, place: usize) -> Option<(&str, usize)> {
    let bytes = text.as_bytes();
    let between = |byte: &&u8| matches!(**byte, b' ' | b',' | b':');
    let begin = place + bytes.get(place..)?.iter().take_while(between).count();
    let (mut end, mut depth) = (begin, 0_usize);
    loop {
        match *bytes.get(end)? {
            b'"' => end = end_of_string(bytes, end)?,
            b'{' | b'[' => {
                depth += 1;
                end += 1;
                continue;
            }
            b'}' | b']' if depth == 0 => return None,
            b'}' | b']' => {
                depth -= 1;
                end += 1;
            }
            b' ' | b',' | b':' => {
                end += 1;
                continue;
            }
            _ => end += bytes[end..].iter().take_while(|byte| !b" ,:]}".contains(byte)).count(),
        }
        if depth == 0 {
            return text.get(begin..end).map(|value| (value, end));
        }
    }
}

/// After the closing quote of the string that begins here.
fn end_of_string(bytes: &[u8], begin: usize) -> Option<usize> {
    let mut place = begin + 1;
    loop {
        match *bytes.get(place)? {
            b'\\' => place += 2,
            b'"' => return Some(place + 1),
            _ => place += 1,
        }
    }
}

fn quoted(content: &str) -> String {
    Value::from(content).to_string()
}

/// A value as Postgres spells it: members by length and then by bytes, a space after each comma and colon.
#[must_use]
pub fn spelled_as_jsonb(value: &Value) -> String {
    let mut text = String::new();
    spell(value, &mut text);
    text
}

/// As deep as the value, which serde_json reads no deeper than 128 levels.
fn spell(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { ", " });
                spell(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| (name.len(), *name));
            text.push('{');
            for (i, (name, member)) in members.into_iter().enumerate() {
                text.push_str(if i == 0 { "" } else { ", " });
                text.push_str(&quoted(name));
                text.push_str(": ");
                spell(member, text);
            }
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_items_are_found_as_they_are_spelled() {
        let json =
            r#"{"a": [1.10, {"x}": "]"}, "q\"}"], "bb": {"a": null}, "\"": 123456789012345678901234567890}"#;
        assert_eq!(member(json, "a"), Some(r#"[1.10, {"x}": "]"}, "q\"}"]"#));
        assert_eq!(member(json, "bb"), Some(r#"{"a": null}"#));
        assert_eq!(member(json, "\""), Some("123456789012345678901234567890"));
        assert_eq!(member(json, "x}"), None);
        let list = member(json, "a").unwrap();
        assert_eq!(item(list, 0), Some("1.10"));
        assert_eq!(item(list, 1), Some(r#"{"x}": "]"}"#));
        assert_eq!(item(list, 2).map(|text| Json::of(text).plain()).as_deref(), Some("q\"}"));
        assert_eq!(item(list, 3), None);
        for nothing in ["{}", "[]", "1", "\"a\"", "null", "", "{", "[1", "{\"a"] {
            assert!(member(nothing, "a").is_none(), "{nothing}");
            assert!(item(nothing, 1).is_none(), "{nothing}");
        }
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(member(&deep, "a").map(str::len), Some(2_000_001));
    }

    #[test]
    fn a_value_is_spelled_as_jsonb() {
        let value =
            serde_json::from_str(r#"{"bb":[1.10,-0,1000,null,true],"a":{},"ab":"\u0001é\/"}"#).unwrap();
        assert_eq!(
            spelled_as_jsonb(&value),
            "{\"a\": {}, \"ab\": \"\\u0001é/\", \"bb\": [1.10, -0, 1000, null, true]}"
        );
    }
}
