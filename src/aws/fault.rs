//! What an error of an AWS call says about the call: was it refused, is it too much just now, or is nothing known.

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use hyper_util::client::legacy::Error as Connecting;

/// What is known of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was never sent: no credentials, no connection, a request the SDK itself cannot make.
    NotSent,
    /// It was not done, because there is too much to do.
    Throttled,
    /// It was not done.
    Refused,
    /// It may have been done: no answer, an unreadable one, or an error of the service itself.
    Unclear,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is known.
    pub kind: Kind,
    /// The service's name for the error; empty where it never answered.
    pub code: String,
    /// For a person.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.code.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.code, self.message)
        }
    }
}

/// Codes of throttling (the SDK's list, and those that single services add).
const THROTTLES: [&str; 12] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Throttling of what stands behind a service, which passes it on as an error of the caller.
const DISGUISES: [&str; 4] =
    ["ErrorCode: Throttling", "ErrorCode: RequestLimitExceeded", "Rate exceeded", "Request limit exceeded"];

/// Understands an error.
pub fn fault<E>(error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let silent = |kind| Fault { kind, code: String::new(), message: DisplayErrorContext(error).to_string() };
    match error {
        SdkError::ConstructionFailure(_) => silent(Kind::NotSent),
        SdkError::DispatchFailure(failure) => {
            // Of anything else it is not certain: a connection that is closed politely after the call was sent is neither of network nor timeout.
            silent(if failure.is_user() || never_sent(error) { Kind::NotSent } else { Kind::Unclear })
        }
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or_default().to_owned();
            let message = answer.err().message().unwrap_or_default().to_owned();
            let status = answer.raw().status().as_u16();
            let throttled = status == 429
                || THROTTLES.contains(&code.as_str())
                || DISGUISES.iter().any(|text| message.contains(text));
            let kind = match status {
                _ if throttled => Kind::Throttled,
                500.. => Kind::Unclear,
                _ => Kind::Refused,
            };
            let message =
                if code.is_empty() && message.is_empty() { format!("HTTP {status}") } else { message };
            Fault { kind, code, message }
        }
        _ => silent(Kind::Unclear),
    }
}

/// Whether not even a connection was made, or there was nothing to sign the call with.
fn never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(e) = cause {
        // Names that cannot be resolved, handshakes that fail, hosts that do not answer.
        if e.downcast_ref::<Connecting>().is_some_and(Connecting::is_connect) || e.is::<CredentialsError>() {
            return true;
        }
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        cause = e.source();
    }
    false
}
