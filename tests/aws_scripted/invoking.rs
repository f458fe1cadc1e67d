//! Lambda: what was executed, and what was said.

use std::sync::Arc;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::operation::invoke::builders::InvokeFluentBuilder;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType, ThrottleReason};
use base64::Engine;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::aws::{Fault, Reply, ScriptedAws};

async fn aws() -> ScriptedAws {
    let aws = ScriptedAws::start().await;
    aws.add_function("load", &[("live", "7")]);
    aws
}

fn invoke(aws: &ScriptedAws) -> InvokeFluentBuilder {
    aws.lambda().invoke().function_name("load").payload(Blob::new(r#"{"job":1}"#))
}

#[tokio::test]
async fn a_function_answers_with_payload_version_and_log_tail() {
    let aws = aws().await;
    aws.reply("load", [Reply::returns(json!({ "rows": 3 })).logging("START\nEND\n")]);
    let answer = invoke(&aws).qualifier("live").log_type(LogType::Tail).send().await.unwrap();
    assert_eq!((answer.status_code(), answer.executed_version()), (200, Some("7")));
    let payload: Value = serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap();
    assert_eq!(payload, json!({ "rows": 3 }));
    let log = base64::engine::general_purpose::STANDARD.decode(answer.log_result().unwrap()).unwrap();
    assert_eq!(log, b"START\nEND\n");
    assert!(answer.function_error().is_none());
    let told = &aws.invocations("load")[0];
    assert_eq!((told.kind.as_str(), told.log_type.as_str()), ("RequestResponse", "Tail"));
    assert_eq!((told.qualifier.as_deref(), &told.payload), (Some("live"), &json!({ "job": 1 })));
    assert_eq!(aws.executed("load"), 1);
}

#[tokio::test]
async fn a_function_that_fails_answers_200_all_the_same() {
    let aws = aws().await;
    aws.reply("load", [Reply::unhandled("Task timed out after 3.00 seconds"), Reply::handled("no file")]);
    for (kind, words) in [("Unhandled", "timed out"), ("Handled", "no file")] {
        let answer = invoke(&aws).send().await.unwrap();
        assert_eq!((answer.status_code(), answer.function_error()), (200, Some(kind)));
        assert!(answer.log_result().is_none());
        let payload: Value = serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap();
        assert!(payload["errorMessage"].as_str().unwrap().contains(words));
    }
    assert_eq!(aws.executed("load"), 2);
}

#[tokio::test]
async fn an_event_is_taken_and_a_dry_run_only_checked() {
    let aws = aws().await;
    for (kind, status, executed) in [(InvocationType::DryRun, 204, 0), (InvocationType::Event, 202, 1)] {
        let answer = invoke(&aws).invocation_type(kind).send().await.unwrap();
        assert_eq!((answer.status_code(), aws.executed("load")), (status, executed));
    }
}

#[tokio::test]
async fn a_function_has_many_names() {
    let aws = aws().await;
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:load";
    for name in ["load", "load:live", arn, &format!("{arn}:live"), "123456789012:function:load"] {
        aws.lambda().invoke().function_name(name).send().await.unwrap();
    }
    let qualifiers: Vec<_> = aws.invocations("load").into_iter().map(|call| call.qualifier).collect();
    let live = Some("live".to_owned());
    assert_eq!(qualifiers, [None, live.clone(), None, live, None]);
}

#[tokio::test]
async fn too_many_requests_say_why_and_when_to_come_again() {
    let aws = aws().await;
    let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
    aws.reply("load", [Reply::Fault(Fault::too_many_requests(reason, 3))]);
    let error = invoke(&aws).send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 429);
    let InvokeError::TooManyRequestsException(told) = error.into_service_error() else { panic!("no 429") };
    assert_eq!(told.retry_after_seconds(), Some("3"));
    assert_eq!(told.reason(), Some(&ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded));
    assert_eq!(aws.executed("load"), 0);
    assert_eq!(invoke(&aws).send().await.unwrap().status_code(), 200);
}

#[tokio::test]
async fn refusals_arrive_with_status_and_code_and_execute_nothing() {
    let aws = aws().await;
    let refusals = [
        (403, "AccessDeniedException"),
        (409, "ResourceConflictException"),
        (500, "ServiceException"),
        (502, "EC2ThrottledException"),
        (502, "ENILimitReachedException"),
    ];
    for (status, code) in refusals {
        aws.reply("load", [Reply::Fault(Fault::error(status, code, "words"))]);
        let error = invoke(&aws).send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert_eq!((error.code(), error.message()), (Some(code), Some("words")));
    }
    let calls = [
        (invoke(&aws).function_name("nope"), 404, "ResourceNotFoundException"),
        (invoke(&aws).qualifier("nope"), 404, "ResourceNotFoundException"),
        (invoke(&aws).payload(Blob::new("{")), 400, "InvalidRequestContentException"),
        (invoke(&aws).payload(large(6 << 20)), 413, "RequestTooLargeException"),
        (
            invoke(&aws).payload(large(1 << 20)).invocation_type(InvocationType::Event),
            413,
            "RequestTooLargeException",
        ),
    ];
    for (call, status, code) in calls {
        let error = call.send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status, "{code}");
        assert_eq!(error.code(), Some(code));
    }
    assert_eq!(aws.executed("load"), 0);
}

/// A string that is too large by its quotes.
fn large(size: usize) -> Blob {
    Blob::new(format!("\"{}\"", "x".repeat(size)))
}

#[tokio::test]
async fn an_answer_may_get_lost_after_the_execution() {
    let aws = aws().await;
    aws.reply("load", [Reply::Fault(Fault::DoneThenReset), Reply::returns(json!(5))]);
    let error = invoke(&aws).send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(aws.executed("load"), 1);
    let answer = invoke(&aws).send().await.unwrap();
    assert_eq!((answer.payload().unwrap().as_ref(), aws.executed("load")), (b"5".as_slice(), 2));
}

#[tokio::test]
async fn a_function_may_take_as_long_as_the_test_wants() {
    let aws = aws().await;
    let gate = Arc::new(Semaphore::new(0));
    aws.reply("load", [Reply::Fault(Fault::DoneThenHold(Arc::clone(&gate))), Reply::returns(json!(5))]);
    let answer = tokio::spawn(invoke(&aws).send());
    aws.until(|aws| aws.executed("load") == 1).await;
    assert!(!answer.is_finished());
    gate.add_permits(1);
    assert_eq!(answer.await.unwrap().unwrap().payload().unwrap().as_ref(), b"5");
}
