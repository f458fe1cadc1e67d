//! CloudWatch Logs, to read from.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::wire::{Answer, Call, Refusal};
use super::{Outcome, ScriptedAws, text, unknown_action};

/// Groups, their streams, and the lines in them.
#[derive(Debug, Default)]
pub struct Logs(HashMap<String, HashMap<String, Vec<Value>>>);

impl Logs {
    pub fn perform(&self, call: &Call) -> Outcome {
        if call.action != "GetLogEvents" {
            return unknown_action(call);
        }
        let body = call.json();
        let missing = |what| {
            let words = format!("The specified log {what} does not exist.");
            Refusal::new(400, "ResourceNotFoundException", &words)
        };
        let streams = self.0.get(text(&body, "logGroupName")).ok_or_else(|| missing("group"))?;
        let lines = streams.get(text(&body, "logStreamName")).ok_or_else(|| missing("stream"))?;
        let limit = body["limit"].as_u64().unwrap_or(10_000) as usize;
        if !(1..=10_000).contains(&limit) {
            return Err(Refusal::invalid("limit must be between 1 and 10000"));
        }
        let place = |token: &str| token[2..].parse::<usize>().unwrap_or_default().min(lines.len());
        let (from, to) = match text(&body, "nextToken") {
            "" if body["startFromHead"] == true => (0, limit.min(lines.len())),
            "" => (lines.len().saturating_sub(limit), lines.len()),
            token if token.starts_with("f/") => (place(token), (place(token) + limit).min(lines.len())),
            token => (place(token).saturating_sub(limit), place(token)),
        };
        Ok(Answer::ok(&json!({
            "events": lines[from..to],
            "nextForwardToken": format!("f/{to}"), "nextBackwardToken": format!("b/{from}"),
        })))
    }
}

impl ScriptedAws {
    /// Adds lines to a stream, which there is from then on, as is its group.
    pub fn log(&self, group: &str, stream: &str, lines: &[&str]) {
        self.change(|state| {
            let now = state.ecs.now.as_millis() as u64;
            let streams = state.logs.0.entry(group.to_owned()).or_default();
            let events =
                lines.iter().map(|line| json!({ "timestamp": now, "ingestionTime": now, "message": line }));
            streams.entry(stream.to_owned()).or_default().extend(events);
        });
    }
}
