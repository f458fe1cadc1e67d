//! From RunTask to the end: patience with what is not visible yet, deadlines, stops, dispatchers that die.

use std::time::Duration;

use serde_json::json;

use super::Ecs;
use crate::support::aws::Fault;

#[tokio::test]
async fn a_task_that_is_not_visible_yet_is_waited_for() {
    for fault in [Fault::Missing(5), Fault::Absent(5)] {
        let ecs = Ecs::new().await;
        let dispatcher = ecs.dispatcher().await;
        ecs.aws.script("RunTask", [fault]);
        let arn = ecs.running().await;
        ecs.succeeds(&arn).await;
        assert_eq!((ecs.attempts().await, ecs.tasks()), (1, 1));
        ecs.stop(dispatcher).await;
    }
}

#[tokio::test]
async fn a_running_task_that_is_missing_for_a_moment_runs_on() {
    let mut ecs = Ecs::new().await;
    ecs.timing.appears_within = Duration::ZERO;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    ecs.aws.miss(&arn, 3);
    let before = ecs.aws.count("DescribeTasks");
    ecs.aws.until(|aws| aws.count("DescribeTasks") > before + 6).await;
    ecs.succeeds(&arn).await;
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_task_that_aws_has_forgotten_is_lost_and_tried_again() {
    let mut ecs = Ecs::new().await;
    ecs.timing.appears_within = Duration::ZERO;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    dispatcher.abandon();
    ecs.aws.finish(&arn, 0);
    ecs.aws.advance(Duration::from_mins(61));
    let next = ecs.dispatcher().await;
    ecs.task(1).await;
    let lost: String =
        ecs.db.one("select outcome || ' ' || reason from rowcall.attempts where number = 1").await;
    assert!(lost.starts_with("LOST ECS no longer knows the task"), "{lost}");
    ecs.stop(next).await;
}

#[tokio::test]
async fn what_the_row_says_outweighs_a_task_that_aws_has_forgotten() {
    let mut ecs = Ecs::new().await;
    ecs.timing.appears_within = Duration::ZERO;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    let token = ecs.aws.task(&arn).environment("ROWCALL_TOKEN").unwrap().to_owned();
    ecs.db.client.execute("select rowcall.task_succeed($1, '{\"rows\": 5}')", &[&token]).await.unwrap();
    dispatcher.abandon();
    ecs.aws.advance(Duration::from_mins(61));
    ecs.aws.miss(&arn, u32::MAX);
    let next = ecs.dispatcher().await;
    let settled = ecs.settled().await;
    assert!(settled[0].starts_with("SUCCEEDED"), "{settled:?}");
    let rows: String = ecs.db.one("select attributes->'result'->>'rows' from rowcall.files").await;
    assert_eq!((rows.as_str(), ecs.tasks()), ("5", 1));
    ecs.stop(next).await;
}

#[tokio::test]
async fn a_dispatcher_taking_over_launches_nothing_and_sees_the_ends() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.db.run("insert into rowcall.files select from generate_series(1, 20)").await;
    ecs.task(19).await;
    ecs.db.until("select count(*) = 20 from rowcall.attempts where launched_at is not null").await;
    dispatcher.abandon();
    let next = ecs.dispatcher().await;
    for task in ecs.aws.tasks() {
        ecs.aws.finish(&task.arn, 0);
    }
    assert_eq!(ecs.settled().await, vec!["SUCCEEDED"; 20]);
    assert_eq!((ecs.attempts().await, ecs.tasks(), ecs.aws.count("RunTask")), (20, 20, 20));
    ecs.stop(next).await;
}

