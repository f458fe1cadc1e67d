//! The words in which ECS explains itself, as far as they change what must be done. Collected from the API's
//! documentation and from what users of other launchers have reported; a sentence that is not here is taken for
//! something that may pass.

use crate::job::Cause;

/// Words of reasons that a new attempt would only meet again.
const PERMANENT: &[&str] = &[
    // Images.
    "manifest unknown",
    "not found",
    "pull access denied",
    "repository does not exist",
    "no basic auth credentials",
    "invalid reference format",
    "image manifest does not contain descriptor matching platform",
    "no such image",
    // Secrets, roles, log groups.
    "accessdenied",
    "access denied",
    "is not authorized to perform",
    "resourcenotfoundexception",
    "can't find the specified secret",
    "invalid ssm parameters",
    "did not contain json key",
    "ecs was unable to assume the role",
    "log group does not exist",
    // Commands.
    "no such file or directory",
    "executable file not found",
    "permission denied",
    "exec format error",
];

/// Words that make any of the above a matter of luck after all.
const PASSING: &[&str] = &[
    "timeout",
    "timed out",
    "deadline exceeded",
    "connection reset",
    "connection refused",
    "temporary failure",
    "rate exceeded",
    "toomanyrequests",
    "throttl",
    "unexpected eof",
    "internal server error",
    "service unavailable",
];

/// Whether a new attempt would only meet the same again.
pub fn is_permanent(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    says(PERMANENT) && !says(PASSING)
}

/// The cause of a task that never ran, by the words that ECS has for it.
pub fn why_not_started(reason: &str) -> Cause {
    if reason.contains("CannotPull") || reason.contains("pull image") {
        return Cause::Image;
    }
    if is_spot(reason) || is_host(reason) {
        return Cause::Reclaimed;
    }
    let no_room =
        ["RESOURCE:", "EMPTY CAPACITY PROVIDER", "Capacity is unavailable", "InsufficientFreeAddresses"];
    if no_room.iter().any(|words| reason.contains(words)) { Cause::NoCapacity } else { Cause::NotStarted }
}

/// Whether Spot took the task back.
pub fn is_spot(stopped_reason: &str) -> bool {
    stopped_reason.starts_with("Your Spot Task was interrupted")
        || stopped_reason.contains("Spot interruption")
}

/// Whether the machine under the task went away: `Host EC2 (instance i-…) stopped.` or `… terminated.`
pub fn is_host(stopped_reason: &str) -> bool {
    stopped_reason.starts_with("Host EC2")
        && (stopped_reason.contains("stopped") || stopped_reason.contains("terminated"))
}

/// What one of the `failures[]` of RunTask means for a new attempt. These are the words of `reason`.
pub fn may_be_placed_later(reason: &str) -> bool {
    // Where nothing fits, nothing will: the zone of the instances, their attributes, the constraints.
    let stays = ["LOCATION", "ATTRIBUTE", "MemberOf"];
    !stays.iter().any(|word| reason.starts_with(word))
}

/// Whether an error of RunTask passes by itself although it is no throttling: quotas, credentials being renewed,
/// a clock that is being set.
pub fn passes(code: &str, message: &str) -> bool {
    let codes = [
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "IncompleteSignature",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "LimitExceededException",
    ];
    let words = ["PROVISIONING", "reached the limit on the number of", "Capacity is unavailable"];
    codes.contains(&code) || words.iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_failures_that_pass_are_told_from_those_that_stay() {
        let pass = [
            "Timeout waiting for network interface provisioning to complete.",
            "Timeout waiting for EphemeralStorage provisioning to complete.",
            "CannotPullContainerError: Error response from daemon: Get https://registry.example/v2/: net/http: request canceled (i/o timeout)",
            "CannotPullContainerError: unexpected EOF",
            "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-1': AuthFailure",
            "InsufficientFreeAddressesInSubnet",
            "Task provisioning failed.",
            "TaskFailedToStart: RESOURCE:MEMORY",
            "TaskFailedToStart: AGENT",
            "TaskFailedToStart: EMPTY CAPACITY PROVIDER",
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: context deadline exceeded",
            "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit",
            "",
        ];
        let stay = [
            "CannotPullContainerError: pull access denied for loader, repository does not exist or may require authorization",
            "CannotPullContainerError: manifest unknown: Requested image not found",
            "ResourceInitializationError: unable to pull secrets or registry auth: AccessDeniedException: User is not authorized to perform: secretsmanager:GetSecretValue",
            "ResourceInitializationError: unable to pull secrets: ResourceNotFoundException: Secrets Manager can't find the specified secret.",
            "CannotStartContainerError: exec: \"nope\": executable file not found in $PATH",
            "ResourceInitializationError: failed to validate logger args: The specified log group does not exist.",
        ];
        assert_eq!(why_not_started(pass[2]), Cause::Image);
        assert_eq!(why_not_started(pass[7]), Cause::NoCapacity);
        assert_eq!(why_not_started(pass[0]), Cause::NotStarted);
        for reason in pass {
            assert!(!is_permanent(reason), "{reason}");
        }
        for reason in stay {
            assert!(is_permanent(reason), "{reason}");
        }
    }
}
