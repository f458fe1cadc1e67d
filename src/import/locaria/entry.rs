//! One function's entry in a configuration of Locaria, read strictly: an error names the full path of a wrong member.

use serde_json::{Map, Value};

/// `fargate_config.file_loader` and what stands there.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The row of Locaria's parameters: `fargate_config`, `lambda_config`, `email_config`.
    pub config: &'static str,
    /// The function's name.
    pub name: String,
    /// What stands there.
    pub value: Value,
}

impl Entry {
    /// Where it stands, for a person.
    pub fn place(&self) -> String {
        format!("{}.{}", self.config, self.name)
    }

    /// It must be an object.
    pub fn object(&self) -> Result<&Map<String, Value>, String> {
        self.value.as_object().ok_or_else(|| {
            format!("{} must be an object of settings, and is {}", self.place(), shown(&self.value))
        })
    }

    /// A member that must be a string that says something, if it is there.
    pub fn text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.object()?.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(other) => Err(format!(
                "{}.{key} must be a string that is not empty, and is {}",
                self.place(),
                shown(other)
            )),
        }
    }

    /// The same, and it must be there.
    pub fn needed(&self, key: &str, what: &str) -> Result<&str, String> {
        self.text(key)?.ok_or_else(|| format!("{}.{key} is missing: {what}", self.place()))
    }

    /// The members that are not among these.
    pub fn rest(&self, taken: &[&str]) -> Result<Map<String, Value>, String> {
        let members = self.object()?.iter().filter(|(key, _)| !taken.contains(&key.as_str()));
        Ok(members.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// A value for an error: short, whatever it is.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 80 { format!("{}…", text.chars().take(79).collect::<String>()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let entry = |value| Entry { config: "fargate_config", name: "file_loader".into(), value };
        let bad = entry(json!({"task": 7, "ecsName": " ", "region": null}));
        assert_eq!(
            bad.needed("task", "x").unwrap_err(),
            "fargate_config.file_loader.task must be a string that is not empty, and is 7"
        );
        assert!(bad.text("ecsName").unwrap_err().contains("file_loader.ecsName must be a string"), "{bad:?}");
        assert_eq!(bad.text("region"), Ok(None));
        assert_eq!(
            bad.needed("region", "where").unwrap_err(),
            "fargate_config.file_loader.region is missing: where"
        );
        let long = entry(json!(["x".repeat(100)]));
        let error = long.object().unwrap_err();
        assert!(
            error.starts_with("fargate_config.file_loader must be an object of settings, and is [\"xx"),
            "{error}"
        );
        assert!(error.chars().count() < 160, "{error}");
    }
}
