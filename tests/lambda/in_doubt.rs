//! Calls of which nobody knows whether they did anything: they are not made a second time.

use std::sync::Arc;
use std::time::Duration;

use rowcall::runners::lambda::{LambdaRunner, Timing};
use rowcall::runners::{Age, Found, Observation, Runner as _};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{LOADER, Lambda, alone, alone_with, rules};
use crate::support::aws::{Fault, Refusal, Reply};

fn doubtful() -> [Fault; 2] {
    [Fault::DoneThenReset, Fault::DoneThenError(Refusal::new(500, "ServiceException", "Internal"))]
}

#[tokio::test]
async fn an_accepted_call_that_breaks_is_not_repeated_and_can_report() {
    for fault in doubtful() {
        let lambda = Lambda::new("{}", ("", "")).await;
        lambda.aws.reply(LOADER, [Reply::Fault(fault)]);
        let _dispatcher = lambda.dispatcher().await;
        lambda.insert().await;
        lambda.launched().await;
        lambda.report("task_succeed($1)").await;
        assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
        assert_eq!((lambda.aws.executed(LOADER), lambda.aws.count("Invoke")), (1, 1));
    }
}

/// Where other runners look for what an earlier dispatcher launched, Lambda has nothing to look at: a call that another
/// dispatcher made counts as launched, and what this one calls it knows itself.
#[tokio::test]
async fn a_call_under_way_is_found_and_one_never_made_is_not() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let gate = Arc::new(Semaphore::new(0));
    lambda.aws.reply(LOADER, [Reply::Fault(Fault::DoneThenHold(Arc::clone(&gate)))]);
    let (runner, mut ends) = alone(&lambda.settings());
    let attempt = rules::attempt(json!({}));
    assert_eq!(runner.find(&attempt).await, Ok(Found::Nothing));
    runner.launch(&attempt, &[]).await.unwrap();
    assert!(matches!(runner.find(&attempt).await, Ok(Found::Running(_))));
    gate.add_permits(1);
    ends.recv().await.unwrap();
}

#[tokio::test]
async fn a_call_in_doubt_is_lost_for_good_when_it_can_no_longer_run() {
    for fault in doubtful() {
        let lambda = Lambda::new("{}", ("", "")).await;
        lambda.aws.reply(LOADER, [Reply::Fault(fault)]);
        let (runner, _ends) = alone(&lambda.settings());
        let timing = rowcall::runners::lambda::Timing { longest_life: Duration::ZERO, ..Default::default() };
        let runner = runner.with_timing(timing);
        let attempt = rules::attempt(json!({}));
        runner.launch(&attempt, &[]).await.unwrap();
        let Observation::Ended(end) = runner.observe(&[attempt.clone().into()]).await.remove(0) else {
            panic!("not ended")
        };
        let reason = end.reason.unwrap();
        assert!(
            reason.starts_with("whether it was executed is not known, and it is not invoked again"),
            "{reason}"
        );
        assert_eq!(end.how, rowcall::job::How::Unseen);
    }
}

#[tokio::test]
async fn a_function_that_outlives_its_dispatcher_is_not_invoked_again() {
    // Before its call is known to have been answered, and after.
    for forgotten in
        ["", "update rowcall_internal.attempts set launched_at = null, begun_at = null, external_id = null"]
    {
        let lambda = Lambda::new("{}", ("", "")).await;
        let gate = Arc::new(Semaphore::new(0));
        lambda.aws.reply(LOADER, [Reply::Fault(Fault::DoneThenHold(Arc::clone(&gate)))]);
        let doomed = lambda.dispatcher().await;
        lambda.insert().await;
        lambda.launched().await;
        doomed.abandon();
        lambda.db.run(forgotten).await;
        let next = lambda.dispatcher().await;
        let adopted = format!("select dispatcher_id = {} from rowcall.attempts", next.id());
        lambda.db.until(&adopted).await;
        // It is seen as running, not as something to launch.
        lambda
            .db
            .until("select launched_at is not null and begun_at is not null from rowcall.attempts")
            .await;
        lambda.report("task_succeed($1)").await;
        assert_eq!(lambda.ended().await, "SUCCEEDED 1 PROCESSED");
        assert_eq!((lambda.aws.executed(LOADER), lambda.aws.count("Invoke")), (1, 1));
    }
}

#[tokio::test]
async fn an_unheard_answer_is_lost_for_good_once_the_function_is_over() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let (runner, _ends) = alone(&lambda.settings());
    let (late, _late_ends) =
        alone_with(&lambda.settings(), Timing { longest_life: Duration::ZERO, ..Timing::default() });
    let observed = async |runner: &LambdaRunner, settings: serde_json::Value, external_id: Option<&str>| {
        let mut attempt = rules::attempt(settings);
        // Old as it is, it may have been invoked a moment ago.
        attempt.age = Age::of(Duration::from_hours(5));
        attempt.external_id = external_id.map(str::to_owned);
        runner.observe(&[attempt.clone().into()]).await;
        runner.observe(&[attempt.into()]).await.remove(0)
    };
    let lost = |observation: &Observation| matches!(observation, Observation::Ended(end) if end.how == rowcall::job::How::Unseen);
    assert_eq!(observed(&runner, json!({}), Some("request")).await, Observation::Running);
    assert!(lost(&observed(&late, json!({}), Some("request")).await));
    assert!(lost(&observed(&late, json!({}), None).await));
    assert_eq!(observed(&late, json!({"mode": "Event"}), None).await, Observation::Running);
    let forget = json!({"mode": "Event", "fire_and_forget": true});
    assert!(lost(&observed(&late, forget.clone(), None).await));
    let taken = observed(&late, forget, Some("request")).await;
    assert!(matches!(&taken, Observation::Ended(end) if end.exit_code == Some(0)), "{taken:?}");
}
