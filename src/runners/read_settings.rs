//! Settings of a task, read strictly: a mistyped key is named and never ignored.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::settings::did_you_mean;

/// Reads the settings of this runner, which has these keys. A key set to null counts as absent, so that a row can take
/// back what the defaults say; `free` is the one key whose value is the task's own, nulls and all.
pub fn read<T: DeserializeOwned>(
    settings: &Value,
    runner: &str,
    keys: &[&str],
    free: Option<&str>,
) -> Result<T, String> {
    let mut settings = settings.clone();
    let Some(map) = settings.as_object_mut() else {
        return Err("settings must be an object".to_owned());
    };
    map.retain(|_, value| !value.is_null());
    map.iter_mut().filter(|(key, _)| Some(key.as_str()) != free).for_each(|(_, value)| strip_nulls(value));
    if let Some(key) = map.keys().find(|key| !keys.contains(&key.as_str())) {
        let meant = did_you_mean(key, keys.iter().copied());
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
