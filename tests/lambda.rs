//! Tasks as Lambda functions: one execution for an attempt, whatever becomes of the call or the dispatcher.

mod ends;
mod in_doubt;
mod launching;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::job::{AttemptId, End};
use rowcall::runners::aws::Aws;
use rowcall::runners::lambda::{LambdaRunner, Timing};
use rowcall::runners::{Ends, Runners};
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use crate::support::aws::{REGION, ScriptedAws};
use crate::support::{TestDatabase, settings};

/// The function of every test here.
pub const LOADER: &str = "loader";

/// A database, an AWS with one function, and a task for it.
pub struct Lambda {
    pub db: TestDatabase,
    pub aws: ScriptedAws,
}

impl Lambda {
    /// With these settings in the parameters row, and further columns.
    pub async fn new(task_settings: &str, (columns, values): (&str, &str)) -> Self {
        let (db, aws) = (TestDatabase::new().await, ScriptedAws::start().await);
        aws.add_function(LOADER, &[("live", "7")]);
        let comma = if columns.is_empty() { "" } else { ", " };
        let attempts = if columns.contains("max_attempts") { ("", "") } else { (", max_attempts", ", 2") };
        let columns = format!("runner, target, settings, backoff{}{comma}{columns}", attempts.0);
        let values = format!(
            "'lambda', '{LOADER}', '{task_settings}', '10 milliseconds'{}{comma}{values}",
            attempts.1
        );
        db.task("task", "REGISTERED", (&columns, &values)).await;
        Self { db, aws }
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(&self.db.url);
        REGION.clone_into(&mut settings.aws.region);
        self.aws.url().clone_into(&mut settings.aws.endpoint);
        settings.runners.lambda.enabled = true;
        settings.runners.lambda.functions = vec![format!("{LOADER}*")];
        settings
    }

    pub async fn dispatcher(&self) -> Dispatcher {
        self.dispatcher_with(self.settings()).await
    }

    async fn dispatcher_with(&self, settings: Settings) -> Dispatcher {
        let make =
            |settings: &Settings, ends: &Ends| Ok(Runners::default().with(Arc::new(runner(settings, ends))));
        Dispatcher::start(settings, Mode::Serve, make).await.unwrap()
    }

    async fn insert(&self) {
        self.db.run("insert into rowcall.files default values").await;
    }

    /// Outcome and attempts of the one job, status, outcome and message of its row.
    async fn ended(&self) -> String {
        self.db.until("exists (select from rowcall.history) and not exists (select from rowcall.jobs)").await;
        let sql = "select concat_ws(' ', h.outcome, h.attempt_count, f.status, f.attributes->>'outcome',
            f.attributes->>'message') from rowcall.history h, rowcall.files f";
        self.db.one(sql).await
    }

    /// The same for a row inserted now, with a dispatcher of its own.
    async fn run(&self) -> String {
        let dispatcher = self.dispatcher().await;
        self.insert().await;
        let ended = self.ended().await;
        dispatcher.drain();
        dispatcher.finish().await.unwrap();
        ended
    }

    /// One column of the last attempt, as text.
    async fn attempt(&self, column: &str) -> Option<String> {
        self.db.one(&format!("select {column}::text from rowcall.attempts order by id desc limit 1")).await
    }

    /// What the function was given with its last call.
    fn event(&self) -> serde_json::Value {
        self.aws.invocations(LOADER).last().expect("never invoked").payload.clone()
    }

    /// The function reports, with the token that it was given.
    async fn report(&self, call: &str) {
        let token = self.event()["rowcall"]["token"].as_str().unwrap().to_owned();
        self.db.client.execute(&format!("select rowcall.{call}"), &[&token]).await.unwrap();
    }

    async fn called(&self) {
        self.aws.until(|aws| aws.count("Invoke") > 0).await;
    }

    /// Waits until the database knows that the runner has the attempt.
    async fn launched(&self) {
        self.db.until("select bool_and(launched_at is not null) from rowcall.attempts").await;
    }
}

fn runner(settings: &Settings, ends: &Ends) -> LambdaRunner {
    let aws = Arc::new(Aws::with_credentials(&settings.aws, "AKIDEXAMPLE", "secret"));
    let timing = Timing {
        prompt: Duration::from_millis(300),
        longest_wait: Duration::from_millis(10),
        ..Timing::default()
    };
    LambdaRunner::new(&settings.runners.lambda, &settings.aws, aws, ends.clone()).with_timing(timing)
}

/// A runner without a dispatcher.
fn alone(settings: &Settings) -> (LambdaRunner, mpsc::UnboundedReceiver<(AttemptId, End)>) {
    let (ends, ended) = mpsc::unbounded_channel();
    (runner(settings, &ends), ended)
}

/// The same with other times.
fn alone_with(
    settings: &Settings,
    timing: Timing,
) -> (LambdaRunner, mpsc::UnboundedReceiver<(AttemptId, End)>) {
    let (runner, ended) = alone(settings);
    (runner.with_timing(timing), ended)
}
