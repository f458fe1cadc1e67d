//! The call itself: what is sent, what is sent again, and what is refused.

use std::time::{Duration, Instant};

use rowcall::runners::lambda::Timing;
use rowcall::runners::{LaunchError, Runner as _};
use serde_json::{Value, json};

use super::{LOADER, Lambda, alone, alone_with};
use crate::support::aws::{Fault, REGION, Reply};

#[tokio::test]
async fn a_throttled_call_is_repeated_and_spends_nothing() {
    let lambda = Lambda::new("{}", ("max_attempts", "1")).await;
    let reasons = ["ReservedFunctionConcurrentInvocationLimitExceeded", "CallerRateLimitExceeded"];
    lambda.aws.reply(LOADER, reasons.map(|reason| Reply::Fault(Fault::too_many_requests(reason, 1))));
    let not_ready = Fault::error(409, "ResourceConflictException", "The function is Pending");
    let no_address = Fault::error(502, "ENILimitReachedException", "no interface");
    lambda.aws.reply(LOADER, [not_ready, no_address].map(Reply::Fault));
    assert_eq!(lambda.run().await, "SUCCEEDED 1 PROCESSED");
    assert_eq!((lambda.aws.executed(LOADER), lambda.aws.count("Invoke")), (1, 5));
}

#[tokio::test]
async fn a_busy_function_leaves_its_attempt_to_whoever_comes_next() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let throttle = || Reply::Fault(Fault::too_many_requests("CallerRateLimitExceeded", 1));
    lambda.aws.reply(LOADER, std::iter::repeat_with(throttle).take(3));
    let doomed = lambda.dispatcher().await;
    lambda.insert().await;
    lambda.db.until("exists (select from rowcall.attempts where asked_at is not null)").await;
    lambda.db.until("exists (select from rowcall.attempts where asked_at is null)").await;
    doomed.abandon();
    let _next = lambda.dispatcher().await;
    assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
    assert_eq!(lambda.aws.executed(LOADER), 1);
}

#[tokio::test]
async fn what_lambda_refuses_for_good_is_not_tried_again() {
    for (status, code) in [
        (404, "ResourceNotFoundException"),
        (403, "AccessDeniedException"),
        (413, "RequestTooLargeException"),
        (400, "RecursiveInvocationException"),
        (502, "KMSAccessDeniedException"),
    ] {
        let lambda = Lambda::new("{}", ("", "")).await;
        lambda.aws.reply(LOADER, [Reply::Fault(Fault::error(status, code, "in these words"))]);
        let ended = lambda.run().await;
        assert_eq!(ended, format!("RUNNER_FAILED 1 ERROR RUNNER_FAILED {code}: in these words"));
        assert_eq!(lambda.aws.count("Invoke"), 1, "{code}");
    }
}

#[tokio::test]
async fn a_function_whose_surroundings_failed_is_another_attempt() {
    let lambda = Lambda::new("{}", ("", "")).await;
    lambda.aws.reply(LOADER, [Reply::Fault(Fault::error(408, "EFSMountTimeoutException", "slow"))]);
    assert_eq!(lambda.run().await, "SUCCEEDED 2 PROCESSED");
    assert_eq!(lambda.aws.executed(LOADER), 1);
}

#[tokio::test]
async fn without_a_connection_nothing_is_in_doubt() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let mut settings = lambda.settings();
    // Nobody listens on the discard port, and nobody is called so.
    for endpoint in ["http://127.0.0.1:9", "http://rowcall.invalid:9"] {
        settings.aws.endpoint = endpoint.to_owned();
        let (runner, _ends) = alone(&settings);
        let attempt = super::rules::attempt(json!({}));
        let launched = rowcall::runners::Runner::launch(&runner, &attempt, &[]).await;
        assert!(matches!(launched, Err(LaunchError::Away(_))), "{endpoint}: {launched:?}");
    }
}

#[tokio::test]
async fn the_function_gets_its_row_and_no_password() {
    let payload = r#"{"qualifier": "live", "payload": {"path": "{{ row.attributes.path }}"}}"#;
    let more = ("command, environment, values", r#"'{a}', '{"A": "{{ row.id }}"}', '{"bucket": "b"}'"#);
    let lambda = Lambda::new(payload, more).await;
    let mut settings = lambda.settings();
    settings.tasks.database_url = "postgresql://tasks:secret@db/files".to_owned();
    let _dispatcher = lambda.dispatcher_with(settings).await;
    lambda.db.run(r#"insert into rowcall.files (attributes) values ('{"path": "in.csv"}')"#).await;
    assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
    let invocation = lambda.aws.invocations(LOADER).remove(0);
    assert_eq!((invocation.qualifier.as_deref(), invocation.log_type.as_str()), (Some("live"), "Tail"));
    let mut event = invocation.payload;
    let own = event.as_object_mut().unwrap().remove("rowcall").unwrap();
    let row: i64 = lambda.db.one("select id::bigint from rowcall.files").await;
    let expected = json!({"command": ["a"], "environment": {"A": row.to_string()}, "values": {"bucket": "b"}, "path": "in.csv"});
    assert_eq!(event, expected);
    let names: Vec<&str> = own.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["attempt", "job", "task", "token"]);
    assert_eq!((&own["attempt"], &own["task"]), (&json!(1), &json!("task")));
    assert!(
        own["token"]
            .as_str()
            .is_some_and(|token| token.split_once('.').is_some_and(|(_, secret)| secret.len() == 43)),
        "{own}"
    );
    assert_ne!(own["job"], Value::Null);
}

#[tokio::test]
async fn lambda_is_left_alone_for_as_long_as_it_asks() {
    let lambda = Lambda::new("{}", ("", "")).await;
    lambda.aws.reply(LOADER, [Reply::Fault(Fault::too_many_requests("CallerRateLimitExceeded", 1))]);
    let patient = Timing { longest_wait: Duration::from_secs(5), ..Timing::default() };
    let (runner, _ends) = alone_with(&lambda.settings(), patient);
    let asked = Instant::now();
    let answer = runner.launch(&super::rules::attempt(json!({})), &[]).await;
    assert!(matches!(answer, Err(LaunchError::Busy(_))), "{answer:?}");
    assert!(asked.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn the_region_is_frozen_with_the_request() {
    let lambda = Lambda::new("{}", ("", "")).await;
    lambda.run().await;
    let region: String =
        lambda.db.one("select request->'launch'->'settings'->>'region' from rowcall.attempts").await;
    assert_eq!(region, REGION);
}

#[tokio::test]
async fn a_call_that_was_sent_is_in_doubt_however_the_connection_ends() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let mut settings = lambda.settings();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    settings.aws.endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sent, was_sent) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // As a proxy that is drained: it has passed the call on, and closes in good order without an answer.
        let mut call = Vec::new();
        while !call.windows(4).any(|end| end == b"\r\n\r\n") {
            tokio::io::AsyncReadExt::read_buf(&mut stream, &mut call).await.unwrap();
        }
        let mut rest = vec![0; 65536];
        let more = tokio::io::AsyncReadExt::read(&mut stream, &mut rest);
        let _ = tokio::time::timeout(Duration::from_millis(300), more).await;
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        sent.send(()).unwrap();
    });
    let (runner, _ends) = alone(&settings);
    let launched = rowcall::runners::Runner::launch(&runner, &super::rules::attempt(json!({})), &[]).await;
    was_sent.await.unwrap();
    assert!(launched.is_ok(), "{launched:?}");
}
