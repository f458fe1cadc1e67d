//! What goes wrong on the way, and what the SDK makes of it.

use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::timeout::TimeoutConfig;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::run_task::RunTaskError;
use tokio::sync::Semaphore;

use crate::support::aws::{Fault, Refusal};

use super::{aws, described, launch, launched};

#[tokio::test]
async fn a_connection_reset_after_acceptance_leaves_one_task() {
    let aws = aws().await;
    let ecs = aws.ecs();
    // The second comes over a connection that has served before, which must not make it a repeated one.
    aws.script("RunTask", [Fault::None, Fault::DoneThenReset]);
    launched(&ecs, "t1").await;
    let error = launch(&ecs, "t2").send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!((aws.tasks().len(), aws.count("RunTask")), (2, 2));
    assert_eq!(launched(&ecs, "t2").await, aws.tasks()[1].arn);
    assert_eq!(aws.tasks().len(), 2);
    assert_eq!(aws.repeated("t2").1, 2);
}

#[tokio::test]
async fn a_connection_reset_before_acceptance_leaves_none() {
    let aws = aws().await;
    let ecs = aws.ecs();
    aws.script("RunTask", [Fault::Reset]);
    let error = launch(&ecs, "t1").send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!((aws.tasks().len(), aws.count("RunTask")), (0, 1));
}

#[tokio::test]
async fn a_server_error_says_nothing_about_the_task() {
    let aws = aws().await;
    let ecs = aws.ecs();
    aws.script("RunTask", [Fault::server_error(), Fault::done_then_server_error()]);
    for tasks in [0, 1] {
        let error = launch(&ecs, "t1").send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
        assert!(error.as_service_error().is_some_and(RunTaskError::is_server_exception), "{error:?}");
        assert_eq!(aws.tasks().len(), tasks);
    }
    launched(&ecs, "t1").await;
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn throttles_arrive_with_code_and_words_whatever_their_disguise() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let throttles = [
        (Fault::throttled(), "ThrottlingException", "Rate exceeded"),
        (Fault::throttled_in_disguise(), "InvalidParameterException", "(ErrorCode: Throttling)"),
        (
            Fault::request_limit_in_disguise(),
            "InvalidParameterException",
            "(ErrorCode: RequestLimitExceeded)",
        ),
        (Fault::Error(Refusal::client("Too many concurrent attempts")), "ClientException", "Too many"),
    ];
    for (fault, code, words) in throttles {
        aws.script("RunTask", [fault]);
        let error = launch(&ecs, "t1").send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
        assert_eq!(error.code(), Some(code));
        assert!(error.message().unwrap().contains(words), "{error:?}");
    }
    assert_eq!(aws.tasks().len(), 0);
}

#[tokio::test]
async fn an_answer_that_is_none_comes_after_the_task() {
    let aws = aws().await;
    let ecs = aws.ecs();
    aws.script("RunTask", [Fault::Garbage]);
    let error = launch(&ecs, "t1").send().await.unwrap_err();
    assert!(matches!(error, SdkError::ResponseError(_)), "{error:?}");
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn a_client_that_gives_up_leaves_nothing_or_one_task_behind() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let gate = Arc::new(Semaphore::new(0));
    aws.script("RunTask", [Fault::Hold(Arc::clone(&gate)), Fault::DoneThenHold(Arc::clone(&gate))]);
    for abandoned in 1..=2 {
        let theirs = ecs.clone();
        let waiting = tokio::spawn(async move { launch(&theirs, &format!("t{abandoned}")).send().await });
        aws.until(|aws| aws.count("RunTask") == abandoned && aws.tasks().len() + 1 == abandoned).await;
        waiting.abort();
        aws.until(|aws| aws.abandoned() == abandoned).await;
    }
    assert_eq!(gate.available_permits(), 0);
    assert_eq!(aws.tasks().len(), 1);
    assert_eq!(aws.tasks()[0].client_token, "t2");
}

#[tokio::test]
async fn an_answer_waits_until_the_test_lets_it_go() {
    let aws = aws().await;
    let ecs = aws.ecs();
    let gate = Arc::new(Semaphore::new(0));
    aws.script("RunTask", [Fault::Hold(Arc::clone(&gate)), Fault::DoneThenHold(Arc::clone(&gate))]);
    for (count, tasks) in [(1, 0), (2, 2)] {
        let theirs = ecs.clone();
        let waiting = tokio::spawn(async move { launched(&theirs, &format!("t{count}")).await });
        aws.until(|aws| aws.count("RunTask") == count && aws.count_tasks(|_| true) == tasks).await;
        gate.add_permits(1);
        assert_eq!(waiting.await.unwrap(), aws.tasks()[count - 1].arn);
    }
}

