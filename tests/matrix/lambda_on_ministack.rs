//! Real Python, in a process beside the stand-in.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::aws::Aws;
use rowcall::runners::lambda::{LambdaRunner, Timing};
use rowcall::runners::{Ends, Runners};
use rowcall::settings::Settings;
use serde_json::{Value, json};

use super::{Expected, Then, Told, settings_for};
use crate::support::TestDatabase;
use crate::support::standins::Ministack;

/// A database, and a directory in which every execution leaves a line.
struct Lambda {
    db: TestDatabase,
    ministack: &'static Ministack,
    place: tempfile::TempDir,
}

impl Lambda {
    async fn new() -> Self {
        let (db, ministack) = (TestDatabase::new().await, Ministack::shared().await);
        Self { db, ministack, place: tempfile::tempdir().unwrap() }
    }

    /// A function whose body is this, given `attempt`, `event` and `context`; its name.
    async fn function(&self, body: &str, timeout: i32) -> String {
        self.ministack.function("matrix", &self.source(body), timeout).await
    }

    fn source(&self, body: &str) -> String {
        format!(
            "import json, os, subprocess, time\n\
             def handler(event, context):\n    \
                 open({:?}, 'a').write('executed\\n')\n    \
                 attempt = event['rowcall']['attempt']\n    \
                 {}\n",
            self.place.path().join("executed").to_str().unwrap(),
            body.replace('\n', "\n    ")
        )
    }

    fn executed(&self) -> usize {
        std::fs::read_to_string(self.place.path().join("executed")).unwrap_or_default().lines().count()
    }

    async fn parameters(&self, target: &str, settings: &Value, (columns, values): (&str, &str)) {
        let sql = format!(
            "insert into rowcall.parameters (name, on_status, max_attempts, backoff, runner, target, settings{columns})
             values ('task', 'REGISTERED', 2, '10 milliseconds', 'lambda', $1, $2{values})"
        );
        self.db.client.execute(&sql, &[&target, settings]).await.unwrap();
    }

    async fn dispatcher(&self) -> Dispatcher {
        let mut settings = settings_for(&self.db, self.ministack.url());
        settings.runners.lambda.enabled = true;
        settings.runners.lambda.functions = vec!["matrix-*".to_owned()];
        let make =
            |settings: &Settings, ends: &Ends| Ok(Runners::default().with(Arc::new(runner(settings, ends))));
        Dispatcher::start(settings, Mode::Serve, make).await.unwrap()
    }

    async fn insert(&self) {
        self.db.run("insert into rowcall.files default values").await;
    }

    async fn told(&self, expected: Expected, executions: usize) -> Told {
        let told = Told::of(&self.db).await;
        told.must_be(&expected);
        assert_eq!(self.executed(), executions, "{told:#?}");
        told
    }

    /// The whole way for a row inserted now.
    async fn run(&self, expected: Expected, executions: usize) -> Told {
        let dispatcher = self.dispatcher().await;
        self.insert().await;
        let told = self.told(expected, executions).await;
        stop(dispatcher).await;
        told
    }

    async fn concurrency(&self, function: &str, limit: i32) {
        let call = self.ministack.lambda().put_function_concurrency().function_name(function);
        call.reserved_concurrent_executions(limit).send().await.unwrap();
    }
}

fn runner(settings: &Settings, ends: &Ends) -> LambdaRunner {
    let aws = Arc::new(Aws::with_credentials(&settings.aws, "AKIDEXAMPLE", "secret"));
    let timing = Timing { longest_wait: Duration::from_millis(50), ..Timing::default() };
    LambdaRunner::new(&settings.runners.lambda, &settings.aws, aws, ends.clone()).with_timing(timing)
}

