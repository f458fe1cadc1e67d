//! Settings of a task, read strictly: a mistyped key is named and never ignored.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Below this likeness a known key is no help to whoever meant another.
const LIKE: f64 = 0.8;

/// Reads the settings of this runner, which has these keys. A key set to null counts as absent, so that a row can take
/// back what the defaults say.
pub fn read<T: DeserializeOwned>(settings: &Value, runner: &str, keys: &[&str]) -> Result<T, String> {
    let mut settings = settings.clone();
    strip_nulls(&mut settings);
    let Some(map) = settings.as_object() else {
        return Err("settings must be an object".to_owned());
    };
    if let Some(key) = map.keys().find(|key| !keys.contains(&key.as_str())) {
        let meant = meant(key, keys);
        return Err(format!("settings.{key}: the {runner} runner has no such setting{meant}"));
    }
    serde_path_to_error::deserialize(settings).map_err(|e| {
        let path = e.path().to_string();
        format!("settings.{path}: {}", e.into_inner())
    })
}

/// Members set to null are absent, however deep, as for Postgres's `jsonb_strip_nulls`.
fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

fn meant(key: &str, keys: &[&str]) -> String {
    keys.iter()
        .map(|known| (strsim::jaro_winkler(known, key), known))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"))
}
