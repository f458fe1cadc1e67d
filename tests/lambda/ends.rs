//! How an invocation ends, and what its row is told.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{LOADER, Lambda};
use crate::support::aws::{Fault, REGION, Reply};

const EVENT: &str = r#"{"mode": "Event"}"#;

fn hold() -> (Arc<Semaphore>, Reply) {
    let gate = Arc::new(Semaphore::new(0));
    (Arc::clone(&gate), Reply::Fault(Fault::DoneThenHold(gate)))
}

#[tokio::test]
async fn a_functions_answer_is_the_rows_result() {
    let lambda = Lambda::new("{}", ("", "")).await;
    lambda.aws.reply(LOADER, [Reply::returns(json!({"made": 3})).logging("START\nworked\n")]);
    assert_eq!(lambda.run().await, "SUCCEEDED 1 PROCESSED");
    let result: Value = lambda.db.one("select attributes->'result' from rowcall.files").await;
    assert_eq!(result, json!({"made": 3}));
    assert_eq!(lambda.attempt("output").await.unwrap(), "START\nworked\n");
    // The launch is written down beside the end, and perhaps after it.
    lambda.db.until("select log_group = '/aws/lambda/loader' from rowcall.attempts").await;
    assert_eq!(lambda.attempt("exit_code").await.unwrap(), "0");
}

#[tokio::test]
async fn an_answer_that_comes_after_the_launch_counts_as_much() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let (gate, held) = hold();
    lambda.aws.reply(LOADER, [held, Reply::returns(json!("late"))]);
    let _dispatcher = lambda.dispatcher().await;
    lambda.insert().await;
    lambda.launched().await;
    gate.add_permits(1);
    assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
    assert_eq!(lambda.attempt("result").await.unwrap(), "\"late\"");
}

#[tokio::test]
async fn a_function_error_fails_the_row_in_its_words_after_retries() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let error = Reply::Fails {
        kind: "Unhandled",
        payload: json!({"errorType": "ValueError", "errorMessage": "no such column"}),
        log: "Traceback\nREPORT RequestId: 1\n".to_owned(),
    };
    lambda.aws.reply(LOADER, [error.clone(), error]);
    let ended = lambda.run().await;
    assert_eq!(ended, "TASK_FAILED 2 ERROR TASK_FAILED ValueError: no such column (attempt 2 of 2)");
    assert_eq!(lambda.attempt("output").await.unwrap(), "Traceback\nREPORT RequestId: 1\n");
    assert_eq!(lambda.aws.executed(LOADER), 2);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_cut_and_says_so() {
    let lambda = Lambda::new("{}", ("", "")).await;
    lambda.aws.reply(LOADER, [Reply::returns(json!("x".repeat(400_000)))]);
    assert_eq!(lambda.run().await, "SUCCEEDED 1 PROCESSED");
    let kept: String = lambda
        .db
        .one("select concat_ws(' ', r->>'truncated', r->>'bytes', length(r->>'begins')) from (select attributes->'result' as r from rowcall.files) x")
        .await;
    assert_eq!(kept, "true 400002 1000");
}

#[tokio::test]
async fn a_token_that_the_function_lets_out_is_not_kept() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let gate = Arc::new(Semaphore::new(0));
    lambda.aws.reply(LOADER, [Reply::Fault(Fault::Hold(Arc::clone(&gate)))]);
    let _dispatcher = lambda.dispatcher().await;
    lambda.insert().await;
    lambda.called().await;
    let token = lambda.event()["rowcall"]["token"].as_str().unwrap().to_owned();
    lambda.aws.reply(LOADER, [Reply::returns(json!({ "event": token })).logging(&token)]);
    gate.add_permits(1);
    assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
    assert_eq!(lambda.attempt("output || result::text").await.unwrap(), r#"[masked]{"event": "[masked]"}"#);
}

#[tokio::test]
async fn a_report_is_demanded_where_completion_says_so() {
    let lambda = Lambda::new("{}", ("completion, max_attempts", "'report', 1")).await;
    let ended = lambda.run().await;
    assert!(ended.ends_with("exited with code 0 without reporting a result"), "{ended}");
}

