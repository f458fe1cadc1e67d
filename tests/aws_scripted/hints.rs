//! What comes besides: the lines of a log, the events of a queue.

use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsError;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use serde_json::json;

use crate::support::aws::ScriptedAws;

#[tokio::test]
async fn a_log_is_read_from_its_end_or_its_head() {
    let aws = ScriptedAws::start().await;
    aws.log("/rowcall", "job/main/1", &["one", "two"]);
    aws.log("/rowcall", "job/main/1", &["three"]);
    let logs = aws.logs();
    let read = |head, token: Option<&str>| {
        let read = logs.get_log_events().log_group_name("/rowcall").log_stream_name("job/main/1").limit(2);
        read.start_from_head(head).set_next_token(token.map(ToOwned::to_owned)).send()
    };
    let lines = |answer: &aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput| {
        answer.events().iter().map(|event| event.message().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let tail = read(false, None).await.unwrap();
    assert_eq!(lines(&tail), ["two", "three"]);
    assert!(tail.events()[0].timestamp().is_some());
    assert_eq!(lines(&read(false, tail.next_backward_token()).await.unwrap()), ["one"]);
    let head = read(true, None).await.unwrap();
    assert_eq!(lines(&head), ["one", "two"]);
    let rest = read(true, head.next_forward_token()).await.unwrap();
    assert_eq!(lines(&rest), ["three"]);
    let end = read(true, rest.next_forward_token()).await.unwrap();
    assert!(lines(&end).is_empty());
    assert_eq!(end.next_forward_token(), rest.next_forward_token(), "the sign of the end");
}

#[tokio::test]
async fn a_log_that_was_never_written_is_not_found() {
    let aws = ScriptedAws::start().await;
    aws.log("/rowcall", "job/main/1", &["one"]);
    for (group, stream) in [("/rowcall", "job/main/2"), ("/other", "job/main/1")] {
        let read = aws.logs().get_log_events().log_group_name(group).log_stream_name(stream);
        let error = read.send().await.unwrap_err().into_service_error();
        assert!(GetLogEventsError::is_resource_not_found_exception(&error), "{error:?}");
    }
}

#[tokio::test]
async fn whoever_waits_for_events_gets_them_at_once() {
    let aws = ScriptedAws::start().await;
    let sqs = aws.sqs();
    let receive =
        || sqs.receive_message().queue_url(aws.queue_url()).max_number_of_messages(10).wait_time_seconds(20);
    let waiting = tokio::spawn(receive().send());
    aws.until(|aws| aws.count("ReceiveMessage") == 1).await;
    aws.push_event(&json!({ "detail-type": "ECS Task State Change" }));
    let answer = waiting.await.unwrap().unwrap();
    let body = answer.messages()[0].body().unwrap();
    assert_eq!(body, r#"{"detail-type":"ECS Task State Change"}"#);
}

#[tokio::test]
async fn events_come_again_until_they_are_deleted() {
    let aws = ScriptedAws::start().await;
    let sqs = aws.sqs();
    let receive = async || {
        let asked = sqs.receive_message().queue_url(aws.queue_url()).max_number_of_messages(2);
        asked.send().await.unwrap().messages.unwrap_or_default()
    };
    assert!(receive().await.is_empty());
    for number in 0..3 {
        aws.push_event(&json!(number));
    }
    let first = receive().await;
    assert_eq!((first.len(), receive().await.len(), receive().await.len()), (2, 1, 0));

    let delete = sqs.delete_message().queue_url(aws.queue_url());
    delete.receipt_handle(first[0].receipt_handle().unwrap()).send().await.unwrap();
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let batch = sqs.delete_message_batch().queue_url(aws.queue_url());
    let batch = batch.entries(entry("a", first[1].receipt_handle().unwrap())).entries(entry("b", "nonsense"));
    let told = batch.send().await.unwrap();
    assert_eq!((told.successful()[0].id(), told.failed()[0].id()), ("a", "b"));
    assert_eq!(told.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(aws.deleted_events(), [json!(0), json!(1)]);

    aws.redeliver();
    let again = receive().await;
    assert_eq!((again.len(), again[0].body()), (1, Some("2")));
}

#[tokio::test]
async fn another_queue_does_not_exist() {
    let aws = ScriptedAws::start().await;
    let asked = aws.sqs().receive_message().queue_url(format!("{}/123456789012/other", aws.url()));
    let error = asked.send().await.unwrap_err();
    assert!(error.code().is_some_and(|code| code.ends_with("QueueDoesNotExist")), "{error:?}");
}
