//! The suite's subject on ECS: scripts in real containers that see a directory of this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::job::{AttemptId, End, RunnerName};
use rowcall::runners::aws::Aws;
use rowcall::runners::ecs::{EcsRunner, Timing};
use rowcall::runners::{Attempt, Ends, Runner, Runners};
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use super::Subject;
use crate::support::aws::REGION;
use crate::support::settings;
use crate::support::standins::{Definition, Ministack};

pub struct Ecs {
    place: tempfile::TempDir,
    ministack: &'static Ministack,
    definition: String,
}

impl Subject for Ecs {
    const NAME: RunnerName = RunnerName::Ecs;
    const DEFAULTS: &'static str = r#"{"cluster": "jobs", "container": "main", "launch_type": "EC2"}"#;
    /// CloudWatch has it.
    const KEEPS_ALL_OUTPUT: bool = false;
    /// Docker reads them from two pipes.
    const ONE_STREAM: bool = false;
    /// Everybody who may describe a task can read them.
    const HANDS_OUT_PASSWORDS: bool = false;
    const ANNOUNCES: bool = false;
    /// The end of a failure is told once, with its log.
    const KEEPS_ENDS: bool = false;

    /// A log has lines and nothing else.
    fn kept(written: &str) -> String {
        written.strip_suffix('\n').unwrap_or(written).to_owned() + "\n"
    }

    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let ministack = Ministack::shared().await;
        let definition = Definition::busybox().sees(place.path()).stop_timeout(1);
        Self { definition: definition.register(ministack, "suite").await, place, ministack }
    }

    fn place(&self) -> &Path {
        self.place.path()
    }

    fn script(&self, script: &str, arguments: &[&str]) -> (String, Vec<String>) {
        let command = ["/init", "/bin/sh", "-c", script, "sh"];
        (self.definition.clone(), command.iter().chain(arguments).map(ToString::to_string).collect())
    }

    fn forbidden(&self) -> Vec<(String, &'static str)> {
        let rule = "runners.ecs.task_definitions";
        let foreign = format!("arn:aws:ecs:{REGION}:000000000000:task-definition/suite-1:1");
        vec![("other:1".to_owned(), rule), (foreign, rule)]
    }

    fn settings(&self, url: &str) -> Settings {
        let mut settings = settings(url);
        self.ministack.url().clone_into(&mut settings.aws.endpoint);
        REGION.clone_into(&mut settings.aws.region);
        let ecs = &mut settings.runners.ecs;
        ecs.enabled = true;
        ecs.subnets = vec!["subnet-*".to_owned()];
        ecs.clusters = vec!["jobs".to_owned()];
        ecs.task_definitions = vec!["suite-*".to_owned()];
        ecs.output_limit = 10_000;
        settings
    }

    async fn dispatcher(&self, settings: Settings) -> Dispatcher {
        let make =
            |settings: &Settings, ends: &Ends| Ok(Runners::default().with(runner(settings, ends.clone())));
        Dispatcher::start(settings, Mode::Serve, make).await.unwrap()
    }

    fn runner(&self) -> (Arc<dyn Runner>, mpsc::UnboundedReceiver<(AttemptId, End)>) {
        let (ends, ended) = mpsc::unbounded_channel();
        (runner(&self.settings("postgresql://nowhere"), ends), ended)
    }

    fn remembers(&self, _attempt: &Attempt) -> bool {
        unreachable!("left out")
    }
}

fn runner(settings: &Settings, ends: Ends) -> Arc<dyn Runner> {
    let aws = Arc::new(Aws::with_credentials(&settings.aws, "AKIDEXAMPLE", "secret"));
    let quick = Timing {
        soonest: Duration::from_millis(50),
        second_look: Duration::from_millis(50),
        strays_every: Duration::ZERO,
        // As it is: the stand-in may take a second and more to pass on what was logged.
        ..Timing::default()
    };
    let url = &settings.tasks.database_url;
    Arc::new(EcsRunner::new(&settings.runners.ecs, aws, ends, url).with_timing(quick))
}