#[tokio::test]
async fn an_event_ends_with_its_report_and_at_once() {
    let lambda = Lambda::new(EVENT, ("", "")).await;
    let mut settings = lambda.settings();
    settings.dispatcher.report_grace = std::time::Duration::from_hours(1);
    let _dispatcher = lambda.dispatcher_with(settings).await;
    lambda.insert().await;
    lambda.launched().await;
    lambda.report(r#"task_succeed($1, '{"made": 1}')"#).await;
    assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
    assert_eq!(lambda.attempt("coalesce(reason, result->>'made')").await.unwrap(), "1");
}

#[tokio::test]
async fn an_event_that_reports_a_failure_is_tried_again() {
    let lambda = Lambda::new(EVENT, ("", "")).await;
    let _dispatcher = lambda.dispatcher().await;
    lambda.insert().await;
    for _ in 0..2 {
        lambda
            .db
            .until("exists (select from rowcall.attempts where ended_at is null and launched_at is not null)")
            .await;
        lambda.report("task_fail($1, 'not mine')").await;
        lambda
            .db
            .until("not exists (select from rowcall.attempts where report is not null and ended_at is null)")
            .await;
    }
    assert_eq!(lambda.ended().await, "TASK_FAILED 2 ERROR TASK_FAILED not mine (attempt 2 of 2)");
    assert_eq!(lambda.aws.executed(LOADER), 2);
}

#[tokio::test]
async fn whoever_fires_and_forgets_has_the_end_with_lambdas_receipt() {
    let lambda = Lambda::new(r#"{"mode": "Event", "fire_and_forget": true}"#, ("", "")).await;
    assert_eq!(lambda.run().await, "SUCCEEDED 1 PROCESSED");
    assert_eq!(lambda.aws.invocations(LOADER)[0].kind, "Event");
}

#[tokio::test]
async fn a_function_past_its_timeout_times_out_and_is_not_run_again() {
    let lambda = Lambda::new(EVENT, ("timeout", "'300 milliseconds'")).await;
    let ended = lambda.run().await;
    assert!(ended.starts_with("TIMED_OUT 1 ERROR TIMED_OUT ran longer than its timeout of"), "{ended}");
    assert!(ended.ends_with("a Lambda function cannot be stopped"), "{ended}");
    assert_eq!(lambda.aws.executed(LOADER), 1);
}

#[tokio::test]
async fn a_cancelled_function_ends_its_job_while_it_runs() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let (_gate, held) = hold();
    lambda.aws.reply(LOADER, [held]);
    let _dispatcher = lambda.dispatcher().await;
    lambda.insert().await;
    lambda.launched().await;
    lambda.db.run("select rowcall.cancel(id, 'not needed') from rowcall.jobs").await;
    assert_eq!(lambda.ended().await, "CANCELLED 1 ERROR CANCELLED not needed");
    lambda.aws.until(|aws| aws.abandoned() == 1).await;
}

#[tokio::test]
async fn a_connection_on_which_a_function_is_silent_is_kept_alive() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let (gate, held) = hold();
    lambda.aws.reply(LOADER, [held]);
    let _dispatcher = lambda.dispatcher().await;
    lambda.insert().await;
    lambda.launched().await;
    // The kernel's table: of connections to our endpoint, one has its keep-alive timer (02) running.
    let port: u16 = lambda.aws.url().rsplit(':').next().unwrap().parse().unwrap();
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let established = format!(":{port:04X} 01 ");
    let to_endpoint: Vec<&str> = connections.lines().filter(|line| line.contains(&established)).collect();
    assert!(to_endpoint.iter().any(|line| line.contains(" 02:")), "{to_endpoint:#?}");
    gate.add_permits(1);
    assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
}

/// As in the ancestor: the function only starts a container, and that container, which knows of no token, sets the
/// row's status when it is done.
#[tokio::test]
async fn a_launching_function_gets_its_event_and_the_row_ends_the_job() {
    let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:{LOADER}:live");
    let config = r#"{"mode": "Event", "payload": {"task": "loader:7", "ecsName": "jobs", "vpcPrivateSubnetA": "subnet-1",
        "file": "{{ row.id }}"}}"#;
    let lambda = Lambda::new(config, ("", "")).await;
    lambda.db.client.execute("update rowcall.parameters set target = $1", &[&arn]).await.unwrap();
    let mut settings = lambda.settings();
    settings.runners.lambda.functions = vec![arn];
    let _dispatcher = lambda.dispatcher_with(settings).await;
    lambda.insert().await;
    lambda.launched().await;
    let event = lambda.event();
    assert_eq!(
        (&event["task"], &event["file"], &event["rowcall"]["job"]),
        (&"loader:7".into(), &"1".into(), &1.into())
    );
    lambda.db.run("update rowcall.files set status = 'PROCESSED' where status = 'PROCESSING'").await;
    assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
    assert_eq!(lambda.aws.executed(LOADER), 1);
}
