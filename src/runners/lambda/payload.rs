//! The event that a function gets.

use serde_json::{Map, Value, json};

use super::settings::{OWN_MEMBER, Plan};
use crate::job::JobId;
use crate::parameters::LaunchSpec;
use crate::runners::Attempt;
use crate::runners::aws::has_password;

/// What Lambda takes, in bytes: where it waits for the answer, and where it queues the event.
const LIMITS: (usize, usize) = (6_291_556, 1_048_576);

/// Whose attempt it is: what becomes the member `rowcall`.
#[derive(Debug)]
struct Identity<'a> {
    job: JobId,
    attempt: i32,
    task: &'a str,
    token: &'a str,
    database_url: Option<&'a str>,
}

/// The event of an attempt as bytes; too large a one is refused.
pub fn event(attempt: &Attempt, contract: &[(String, String)], plan: &Plan) -> Result<Vec<u8>, String> {
    let find =
        |wanted: &str| contract.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let identity = Identity {
        job: attempt.job_id,
        attempt: attempt.number,
        task: &attempt.task,
        token: find("ROWCALL_TOKEN").unwrap_or_default(),
        // An event can be read by many: queues, traces, logs. Passwords come from the function's configuration.
        database_url: find("ROWCALL_DATABASE_URL").filter(|url| !has_password(url)),
    };
    limited(&build(&attempt.request, &plan.settings.payload, &identity), plan)
}

/// Refuses a request whose event will be too large, as far as that can be known before there is an attempt.
pub fn check(request: &LaunchSpec, plan: &Plan) -> Result<(), String> {
    let (task, token) = ("x".repeat(63), "x".repeat(43));
    let identity = Identity {
        job: JobId::new(i64::MAX),
        attempt: i32::MAX,
        task: &task,
        token: &token,
        database_url: None,
    };
    limited(&build(request, &plan.settings.payload, &identity), plan).map(drop)
}

fn limited(event: &Value, plan: &Plan) -> Result<Vec<u8>, String> {
    let event = event.to_string().into_bytes();
    let (limit, mode) = if plan.waits() { (LIMITS.0, "RequestResponse") } else { (LIMITS.1, "Event") };
    if event.len() > limit {
        return Err(format!("the event has {} bytes; Lambda takes {limit} in mode {mode}", event.len()));
    }
    Ok(event)
}

fn build(request: &LaunchSpec, payload: &Map<String, Value>, identity: &Identity<'_>) -> Value {
    let mut event = Map::new();
    if !request.command.is_empty() {
        event.insert("command".to_owned(), json!(request.command));
    }
    if !request.environment.is_empty() {
        event.insert("environment".to_owned(), json!(request.environment));
    }
    if request.values.as_object().is_some_and(|values| !values.is_empty()) {
        event.insert("values".to_owned(), request.values.clone());
    }
    event.extend(payload.clone());
    let mut own = json!({
        "job": identity.job,
        "attempt": identity.attempt,
        "task": identity.task,
        "token": identity.token,
    });
    if let Some(url) = identity.database_url {
        own["database_url"] = json!(url);
    }
    event.insert(OWN_MEMBER.to_owned(), own);
    Value::Object(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runners::lambda::tests::{attempt, request};

    fn built(settings: Value, url: &str) -> Value {
        let mut request = request("loader", settings);
        request.command = vec!["a".into()];
        request.environment = [("A".to_owned(), "b".to_owned())].into();
        request.values = json!({"bucket": "x"});
        let plan = Plan::read(&request).unwrap();
        let contract =
            [("ROWCALL_TOKEN", "t0ken"), ("ROWCALL_DATABASE_URL", url)].map(|(n, v)| (n.into(), v.into()));
        serde_json::from_slice(&event(&attempt(request), &contract, &plan).unwrap()).unwrap()
    }

    #[test]
    fn the_event_tells_who_asks_and_for_what() {
        let url = "postgresql://tasks@db/files";
        assert_eq!(
            built(json!({"payload": {"bucket": "y", "command": "mine"}}), url),
            json!({
                "rowcall": {"job": 1, "attempt": 1, "task": "task", "token": "t0ken", "database_url": url},
                "command": "mine",
                "environment": {"A": "b"},
                "values": {"bucket": "x"},
                "bucket": "y",
            })
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        let digits =
            r#"{"big":123456789012345678901234567890,"price":1.10,"tiny":0.000000000000000000000000000001}"#;
        let payload: Value = serde_json::from_str(digits).unwrap();
        let sent = built(json!({"payload": {"own": payload}}), "");
        assert_eq!(sent["own"].to_string(), digits);
    }

    #[test]
    fn a_password_is_not_sent() {
        for url in ["postgresql://tasks:secret@db/files", "host=db password=secret", ""] {
            let own = built(json!({}), url)["rowcall"].clone();
            assert!(url.is_empty() || own.get("database_url").is_none(), "{own}");
        }
    }

    #[test]
    fn a_url_that_only_libpq_knows_is_sent() {
        for url in
            ["postgresql://tasks@db/files?sslmode=verify-full", "postgresql://tasks@db/files?auth=rds-iam"]
        {
            assert_eq!(built(json!({}), url)["rowcall"]["database_url"], url);
        }
    }

    #[test]
    fn each_mode_has_its_own_limit() {
        let large = |mode: &str, bytes: usize| {
            let request = request("loader", json!({"mode": mode, "payload": {"x": "x".repeat(bytes)}}));
            check(&request, &Plan::read(&request).unwrap())
        };
        assert_eq!(large("RequestResponse", 6_000_000), Ok(()));
        assert!(large("RequestResponse", 6_291_556).unwrap_err().contains("6291556 in mode RequestResponse"));
        assert_eq!(large("Event", 1_000_000), Ok(()));
        assert!(large("Event", 1_048_576).unwrap_err().contains("1048576 in mode Event"));
    }
}
