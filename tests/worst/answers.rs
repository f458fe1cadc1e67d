//! The worst that an answer in JSON can hold, in each of its places.

use serde_json::{Value, json};

/// JSON pointers to all that an answer holds.
pub fn places(answer: &Value) -> Vec<String> {
    let mut places = Vec::new();
    let members: Vec<(String, &Value)> = match answer {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in members {
        places.push(format!("/{name}"));
        places.extend(places_below(&name, value));
    }
    places
}

fn places_below(name: &str, value: &Value) -> impl Iterator<Item = String> {
    places(value).into_iter().map(move |below| format!("/{name}{below}"))
}

/// What may stand there instead; nothing for none at all.
pub fn worst() -> Vec<Option<Value>> {
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let long = format!("\0{}", "é".repeat(10_000));
    vec![None, Some(Value::Null), Some(json!(-1e300)), Some(json!(long)), Some(json!({})), Some(deep)]
}

/// A value in the words of a failed test.
pub fn told(value: Option<&Value>) -> String {
    value.map_or("none".to_owned(), |value| value.to_string().chars().take(40).collect())
}
