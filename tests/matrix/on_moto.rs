//! Refusals that moto knows and ministack does not.

use std::sync::Arc;

use aws_sdk_ecs::types::{ContainerDefinition, DesiredStatus, NetworkMode};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Ends;
use rowcall::runners::Runners;
use rowcall::runners::aws::Aws;
use rowcall::runners::ecs::{EcsRunner, Timing};
use rowcall::settings::Settings;

use super::{Expected, Told, settings_for};
use crate::support::TestDatabase;
use crate::support::standins::{Moto, unique};

/// A database, and a cluster with nothing in it.
struct Ecs {
    db: TestDatabase,
    moto: &'static Moto,
    cluster: String,
    family: String,
}

impl Ecs {
    async fn new() -> Self {
        let (db, moto) = (TestDatabase::new().await, Moto::shared().await);
        let (cluster, family) = (unique("cluster"), unique("matrix"));
        moto.ecs().create_cluster().cluster_name(&cluster).send().await.unwrap();
        Self { db, moto, cluster, family }
    }

    /// The next revision of the family.
    async fn define(&self, mode: NetworkMode) {
        let container = ContainerDefinition::builder().name("main").image("image").memory(64).build();
        let call = self.moto.ecs().register_task_definition().family(&self.family).network_mode(mode);
        call.container_definitions(container).send().await.unwrap();
    }

    async fn parameters(&self, cluster: &str, more: &str) {
        self.db
            .run(&format!(
                r#"insert into rowcall.parameters (name, on_status, max_attempts, backoff, runner, target, settings)
                   values ('task', 'REGISTERED', 2, '10 milliseconds', 'ecs', '{}',
                   '{{"cluster": "{cluster}", "launch_type": "FARGATE"{more}}}')"#,
                self.family
            ))
            .await;
    }

    async fn dispatcher(&self) -> Dispatcher {
        let mut settings = settings_for(&self.db, self.moto.url());
        let ecs = &mut settings.runners.ecs;
        ecs.enabled = true;
        (ecs.clusters, ecs.task_definitions) = (vec!["*".to_owned()], vec!["*".to_owned()]);
        let make = |settings: &Settings, ends: &Ends| {
            let aws = Arc::new(Aws::with_credentials(&settings.aws, "AKIDEXAMPLE", "secret"));
            let runner = EcsRunner::new(&settings.runners.ecs, aws, ends.clone(), "");
            let quick = std::time::Duration::from_millis(50);
            let timing = Timing { soonest: quick, second_look: quick, ..Timing::default() };
            Ok(Runners::default().with(Arc::new(runner.with_timing(timing))))
        };
        Dispatcher::start(settings, Mode::Serve, make).await.unwrap()
    }

    async fn insert(&self) {
        self.db.run("insert into rowcall.files default values").await;
    }

    async fn tasks(&self) -> usize {
        let mut tasks = 0;
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let call = self.moto.ecs().list_tasks().cluster(&self.cluster).desired_status(status);
            tasks += call.send().await.unwrap().task_arns().len();
        }
        tasks
    }

    /// The whole way for a row inserted now: the launch is refused, once, in these words.
    async fn refused(&self, words: &'static str) {
        let dispatcher = self.dispatcher().await;
        self.insert().await;
        Told::of(&self.db).await.must_be(&Expected::ends("RUNNER_FAILED", None, words));
        assert_eq!(self.tasks().await, 0);
        dispatcher.drain();
        dispatcher.finish().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs moto: ./dev test"]
async fn a_cluster_that_is_not_there_is_final() {
    let ecs = Ecs::new().await;
    ecs.define(NetworkMode::Bridge).await;
    ecs.parameters("nowhere", "").await;
    ecs.refused("RunTask: ClusterNotFoundException: Cluster not found.").await;
}

#[tokio::test]
#[ignore = "needs moto: ./dev test"]
async fn a_definition_that_is_not_there_is_final() {
    let ecs = Ecs::new().await;
    ecs.parameters(&ecs.cluster, "").await;
    ecs.refused("ClientException: Unable to describe task definition.").await;
}

#[tokio::test]
#[ignore = "needs moto: ./dev test"]
async fn a_missing_network_is_told_before_ecs_is_asked() {
    let ecs = Ecs::new().await;
    ecs.define(NetworkMode::Awsvpc).await;
    ecs.parameters(&ecs.cluster, "").await;
    ecs.refused("settings.subnets is missing: the task definition's network mode is awsvpc").await;
}

/// A definition that has changed since it was read: only ECS can tell.
#[tokio::test]
#[ignore = "needs moto: ./dev test"]
async fn a_network_that_is_missing_of_late_is_final() {
    let ecs = Ecs::new().await;
    ecs.define(NetworkMode::Bridge).await;
    ecs.parameters(&ecs.cluster, "").await;
    let dispatcher = ecs.dispatcher().await;
    ecs.insert().await;
    ecs.db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    ecs.define(NetworkMode::Awsvpc).await;
    ecs.insert().await;
    let of_the_second = "outcome = 'RUNNER_FAILED' and message like
        '%InvalidParameterException: Network Configuration must be provided%'";
    ecs.db.until(&format!("exists (select from rowcall.history where {of_the_second})")).await;
    assert_eq!(ecs.tasks().await, 1);
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}
