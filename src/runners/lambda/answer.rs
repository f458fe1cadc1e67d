//! What Lambda's answer, or the lack of one, says about an invocation.

use std::time::Duration;

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::settings::Plan;
use crate::job::End;
use crate::runners::aws::{Kind, fault};

/// What became of one call.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// The attempt is over.
    Ended {
        /// Lambda's name for the invocation.
        request_id: String,
        /// How.
        end: End,
    },
    /// Lambda has the event.
    Queued {
        /// Lambda's name for the invocation.
        request_id: String,
    },
    /// Nothing was executed, and asking again may help.
    Busy {
        /// For a person.
        reason: String,
        /// How long Lambda wants to be left alone.
        wait: Option<Duration>,
    },
    /// Nothing was executed: Lambda could not be reached.
    Away(String),
    /// Nothing was executed.
    Refused {
        /// For a person.
        reason: String,
        /// Whether another attempt may fare better.
        retryable: bool,
    },
    /// It may have been executed, or may be running.
    Doubt(String),
}

/// Codes of a function that cannot be executed just now (the API reference of Invoke).
const NOT_NOW: [&str; 12] = [
    "CodeArtifactUserPendingException",
    "EC2ThrottledException",
    "ENILimitReachedException",
    "ENINotReadyException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "SnapStartNotReadyException",
    "SnapStartRegenerationFailureException",
    "SubnetIPAddressLimitReachedException",
];

/// Codes of a function whose surroundings failed before it was executed; the next attempt may find them well.
const NOT_WELL: [&str; 8] = [
    "EC2UnexpectedException",
    "EFSMountConnectivityException",
    "EFSMountTimeoutException",
    "S3FilesMountConnectivityException",
    "S3FilesMountTimeoutException",
    "ServiceQuotaExceededException",
    "SnapStartException",
    "SnapStartTimeoutException",
];

/// Errors of status 502 that stay until a person mends the function or its role. They come from setting up, before the
/// execution.
const BROKEN: [&str; 9] = [
    "EC2AccessDeniedException",
    "InvalidRuntimeException",
    "InvalidSecurityGroupIDException",
    "InvalidSubnetIDException",
    "InvalidZipFileException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
];

/// The function's own file system failed, perhaps under its hands.
const UNDER_ITS_HANDS: &str = "EFSIOException";

/// Characters of words that end up in a message.
const MESSAGE_LIMIT: usize = 2000;

/// Characters of a result that is too large to keep.
const BEGINS: usize = 1000;

/// Understands an error of the call. A call that is not known to have done nothing is in doubt.
pub fn of_error(error: &SdkError<InvokeError, HttpResponse>) -> Answer {
    let fault = fault(error);
    let (code, mut reason) = (fault.code.as_str(), fault.to_string());
    let mut wait = None;
    if let Some(InvokeError::TooManyRequestsException(throttled)) = error.as_service_error() {
        if let Some(why) = throttled.reason() {
            reason = format!("{reason} ({})", why.as_str());
        }
        wait = throttled.retry_after_seconds().and_then(|text| text.parse().ok());
    }
    let wait = wait.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    if code == UNDER_ITS_HANDS {
        return Answer::Doubt(reason);
    }
    if NOT_NOW.contains(&code) {
        return Answer::Busy { reason, wait };
    }
    if NOT_WELL.contains(&code) || BROKEN.contains(&code) {
        return Answer::Refused { reason, retryable: NOT_WELL.contains(&code) };
    }
    match fault.kind {
        Kind::Throttled => Answer::Busy { reason, wait },
        Kind::NotSent => Answer::Away(reason),
        Kind::Refused => Answer::Refused { reason, retryable: false },
        Kind::Unclear => Answer::Doubt(reason),
    }
}

