//! Texts that people and files bring, spoiled at random: each is read or refused in words, and nothing panics.

use std::path::Path;

use proptest::prelude::*;
use rowcall::parameters::Frozen;
use rowcall::settings::{Sources, load};
use serde_json::{Value, json};

/// The settings as they are delivered, with one line spoiled.
fn spoiled_settings() -> impl Strategy<Value = (String, String)> {
    let lines: Vec<String> = include_str!("../config/rowcall.toml").lines().map(str::to_owned).collect();
    let settings: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].split_once(" = ").is_some_and(|(key, _)| !key.starts_with('#')))
        .collect();
    let value = prop_oneof![
        Just("-1".to_owned()),
        Just("0".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("1e400".to_owned()),
        Just("true".to_owned()),
        Just("[]".to_owned()),
        Just("[[\"\"]]".to_owned()),
        Just("{}".to_owned()),
        Just("\"\\u0000\"".to_owned()),
        Just("\"18446744073709551615 years\"".to_owned()),
        "\"[0-9]{1,20}(ms|s|m|h| days)?\"",
        "\"\\PC{0,12}\"",
        "\\PC{0,8}",
    ];
    (prop::sample::select(settings), value).prop_map(move |(at, value)| {
        let mut lines = lines.clone();
        let key = lines[at].split_once(" = ").unwrap().0.to_owned();
        lines[at] = format!("{key} = {value}");
        (key, lines.join("\n"))
    })
}

/// A value that is put in the place of another.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!({"": [{"a": [null, "\0"]}]})),
    ]
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                places(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| places(item, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

fn requests() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/v1.json");
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    all.as_object().unwrap().values().cloned().collect()
}

fn spoiled_request() -> impl Strategy<Value = Value> {
    let request = prop::sample::select(requests());
    request.prop_flat_map(|request| {
        let mut all = Vec::new();
        places(&request, "", &mut all);
        (Just(request), prop::sample::select(all), any_value()).prop_map(|(mut request, place, value)| {
            *request.pointer_mut(&place).unwrap() = value;
            request
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spoiled_settings_are_read_or_their_error_names_them((key, text) in spoiled_settings()) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings.toml");
        std::fs::write(&file, &text).unwrap();
        let read = load(&Sources { file: Some(file.clone()), ..Sources::default() });
        if let Err(error) = read {
            let words = error.to_string();
            let names_it = words.contains(&key) || words.contains("line ");
            prop_assert!(names_it, "{key}: {words}");
        }
    }

    #[test]
    fn settings_of_the_environment_are_read_or_their_error_names_them(
        name in "(DATABASE|DISPATCHER|RUNNERS|AWS)__(PROCESS__)?X[A-Z_]{1,12}", value in ".{0,12}"
    ) {
        let variable = format!("ROWCALL_{name}");
        let environment = [(variable.clone(), value)].into_iter().collect();
        let error = load(&Sources { environment, ..Sources::default() }).map(|_| ()).unwrap_err().to_string();
        prop_assert!(error.contains(&variable), "{error}");
    }

    #[test]
    fn a_spoiled_request_is_read_or_refused_in_words(request in spoiled_request()) {
        match Frozen::read(&request) {
            Ok(frozen) => {
                // What was read once is read the same for ever.
                let written = serde_json::to_value(&frozen).unwrap();
                let again = serde_json::to_value(Frozen::read(&written).unwrap()).unwrap();
                prop_assert_eq!(written, again);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