async fn stop(dispatcher: Dispatcher) {
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

/// A function's body, and how its first attempt ends.
async fn ends(body: &str, timeout: i32, expected: Expected) -> Told {
    let lambda = Lambda::new().await;
    let function = lambda.function(body, timeout).await;
    lambda.parameters(&function, &json!({}), ("", "")).await;
    lambda.run(expected, if expected.then == Then::Over { 1 } else { 2 }).await
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn an_answer_is_the_result() {
    let told =
        ends("print('worked')\nreturn {'made': attempt}", 10, Expected::ends("SUCCEEDED", Some(0), "")).await;
    assert_eq!(told.result, json!({"made": 1}));
    assert!(told.attempts[0].output.contains("worked"), "{told:#?}");
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn an_exception_is_a_failure_in_its_own_words_and_tried_again() {
    let body = "if attempt == 1: raise ValueError('no such column')";
    ends(body, 10, Expected::retried("TASK_FAILED", None, "no such column")).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_function_that_runs_too_long_has_failed_and_is_tried_again() {
    let body = "if attempt == 1: time.sleep(60)";
    ends(body, 1, Expected::retried("TASK_FAILED", None, "Task timed out after 1.00 seconds")).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_function_whose_process_dies_has_failed_and_is_tried_again() {
    let body = "if attempt == 1: os._exit(7)";
    ends(body, 10, Expected::retried("TASK_FAILED", None, "died")).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn what_runs_past_the_rows_own_timeout_is_not_run_beside_itself() {
    let lambda = Lambda::new().await;
    let function = lambda.function("time.sleep(5)", 10).await;
    lambda.parameters(&function, &json!({}), (", timeout", ", '1 second'")).await;
    let words =
        "ran longer than its timeout of 00:00:01, and it may run still: a Lambda function cannot be stopped";
    lambda.run(Expected::ends("TIMED_OUT", None, words), 1).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_function_that_is_not_there_is_final() {
    let lambda = Lambda::new().await;
    lambda.parameters("matrix-none", &json!({}), ("", "")).await;
    lambda.run(Expected::ends("RUNNER_FAILED", None, "ResourceNotFoundException: "), 0).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn an_alias_is_the_version_it_stands_for() {
    let lambda = Lambda::new().await;
    let (function, aws) = (lambda.function("return 'old'", 10).await, lambda.ministack.lambda());
    let version = aws.publish_version().function_name(&function).send().await.unwrap();
    let alias = aws.create_alias().function_name(&function).name("live");
    alias.function_version(version.version().unwrap()).send().await.unwrap();
    let zip = Blob::new(Ministack::zip(&lambda.source("return 'new'")).await);
    aws.update_function_code().function_name(&function).zip_file(zip).send().await.unwrap();
    lambda.parameters(&format!("{function}:live"), &json!({}), ("", "")).await;
    let succeeds = Expected::ends("SUCCEEDED", Some(0), "");
    assert_eq!(lambda.run(succeeds, 1).await.result, "old");
    for (settings, expected) in [
        (json!({}), succeeds),
        (json!({"qualifier": "gone"}), Expected::ends("RUNNER_FAILED", None, "ResourceNotFoundException: ")),
    ] {
        let other = Lambda::new().await;
        other.parameters(&function, &settings, ("", "")).await;
        let told = other.run(expected, 0).await;
        assert_eq!(told.result, if expected.outcome == "SUCCEEDED" { json!("new") } else { Value::Null });
    }
    // Of the two others only the first has executed anything, and it left its line in the first one's place.
    assert_eq!(lambda.executed(), 2);
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_throttled_function_is_waited_for_and_no_attempt_is_spent() {
    let lambda = Lambda::new().await;
    let function = lambda.function("return 'done'", 10).await;
    lambda.concurrency(&function, 0).await;
    lambda.parameters(&function, &json!({}), ("", "")).await;
    let dispatcher = lambda.dispatcher().await;
    lambda.insert().await;
    // Asked, and refused without having done anything.
    lambda.db.until("exists (select from rowcall.attempts where asked_at is not null)").await;
    lambda.db.until("exists (select from rowcall.attempts where asked_at is null)").await;
    lambda.concurrency(&function, 5).await;
    lambda.told(Expected::ends("SUCCEEDED", Some(0), ""), 1).await;
    stop(dispatcher).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_function_that_stays_throttled_is_given_up() {
    let lambda = Lambda::new().await;
    let function = lambda.function("return 'done'", 10).await;
    lambda.concurrency(&function, 0).await;
    lambda.parameters(&function, &json!({}), (", launch_timeout", ", '1 second'")).await;
    lambda.run(Expected::given_up("RUNNER_FAILED", None, "not launched within 00:00:01"), 0).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn an_event_ends_with_the_functions_report() {
    let lambda = Lambda::new().await;
    let body = "report = \"select rowcall.task_succeed('\" + event['rowcall']['token'] + \"', '{\\\"made\\\": 1}')\"\n\
                subprocess.run(['psql', event['url'], '-c', report], check=True)";
    let function = lambda.function(body, 30).await;
    // A URL with a password is refused in settings; a row may hold it.
    let url =
        format!("alter table rowcall.files alter attributes set default '{}'", json!({"url": lambda.db.url}));
    lambda.db.run(&url).await;
    let settings = json!({"mode": "Event", "payload": {"url": "{{ row.attributes.url }}"}});
    lambda.parameters(&function, &settings, ("", "")).await;
    let told = lambda.run(Expected::ends("SUCCEEDED", None, ""), 1).await;
    assert_eq!(told.result, json!({"made": 1}));
}
