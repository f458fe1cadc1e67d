//! `deploy/iam/daemon.json` allows what the daemon does in AWS, and nothing it does not do.

use std::collections::BTreeSet;
use std::sync::Arc;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Runners;
use rowcall::runners::aws::Aws;
use rowcall::runners::ecs::EcsRunner;
use rowcall::runners::lambda::LambdaRunner;
use rowcall::settings::Settings;
use serde_json::{Value, json};

use crate::ecs::{Ecs, quick};

fn allowed() -> BTreeSet<String> {
    let policy: Value = serde_json::from_str(include_str!("../deploy/iam/daemon.json")).unwrap();
    let mut actions = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        match &statement["Action"] {
            Value::String(action) => drop(actions.insert(action.clone())),
            list => actions.extend(list.as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned())),
        }
    }
    actions
}

#[tokio::test]
async fn the_policy_allows_exactly_the_calls_that_are_made() {
    let mut ecs = Ecs::without_parameters().await;
    let log = json!({"logDriver": "awslogs", "options": {"awslogs-group": "/jobs", "awslogs-stream-prefix": "job"}});
    ecs.aws.define(
        "file-loader",
        json!({"executionRoleArn": "arn:aws:iam::123456789012:role/rowcall-execution",
               "containerDefinitions": [{"name": "main", "logConfiguration": log}]}),
    );
    ecs.aws.add_function("rowcall-thumbnail", &[]);
    ecs.settings.runners.ecs.event_queue = ecs.aws.queue_url();
    ecs.settings.runners.lambda.functions = vec!["rowcall-*".to_owned()];
    ecs.parameters_with("", (", max_attempts", ", 1")).await;
    ecs.db
        .run(
            "insert into rowcall.parameters (name, on_status, runner, target)
             values ('thumbnail', 'UPLOADED', 'lambda', 'rowcall-thumbnail')",
        )
        .await;
    let dispatcher = Dispatcher::start(ecs.settings.clone(), Mode::Serve, |settings: &Settings, ends| {
        let aws = Arc::new(Aws::with_credentials(&settings.aws, "AKIDEXAMPLE", "secret"));
        let lambda =
            LambdaRunner::new(&settings.runners.lambda, &settings.aws, Arc::clone(&aws), ends.clone());
        let ecs = EcsRunner::new(&settings.runners.ecs, aws, ends.clone(), "");
        Ok(Runners::default().with(Arc::new(ecs.with_timing(quick()))).with(Arc::new(lambda)))
    })
    .await
    .unwrap();
    ecs.db
        .run("insert into rowcall.files (status) values ('REGISTERED'), ('REGISTERED'), ('UPLOADED')")
        .await;
    let (failing, cancelled) = (ecs.task(0).await, ecs.task(1).await);
    ecs.begun(&failing).await;
    ecs.begun(&cancelled).await;
    ecs.aws.push_event(&json!({"detail": {"taskArn": failing, "version": 2}}));
    ecs.aws.until(|aws| !aws.deleted_events().is_empty()).await;
    ecs.aws.finish(&failing, 3);
    ecs.db
        .client
        .execute("select rowcall.cancel(job_id) from rowcall.attempts where external_id = $1", &[&cancelled])
        .await
        .unwrap();
    ecs.settled().await;
    ecs.aws.until(|aws| aws.count("ListTasks") > 0).await;
    ecs.stop(dispatcher).await;
    assert_eq!(ecs.aws.actions(), allowed());
}
