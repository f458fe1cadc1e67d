//! What an error of S3 means for the attempt.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::aws::fault::fault;
use crate::task::failure::Failure;

/// For an answer's beginning, all tries together. Without it a server that takes calls and never answers is waited
/// for without end.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Codes of what will be the same the next time, with more about it where S3's own words leave one alone.
const LASTING: [(&str, &str); 10] = [
    ("NoSuchKey", ""),
    ("NotFound", ""),
    ("NoSuchBucket", ""),
    ("InvalidBucketName", ""),
    (
        "AccessDenied",
        " (S3 says so of an object that does not exist too, to those who lack s3:ListBucket on its bucket)",
    ),
    ("AllAccessDisabled", ""),
    ("InvalidObjectState", " (it is archived, and must be restored first)"),
    ("PermanentRedirect", " (the bucket is in another region: set AWS_REGION to that)"),
    ("AuthorizationHeaderMalformed", " (perhaps the bucket is in another region: set AWS_REGION to that)"),
    ("EntityTooLarge", ""),
];

/// A call that was not done.
#[derive(Debug)]
pub struct Fault {
    /// S3's name for the error; empty where it never answered.
    pub code: String,
    /// In S3's words, or the SDK's.
    pub message: String,
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let known = fault(&error);
        Self { message: known.to_string(), code: known.code }
    }
}

impl Fault {
    /// For the report: what could not be done, and why.
    pub fn failure(&self, what: &str) -> Failure {
        let lasting = LASTING.iter().find(|(code, _)| *code == self.code);
        let more = lasting.map_or("", |(_, more)| more);
        Failure { message: format!("{what}: {}{more}", self.message), retry: lasting.is_none() }
    }
}

/// A call whose answer must begin in this time.
pub fn within<T, E>(
    patience: Duration,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> impl Future<Output = Result<T, Fault>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    // The SDK's calls are many kilobytes each.
    let call = Box::pin(call);
    async move {
        match tokio::time::timeout(patience, call).await {
            Ok(answer) => answer.map_err(Fault::from),
            Err(_) => Err(Fault { code: String::new(), message: format!("no answer within {patience:?}") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_the_same_is_not_tried_again() {
        for (code, retry) in [("NoSuchKey", false), ("AccessDenied", false), ("SlowDown", true), ("", true)] {
            let fault = Fault { code: code.to_owned(), message: "so it is".to_owned() };
            let failure = fault.failure("s3://b/x cannot be fetched");
            assert_eq!(failure.retry, retry, "{code}");
            assert!(failure.message.starts_with("s3://b/x cannot be fetched: so it is"));
        }
    }
}
