//! What an operator and the runner do not allow, and what can be asked beforehand.

use std::sync::Arc;

use rowcall::job::{AttemptId, Completion, JobId, RunnerName};
use rowcall::parameters::LaunchSpec;
use rowcall::runners::{Age, Attempt, Runner as _};
use serde_json::{Value, json};

use super::{LOADER, Lambda, alone};
use crate::support::aws::{Fault, Reply};

pub fn attempt(settings: Value) -> Attempt {
    let request = LaunchSpec {
        target: LOADER.to_owned(),
        settings,
        values: json!({}),
        completion: Completion::Exit,
        ..LaunchSpec::unread(RunnerName::Lambda)
    };
    Attempt {
        id: AttemptId::new(1),
        job_id: JobId::new(1),
        number: 1,
        task: "task".to_owned(),
        launch_key: "rowcall-test-1".to_owned(),
        request: Arc::new(request),
        external_id: None,
        age: Age::zero(),
        in_doubt: false,
        launch_until: None,
    }
}

#[tokio::test]
async fn what_is_not_allowed_blocks_the_row_and_names_the_rule() {
    let large = format!(r#"{{"mode": "Event", "payload": {{"a": "{}"}}}}"#, "x".repeat(1_048_576));
    let cases = [
        ("", "target = 'admin'", "target admin is not among runners.lambda.functions"),
        (r#"{"region": "us-east-1"}"#, "", "region us-east-1 is not among runners.lambda.regions"),
        (r#"{"fire_and_forget": true}"#, "", "settings.fire_and_forget needs settings.mode"),
        (
            r#"{"qualifier": "1"}"#,
            "target = 'loader:live'",
            "settings.qualifier: loader:live has a qualifier",
        ),
        (
            r#"{"payload": {"a": "{{ row.nothing }}"}}"#,
            "",
            "parameters.settings.payload.a: {{ row.nothing }}",
        ),
        (&large, "", "Lambda takes 1048576 in mode Event"),
    ];
    for (settings, change, words) in cases {
        let settings = if settings.is_empty() { "{}" } else { settings };
        let lambda = Lambda::new(settings, ("", "")).await;
        if !change.is_empty() {
            lambda.db.run(&format!("update rowcall.parameters set {change}")).await;
        }
        let _dispatcher = lambda.dispatcher().await;
        lambda.insert().await;
        lambda.db.until("exists (select from rowcall.jobs where state = 'blocked')").await;
        let reason: String = lambda.db.one("select reason from rowcall.jobs").await;
        assert!(reason.contains(words), "{reason}");
        assert_eq!(lambda.aws.count("Invoke"), 0);
    }
}

#[tokio::test]
async fn a_probe_asks_lambda_and_runs_nothing() {
    let lambda = Lambda::new("{}", ("", "")).await;
    let (runner, _ends) = alone(&lambda.settings());
    let probe = async |settings: Value| runner.probe(&attempt(settings).request).await;
    assert_eq!(probe(json!({"qualifier": "live"})).await, Ok("loader:live may be invoked".to_owned()));
    let error = probe(json!({"qualifier": "gone"})).await.unwrap_err();
    assert!(error.starts_with("ResourceNotFoundException: Function not found"), "{error}");
    let denied =
        Fault::error(403, "AccessDeniedException", "not authorized to perform: lambda:InvokeFunction");
    lambda.aws.reply(LOADER, [Reply::Fault(denied)]);
    let error = probe(json!({})).await.unwrap_err();
    assert!(error.contains("lambda:InvokeFunction"), "{error}");
    assert_eq!(lambda.aws.executed(LOADER), 0);
    assert!(lambda.aws.invocations(LOADER).iter().all(|call| call.kind == "DryRun"));
}