/// Understands an answer. The token is masked wherever the function has let it out.
pub fn of_output(output: &InvokeOutput, plan: &Plan, token: &str, result_limit: usize) -> Answer {
    let request_id = output.request_id().unwrap_or("without a request id").to_owned();
    if !plan.waits() {
        return if plan.settings.fire_and_forget {
            Answer::Ended { request_id, end: End::exited(0) }
        } else {
            Answer::Queued { request_id }
        };
    }
    let body = output.payload().map(|blob| String::from_utf8_lossy(blob.as_ref())).unwrap_or_default();
    let body = mask(&body, token);
    let end = match output.function_error() {
        Some(kind) => End::error(words(kind, &body)),
        None => End { result: result(&body, result_limit), ..End::exited(0) },
    };
    let log = output.log_result().and_then(|encoded| STANDARD.decode(encoded).ok());
    let output = log.map(|bytes| mask_cut(&String::from_utf8_lossy(&bytes), token));
    Answer::Ended { request_id, end: End { output, ..end } }
}

/// `<errorType>: <errorMessage>`, in whatever parts there are.
fn words(kind: &str, body: &str) -> String {
    let error: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |member: &str| error[member].as_str().filter(|text| !text.is_empty());
    let words = match (text("errorType"), text("errorMessage")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (None, Some(message)) => message.to_owned(),
        (Some(kind), None) => kind.to_owned(),
        (None, None) => format!("the function failed ({kind}): {body}"),
    };
    words.chars().take(MESSAGE_LIMIT).collect()
}

/// The answer as the row's result. One too large is cut rather than made a failure: the work is done.
fn result(body: &str, limit: usize) -> Option<Value> {
    if body.len() > limit {
        let begins: String = body.chars().take(BEGINS.min(limit)).collect();
        return Some(json!({ "truncated": true, "bytes": body.len(), "begins": begins }));
    }
    match serde_json::from_str(body) {
        Ok(Value::Null) => None,
        Ok(value) => Some(value),
        Err(_) if body.is_empty() => None,
        Err(_) => Some(Value::String(body.to_owned())),
    }
}

/// What stands in the place of a token.
const MASK: &str = "[masked]";

fn mask(text: &str, token: &str) -> String {
    if token.is_empty() { text.to_owned() } else { text.replace(token, MASK) }
}

/// The same for a text of which only the end is there: it may begin within a token.
fn mask_cut(text: &str, token: &str) -> String {
    let cut = (1..token.len().saturating_sub(3)).find_map(|i| text.strip_prefix(token.get(i..)?));
    match cut {
        Some(rest) => format!("{MASK}{}", mask(rest, token)),
        None => mask(text, token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_the_result() {
        assert_eq!(result(r#"{"made": 3}"#, 100), Some(json!({"made": 3})));
        let digits = r#"{"big":123456789012345678901234567890,"price":1.10}"#;
        assert_eq!(result(digits, 100).map(|result| result.to_string()).as_deref(), Some(digits));
        assert_eq!(result("null", 100), None);
        assert_eq!(result("", 100), None);
        assert_eq!(result("not json", 100), Some(json!("not json")));
        let large = format!("\"{}\"", "x".repeat(5000));
        let cut = result(&large, 2000).unwrap();
        assert_eq!((&cut["truncated"], &cut["bytes"]), (&json!(true), &json!(5002)));
        assert_eq!(cut["begins"].as_str().unwrap().len(), 1000);
    }

    #[test]
    fn a_function_error_is_told_in_its_own_words() {
        assert_eq!(
            words("Unhandled", r#"{"errorType": "ValueError", "errorMessage": "boom"}"#),
            "ValueError: boom"
        );
        let timed_out = r#"{"errorMessage": "2026-01-01T00:00:00Z 7 Task timed out after 3.00 seconds"}"#;
        assert!(words("Unhandled", timed_out).ends_with("Task timed out after 3.00 seconds"));
        assert_eq!(words("Handled", "[1]"), "the function failed (Handled): [1]");
    }

    #[test]
    fn a_token_is_masked_also_where_the_log_was_cut_within_it() {
        let token = "0123456789abcdef";
        assert_eq!(mask_cut("x 0123456789abcdef y", token), "x [masked] y");
        assert_eq!(mask_cut("89abcdef y 0123456789abcdef", token), "[masked] y [masked]");
        assert_eq!(mask_cut("ef y", token), "ef y");
    }
}
