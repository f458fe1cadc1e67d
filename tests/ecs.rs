//! Tasks on ECS, against an endpoint of ours that plays AWS with all its moods. Whatever goes wrong, one attempt
//! has one task.

mod ends;
mod following;
mod launching;
mod refused;
mod strays;

use std::sync::Arc;
use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::aws::Aws;
use rowcall::runners::ecs::{EcsRunner, Timing};
use rowcall::runners::{Ends, Runners};
use rowcall::settings::Settings;

use crate::support::aws::ScriptedAws;
use crate::support::{TestDatabase, settings};

/// Times for tests: as the real ones, a hundred times shorter where something must pass, endless where it must not.
pub fn quick() -> Timing {
    Timing {
        second_look: Duration::from_millis(30),
        soonest: Duration::from_millis(20),
        latest: Duration::from_millis(50),
        gone_after: Duration::from_millis(300),
        appears_within: Duration::from_secs(2),
        strays_every: Duration::ZERO,
        log_delay: Duration::from_millis(20),
        ..Timing::default()
    }
}

/// A database and an AWS.
pub struct Ecs {
    pub db: TestDatabase,
    pub aws: ScriptedAws,
    pub timing: Timing,
    pub settings: Settings,
}

impl Ecs {
    /// With the definition `file-loader`, whose tasks run as soon as somebody looks, and a task `loader` for it.
    pub async fn new() -> Self {
        let ecs = Self::without_parameters().await;
        ecs.parameters("").await;
        ecs
    }

    pub async fn without_parameters() -> Self {
        let (db, aws) = (TestDatabase::new().await, ScriptedAws::start().await);
        aws.define("file-loader", serde_json::json!({}));
        aws.auto_run(true);
        let mut settings = settings(&db.url);
        // Without a password, as is right for what goes into overrides.
        settings.tasks.database_url = String::from("postgresql://rowcall_task@db.example/app");
        settings.aws.region = String::from("eu-west-1");
        settings.aws.endpoint = String::from(aws.url());
        settings.runners.ecs.subnets = vec!["subnet-*".to_owned()];
        settings.runners.ecs.security_groups = vec!["sg-*".to_owned()];
        settings.runners.ecs.allow_public_ip = true;
        settings.runners.ecs.clusters = vec!["jobs".to_owned(), "nowhere".to_owned()];
        settings.runners.ecs.task_definitions = vec!["file-loader*".to_owned()];
        settings.runners.ecs.run_task_rate = 1000.0;
        settings.runners.ecs.read_rate = 1000.0;
        Self { db, aws, timing: quick(), settings }
    }

    /// The row of the task `loader`: settings besides cluster and subnets, as JSON members.
    pub async fn parameters(&self, more: &str) {
        self.parameters_with(more, ("", "")).await;
    }

    /// The same with more columns.
    pub async fn parameters_with(&self, more: &str, (columns, values): (&str, &str)) {
        let comma = if more.is_empty() { "" } else { ", " };
        self.db
            .run(&format!(
                r#"insert into rowcall.parameters (name, on_status, runner, target, command, backoff, settings{columns})
                   values ('loader', 'REGISTERED', 'ecs', 'file-loader', '{{load,"{{{{ row.id }}}}"}}', '10 milliseconds',
                   '{{"cluster": "jobs", "subnets": ["subnet-1"]{comma}{more}}}'{values})"#
            ))
            .await;
    }

    pub async fn dispatcher(&self) -> Dispatcher {
        let make = |settings: &Settings, ends: &Ends| {
            let aws = Arc::new(Aws::with_credentials(&settings.aws, "AKIDEXAMPLE", "secret"));
            let (ecs, url) = (&settings.runners.ecs, &settings.tasks.database_url);
            let runner = EcsRunner::new(ecs, aws, ends.clone(), url);
            Ok(Runners::default().with(Arc::new(runner.with_timing(self.timing.clone()))))
        };
        Dispatcher::start(self.settings.clone(), Mode::Serve, make).await.unwrap()
    }

    /// A row that asks for the task.
    pub async fn insert(&self) {
        self.db.run("insert into rowcall.files default values").await;
    }

    /// The ARN of the `n`th task that ever existed, from 0, as soon as it does.
    pub async fn task(&self, n: usize) -> String {
        self.aws.until(|aws| aws.count_tasks(|_| true) > n).await;
        self.aws.tasks()[n].arn.clone()
    }

    /// A row that asks for the task, and the ARN of the first task as soon as the database knows that it runs.
    pub async fn running(&self) -> String {
        self.insert().await;
        let arn = self.task(0).await;
        self.begun(&arn).await;
        arn
    }

    /// Ends a task well, and the only job with it.
    pub async fn succeeds(&self, arn: &str) {
        self.aws.finish(arn, 0);
        assert_eq!(self.settled().await, ["SUCCEEDED"]);
    }

    /// Waits until the database knows that a task runs.
    pub async fn begun(&self, arn: &str) {
        self.db
            .until(&format!(
                "exists (select from rowcall.attempts where external_id = '{arn}' and begun_at is not null)"
            ))
            .await;
    }

    /// Waits for the end of all jobs; their outcomes with their messages.
    pub async fn settled(&self) -> Vec<String> {
        self.db.until("not exists (select from rowcall.jobs)").await;
        self.db
            .one("select coalesce(array_agg(outcome || coalesce(': ' || message, '') order by job_id), '{}') from rowcall.history")
            .await
    }

    pub async fn attempts(&self) -> i64 {
        self.db.one("select count(*) from rowcall.attempts").await
    }

    /// Tasks that ever existed.
    pub fn tasks(&self) -> usize {
        self.aws.count_tasks(|_| true)
    }

    /// Ends a dispatcher in good order.
    pub async fn stop(&self, dispatcher: Dispatcher) {
        dispatcher.drain();
        dispatcher.finish().await.unwrap();
    }
}