#[tokio::test]
async fn a_timeout_starts_when_the_task_runs_and_stops_it_saying_why() {
    let ecs = Ecs::without_parameters().await;
    ecs.aws.auto_run(false);
    ecs.parameters_with("", (", timeout, max_attempts", ", '1 second', 1")).await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    let arn = ecs.task(0).await;
    // Somebody looks at it all the time, so the calls are the clock.
    ecs.db.until("select launched_at is not null from rowcall.attempts").await;
    let launched = std::time::Instant::now();
    while launched.elapsed() < Duration::from_millis(1300) {
        let before = ecs.aws.count("DescribeTasks");
        ecs.aws.until(|aws| aws.count("DescribeTasks") > before).await;
    }
    assert_eq!(ecs.aws.count("StopTask"), 0, "it is not running yet");
    ecs.aws.advance_task(&arn, "RUNNING");
    ecs.aws.until(|aws| aws.count("StopTask") == 1).await;
    let settled = ecs.settled().await;
    assert_eq!(settled, ["TIMED_OUT: ran longer than its timeout of 00:00:01"]);
    assert_eq!(ecs.aws.calls("StopTask")[0].json()["reason"], "ran longer than its timeout of 00:00:01");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_task_that_never_starts_is_stopped_first_and_settled_after() {
    let ecs = Ecs::without_parameters().await;
    ecs.aws.auto_run(false);
    ecs.aws.hold_stops(true);
    ecs.parameters_with("", (", launch_timeout", ", '1 second'")).await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    let arn = ecs.task(0).await;
    ecs.aws.until(|aws| aws.count("StopTask") == 1).await;
    assert_eq!(ecs.attempts().await, 1, "the old one may still start");
    ecs.aws.fail_to_start(&arn, "stopped before it ran");
    ecs.task(1).await;
    let first: String =
        ecs.db.one("select outcome || ' ' || reason from rowcall.attempts where number = 1").await;
    assert_eq!(first, "RUNNER_FAILED not started within 00:00:01 (PROVISIONING)");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn no_task_counts_as_never_started_while_aws_cannot_be_asked() {
    let ecs = Ecs::without_parameters().await;
    ecs.parameters_with("", (", launch_timeout", ", '1 second'")).await;
    ecs.aws.script("DescribeTasks", std::iter::repeat_n(Fault::server_error(), 60));
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    assert_eq!(ecs.aws.count("StopTask"), 0);
    ecs.succeeds(&arn).await;
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_cancel_is_repeated_with_its_reason_until_the_task_stops() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    ecs.running().await;
    ecs.aws.script("StopTask", [Fault::throttled(), Fault::server_error(), Fault::DoneThenReset]);
    ecs.db.run("select rowcall.cancel(id, 'changed my mind') from rowcall.jobs").await;
    assert_eq!(ecs.settled().await, ["CANCELLED: changed my mind"]);
    let reasons: Vec<_> =
        ecs.aws.calls("StopTask").iter().map(|call| call.json()["reason"].clone()).collect();
    assert!(reasons.len() >= 3 && reasons.iter().all(|reason| reason == "changed my mind"), "{reasons:?}");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn an_event_is_a_hint_to_look_now() {
    let mut ecs = Ecs::new().await;
    ecs.timing.soonest = Duration::from_hours(1);
    ecs.timing.latest = Duration::from_hours(1);
    ecs.timing.strays_every = Duration::from_hours(1);
    ecs.settings.runners.ecs.event_queue = ecs.aws.queue_url();
    let dispatcher = ecs.dispatcher().await;
    // The one search for tasks that are nobody's, which describes what it finds, is over.
    ecs.aws.until(|aws| aws.count("ListTasks") > 0).await;
    let arn = ecs.running().await;
    ecs.aws.finish(&arn, 0);
    let event = |arn: &str, version: u32| json!({"source": "aws.ecs", "version": "0", "detail": {"taskArn": arn, "version": version}});
    for event in
        [json!("nonsense"), json!({"detail": {}}), event("arn:aws:ecs:somebody-else", 9), event(&arn, 4)]
    {
        ecs.aws.push_event(&event);
    }
    assert_eq!(ecs.settled().await, ["SUCCEEDED"]);
    ecs.aws.until(|aws| aws.deleted_events().len() == 4).await;
    assert_eq!(ecs.aws.count("DescribeTasks"), 2, "one look at the beginning, one for the event");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_thousand_tasks_cost_ten_calls_a_sweep() {
    let mut ecs = Ecs::new().await;
    ecs.timing.soonest = Duration::from_secs(1);
    ecs.timing.latest = Duration::from_secs(1);
    let dispatcher = ecs.dispatcher().await;
    ecs.db.run("insert into rowcall.files select from generate_series(1, 1000)").await;
    ecs.db.until("select count(*) = 1000 from rowcall.attempts where begun_at is not null").await;
    let before = ecs.aws.count("DescribeTasks");
    let began = std::time::Instant::now();
    ecs.aws.until(|aws| aws.count("DescribeTasks") >= before + 30).await;
    let sweeps = began.elapsed().as_secs_f64();
    let largest =
        ecs.aws.calls("DescribeTasks").iter().map(|c| c.json()["tasks"].as_array().unwrap().len()).max();
    assert_eq!(largest, Some(100));
    // Thirty calls are three sweeps of ten; a call for each task would have made them in no time.
    assert!(sweeps > 1.5, "30 calls in {sweeps} s");
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_reported_task_that_left_is_not_stopped_while_ecs_clears_up() {
    let ecs = Ecs::new().await;
    let dispatcher = ecs.dispatcher().await;
    let arn = ecs.running().await;
    let token = ecs.aws.task(&arn).environment("ROWCALL_TOKEN").unwrap().to_owned();
    ecs.aws.advance_task(&arn, "DEPROVISIONING");
    let before = ecs.aws.count("DescribeTasks");
    ecs.aws.until(|aws| aws.count("DescribeTasks") > before + 1).await;
    ecs.db.client.execute("select rowcall.task_succeed($1, '{}')", &[&token]).await.unwrap();
    // report_grace is 300 ms here.
    let reported = std::time::Instant::now();
    while reported.elapsed() < Duration::from_millis(700) {
        let before = ecs.aws.count("DescribeTasks");
        ecs.aws.until(|aws| aws.count("DescribeTasks") > before).await;
    }
    ecs.succeeds(&arn).await;
    assert_eq!(ecs.aws.count("StopTask"), 0);
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_task_that_is_cleared_up_without_having_run_has_not_begun() {
    let ecs = Ecs::without_parameters().await;
    ecs.aws.auto_run(false);
    ecs.parameters_with("", (", max_attempts", ", 1")).await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    let arn = ecs.task(0).await;
    ecs.aws.advance_task(&arn, "DEPROVISIONING");
    ecs.aws.patch(&arn, json!({"startedAt": null}));
    let before = ecs.aws.count("DescribeTasks");
    ecs.aws.until(|aws| aws.count("DescribeTasks") > before + 5).await;
    assert!(ecs.db.one::<bool>("select begun_at is null from rowcall.attempts").await);
    ecs.stop(dispatcher).await;
}

#[tokio::test]
async fn a_task_that_nobody_may_look_at_is_stopped_in_the_end() {
    let ecs = Ecs::without_parameters().await;
    ecs.parameters_with("", (", launch_timeout", ", '1 minute'")).await;
    let denied = Fault::error(400, "AccessDeniedException", "not authorized to perform: ecs:DescribeTasks");
    ecs.aws.script("DescribeTasks", std::iter::repeat_n(denied, 10_000));
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    ecs.task(0).await;
    ecs.db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    ecs.db.run("update rowcall_internal.attempts set created_at = now() - interval '62 minutes'").await;
    ecs.aws.until(|aws| aws.count("StopTask") == 1).await;
    assert_eq!(
        ecs.aws.calls("StopTask")[0].json()["reason"],
        "not known to have started within 00:01:00 and an hour"
    );
    ecs.stop(dispatcher).await;
}
