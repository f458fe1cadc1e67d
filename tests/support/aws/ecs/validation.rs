//! What AWS refuses before it does anything. Where its words are known they are these; the codes are.

use serde_json::Value;

use super::super::{Refusal, text};

/// The ids of `DescribeTasks`.
pub fn tasks(body: &Value) -> Result<Vec<&str>, Refusal> {
    let tasks = body["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    match tasks.len() {
        0 => Err(Refusal::invalid("Tasks cannot be empty.")),
        1..=100 => Ok(tasks.iter().filter_map(Value::as_str).collect()),
        _ => Err(Refusal::invalid("Tasks can have at most 100 items.")),
    }
}

/// The parameters of `RunTask`, with the definition they name.
pub fn run_task(body: &Value, definition: &Value) -> Result<(), Refusal> {
    let rules = [
        (count(body), "count must be between 1 and 10."),
        (started_by(text(body, "startedBy")), "startedBy must match [A-Za-z0-9/_-] and have at most 128."),
        (client_token(text(body, "clientToken")), "clientToken must be 1 to 64 of ASCII 33 to 126."),
        (length(&body["overrides"]) <= 8192, "Container Overrides length must be at most 8192"),
        (
            body["launchType"].is_null() || list(body, "capacityProviderStrategy").is_empty(),
            "Specifying both a launch type and capacity provider strategy is not supported. \
             Remove one and try again.",
        ),
        (text(body, "propagateTags") != "SERVICE", "SERVICE is not a valid value for propagateTags."),
        (list(body, "tags").len() <= 50, "Tags can have at most 50 items."),
        (list(body, "tags").iter().all(tag), "Some tags contain invalid characters."),
    ];
    if let Some((_, words)) = rules.iter().find(|(kept, _)| !kept) {
        return Err(Refusal::invalid(words));
    }
    network(body, definition)?;
    for container in list(&body["overrides"], "containerOverrides") {
        let name = text(container, "name");
        if !list(definition, "containerDefinitions").iter().any(|known| known["name"] == name) {
            let words =
                format!("Override for container named {name} is not a container in the TaskDefinition.");
            return Err(Refusal::invalid(&words));
        }
    }
    Ok(())
}

fn network(body: &Value, definition: &Value) -> Result<(), Refusal> {
    let given = body["networkConfiguration"]["awsvpcConfiguration"]["subnets"].is_array();
    let words = match (text(definition, "networkMode") == "awsvpc", given) {
        (true, false) => "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        (false, true) => {
            "Network Configuration is not valid for the given networkMode of this task definition."
        }
        _ => return Ok(()),
    };
    Err(Refusal::invalid(words))
}

fn count(body: &Value) -> bool {
    body["count"].is_null() || body["count"].as_i64().is_some_and(|count| (1..=10).contains(&count))
}

fn started_by(text: &str) -> bool {
    text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-".contains(c))
}

fn client_token(token: &str) -> bool {
    token.len() <= 64 && token.bytes().all(|byte| (33..=126).contains(&byte))
}

fn tag(tag: &Value) -> bool {
    let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c));
    let (key, value) = (text(tag, "key"), text(tag, "value"));
    (1..=128).contains(&key.chars().count())
        && value.chars().count() <= 256
        && !key.to_lowercase().starts_with("aws:")
        && allowed(key)
        && allowed(value)
}

/// In characters of JSON, as AWS counts.
fn length(overrides: &Value) -> usize {
    if overrides.is_null() { 0 } else { overrides.to_string().chars().count() }
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map(Vec::as_slice).unwrap_or_default()
}
