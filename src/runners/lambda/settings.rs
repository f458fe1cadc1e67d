//! `parameters.target` and `parameters.settings` of a Lambda task: read strictly.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::job::Completion;
use crate::parameters::LaunchSpec;
use crate::runners::read_settings;

/// What a parameters row (merged over `runner_defaults`) says about an invocation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct FunctionSettings {
    pub mode: Mode,
    pub qualifier: Option<String>,
    pub region: Option<String>,
    pub fire_and_forget: bool,
    pub payload: Map<String, Value>,
    pub log: bool,
}

impl Default for FunctionSettings {
    fn default() -> Self {
        Self {
            mode: Mode::RequestResponse,
            qualifier: None,
            region: None,
            fire_and_forget: false,
            payload: Map::new(),
            log: true,
        }
    }
}

/// Lambda's two ways to invoke, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Mode {
    /// Wait for the function's answer.
    RequestResponse,
    /// Leave the event in Lambda's queue.
    Event,
}

/// The keys, for telling which there are; `sql/functions/api/inspect/settings_keys.sql` has the same.
pub const KEYS: [&str; 6] = ["mode", "qualifier", "region", "fire_and_forget", "payload", "log"];

/// The member of the event that is ours.
pub const OWN_MEMBER: &str = "rowcall";

/// An invocation as a request asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The settings.
    pub settings: FunctionSettings,
    /// The function's bare name.
    pub name: String,
    /// The target, with the qualifier wherever it was given: what rules are matched against.
    pub as_written: String,
    /// Where to invoke it, if not in the daemon's own region.
    pub region: Option<String>,
}

impl Plan {
    /// Reads and checks. A key set to null counts as absent, so that a row can take back what the defaults say.
    pub fn read(request: &LaunchSpec) -> Result<Self, String> {
        let settings = read_own(&request.settings)?;
        let function = Function::read(&request.target)?;
        let as_written = match (&function.qualifier, &settings.qualifier) {
            (Some(_), Some(_)) => {
                return Err(format!("settings.qualifier: {} has a qualifier already", request.target));
            }
            (None, Some(qualifier)) => format!("{}:{qualifier}", request.target),
            _ => request.target.clone(),
        };
        let region = match (function.region, &settings.region) {
            (Some(of_arn), Some(region)) if of_arn != *region => {
                return Err(format!("settings.region is {region}, and the target is in {of_arn}"));
            }
            (of_arn, region) => region.clone().or(of_arn),
        };
        if settings.fire_and_forget && request.completion == Completion::Report {
            return Err("settings.fire_and_forget does not wait for a report: set completion to exit".into());
        }
        Ok(Self { settings, name: function.name, as_written, region })
    }

    /// Whether the function's answer is the end.
    pub fn waits(&self) -> bool {
        self.settings.mode == Mode::RequestResponse
    }
}

/// Reads and checks what a row and the defaults of its runner say.
pub fn read_own(settings: &Value) -> Result<FunctionSettings, String> {
    let mut read: FunctionSettings = read_settings::read(settings, "lambda", &KEYS, Some("payload"))?;
    // Read as a type, 0.000001 would come back as 1e-6: the payload is sent as it is spelled.
    read.payload = settings.get("payload").and_then(Value::as_object).cloned().unwrap_or_default();
    if read.fire_and_forget && read.mode != Mode::Event {
        return Err("settings.fire_and_forget needs settings.mode \"Event\"".to_owned());
    }
    if read.payload.contains_key(OWN_MEMBER) {
        return Err(format!("settings.payload.{OWN_MEMBER}: this member is set by the dispatcher"));
    }
    if read.qualifier.as_deref().is_some_and(|qualifier| !is_qualifier(qualifier)) {
        return Err("settings.qualifier must be an alias, a version's number, or $LATEST".to_owned());
    }
    if read.region.as_deref().is_some_and(|region| !is_word(region)) {
        return Err("settings.region must be a region's name, such as eu-west-1".to_owned());
    }
    Ok(read)
}

struct Function {
    name: String,
    qualifier: Option<String>,
    region: Option<String>,
}

impl Function {
    /// `name`, `account:function:name` or an ARN; each may end in `:qualifier`.
    fn read(target: &str) -> Result<Self, String> {
        let parts: Vec<&str> = target.split(':').collect();
        let (region, name, qualifier) = match parts[..] {
            [name] | [_, "function", name] => (None, name, None),
            [name, qualifier] | [_, "function", name, qualifier] => (None, name, Some(qualifier)),
            ["arn", _, "lambda", region, _, "function", name] => (Some(region), name, None),
            ["arn", _, "lambda", region, _, "function", name, qualifier] => {
                (Some(region), name, Some(qualifier))
            }
            _ => ("".into(), "", None),
        };
        let sound = is_word(name)
            && qualifier.is_none_or(is_qualifier)
            && region.is_none_or(is_word)
            && parts.iter().all(|part| !part.is_empty());
        if !sound {
            return Err(format!(
                "target {target:?} is not a function: the form is name, name:qualifier, or an ARN of either"
            ));
        }
        Ok(Self { name: name.into(), qualifier: qualifier.map(Into::into), region: region.map(Into::into) })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn is_qualifier(text: &str) -> bool {
    text.len() <= 128 && is_word(text.strip_prefix('$').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runners::lambda::tests::request;
    use serde_json::json;

    fn read(target: &str, settings: Value) -> Result<Plan, String> {
        Plan::read(&request(target, settings))
    }

    #[test]
    fn a_function_may_be_named_in_every_form_that_lambda_takes() {
        for (target, name, region) in [
            ("loader", "loader", None),
            ("loader:live", "loader", None),
            ("123456789012:function:loader:7", "loader", None),
            ("arn:aws:lambda:eu-west-1:123456789012:function:loader", "loader", Some("eu-west-1")),
            ("arn:aws-cn:lambda:cn-north-1:1:function:loader:$LATEST", "loader", Some("cn-north-1")),
        ] {
            let plan = read(target, json!({})).unwrap();
            assert_eq!((plan.name.as_str(), plan.region.as_deref()), (name, region), "{target}");
        }
        for target in ["", "a b", "a:", "arn:aws:ecs:eu-west-1:1:cluster/x", "a:b:c:d:e", ":a"] {
            let error = read(target, json!({})).unwrap_err();
            assert!(error.contains("name:qualifier"), "{target}: {error}");
        }
    }

    #[test]
    fn a_wrong_setting_is_refused_by_its_name() {
        let cases = [
            (
                json!({"mod": "Event"}),
                "settings.mod: the lambda runner has no such setting; did you mean mode?",
            ),
            (json!({"mode": "Sync"}), "settings.mode: unknown variant `Sync`, expected `RequestResponse` or"),
            (json!({"payload": [1]}), "settings.payload: "),
            (json!({"payload": {"rowcall": 1}}), "settings.payload.rowcall: "),
            (json!({"fire_and_forget": true}), "settings.fire_and_forget needs settings.mode \"Event\""),
            (json!({"qualifier": "a b"}), "settings.qualifier must be"),
            (json!({"region": ""}), "settings.region must be"),
        ];
        for (settings, words) in cases {
            let error = read("loader", settings).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
        let error = read("loader:live", json!({"qualifier": "7"})).unwrap_err();
        assert!(error.starts_with("settings.qualifier: loader:live has"), "{error}");
        assert_eq!(read("loader", json!({"mode": null})).unwrap().settings, FunctionSettings::default());
    }
}