#[tokio::test]
async fn a_client_without_patience_sees_one_of_two_kinds_of_timeout() {
    let aws = aws().await;
    let never = || Fault::DoneThenHold(Arc::new(Semaphore::new(0)));
    aws.script("RunTask", [never(), never()]);
    let with = |limits: TimeoutConfig| {
        aws_sdk_ecs::Client::from_conf(aws.ecs().config().to_builder().timeout_config(limits).build())
    };
    let short = Duration::from_millis(100);
    let attempt = with(TimeoutConfig::builder().operation_attempt_timeout(short).build());
    let error = launch(&attempt, "t1").send().await.unwrap_err();
    assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");

    let read = with(TimeoutConfig::builder().read_timeout(short).build());
    let error = launch(&read, "t2").send().await.unwrap_err();
    let SdkError::DispatchFailure(failure) = error else { panic!("{error:?}") };
    assert!(failure.is_timeout() && !failure.is_io(), "{failure:?}");
    assert_eq!(aws.tasks().len(), 2);
    aws.until(|aws| aws.abandoned() == 2).await;
}

#[tokio::test]
async fn a_connection_lost_is_told_from_one_refused_only_by_its_cause() {
    let aws = aws().await;
    aws.script("RunTask", [Fault::DoneThenReset]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = aws.ecs().config().to_builder().endpoint_url(format!("http://{nobody}")).build();
    let nobody = aws_sdk_ecs::Client::from_conf(nobody);
    for (ecs, kind) in [(aws.ecs(), ErrorKind::ConnectionReset), (nobody, ErrorKind::ConnectionRefused)] {
        let error = launch(&ecs, "t1").send().await.unwrap_err();
        let SdkError::DispatchFailure(failure) = &error else { panic!("{error:?}") };
        assert!(failure.is_io() && !failure.is_timeout(), "{failure:?}");
        let causes = std::iter::successors(error.source(), |error| (*error).source());
        let io: Vec<_> = causes.filter_map(|error| error.downcast_ref::<std::io::Error>()).collect();
        assert_eq!(io[0].kind(), kind);
    }
    assert_eq!(aws.tasks().len(), 1);
}

#[tokio::test]
async fn the_sdk_repeats_byte_for_byte_and_only_what_it_knows_to_pass() {
    let aws = aws().await;
    let retries =
        RetryConfig::standard().with_max_attempts(10).with_initial_backoff(Duration::from_millis(1));
    let ecs = aws_sdk_ecs::Client::from_conf(aws.ecs().config().to_builder().retry_config(retries).build());
    let faults = [Fault::DoneThenReset, Fault::server_error(), Fault::throttled()];
    aws.script("RunTask", faults.into_iter().chain([Fault::throttled_in_disguise()]));
    let error = launch(&ecs, "t1").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterException"));
    assert_eq!((aws.repeated("t1").1, aws.tasks().len()), (4, 1));

    aws.script("RunTask", [Fault::Garbage]);
    launch(&ecs, "t2").send().await.unwrap_err();
    assert_eq!((aws.repeated("t2").1, aws.tasks().len()), (1, 2));
}

#[tokio::test]
async fn what_is_new_may_be_missing_for_a_while() {
    let aws = aws().await;
    let ecs = aws.ecs();
    aws.script("RunTask", [Fault::Missing(2), Fault::Absent(1), Fault::Unlisted(1)]);
    let missing = launched(&ecs, "t1").await;
    assert!(described(&ecs, &missing).await.is_none());
    assert!(described(&ecs, &missing).await.is_none());
    assert!(described(&ecs, &missing).await.is_some());
    aws.miss(&missing, 1);
    assert!(described(&ecs, &missing).await.is_none());

    let absent = launched(&ecs, "t2").await;
    let neither = async || {
        let answer = ecs.describe_tasks().cluster("jobs").tasks(&absent).send().await.unwrap();
        answer.tasks().is_empty() && answer.failures().is_empty()
    };
    assert!(neither().await);
    assert!(!neither().await);
    aws.leave_out(&absent, 1);
    assert!(neither().await);

    let unlisted = launched(&ecs, "t3").await;
    let listed = async || {
        let answer = ecs.list_tasks().cluster("jobs").send().await.unwrap();
        answer.task_arns().contains(&unlisted)
    };
    assert!(!listed().await);
    assert!(listed().await);
    aws.unlist(&unlisted, 1);
    assert!(!listed().await);
}
