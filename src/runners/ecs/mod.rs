//! Attempts as tasks on ECS and Fargate.
//!
//! The launch key is RunTask's `clientToken` and the task's `startedBy`. The first makes a repeated launch find
//! the first one, the second finds what runs under a key, for any dispatcher. Tasks are followed by asking for a
//! hundred of them at a time; events from a queue only make that sooner.

mod definitions;
mod events;
mod fargate;
mod follow;
mod launch;
mod log_tail;
mod observe;
pub mod outcome;
mod probe;
mod rails;
mod reasons;
mod refusal;
mod region;
mod request;
mod settings;
mod strays;
mod timing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::aws::{Aws, Fault, has_password};
use super::rails::check_environment;
use super::{Attempt, Capabilities, Ends, Found, LaunchError, Launched, Observation, Runner, Stray};
use crate::job::RunnerName;
use crate::parameters::{LaunchSpec, Task};
use crate::settings::EcsSettings;
use follow::Follow;
use region::{Region, Regions, learn};
pub use settings::{KEYS as SETTINGS, TaskSettings, check_target};
use strays::Foreign;
pub use timing::Timing;

/// StopTask may take a container's whole `stopTimeout` (2 minutes at most), and the way to STOPPED some more.
const STOP_LIMIT: Duration = Duration::from_mins(10);

/// What StopTask takes as reason, in characters.
const REASON_LIMIT: usize = 255;

/// Seconds of launches that may wait here: enough to keep the pace, few enough that other dispatchers get theirs.
const BACKLOG_SECONDS: f64 = 3.0;

/// Runs task definitions that the operator allows.
#[derive(Debug)]
pub struct EcsRunner {
    settings: EcsSettings,
    regions: Regions,
    aws: Arc<Aws>,
    timing: Timing,
    ends: Ends,
    follow: Follow,
    foreign: Foreign,
    /// What tasks get as ROWCALL_DATABASE_URL: nothing if there is a password in it.
    database_url: String,
    /// There was one.
    url_withheld: bool,
}

impl EcsRunner {
    /// A runner that will find its credentials when it first needs them.
    #[must_use]
    pub fn new(settings: &EcsSettings, aws: Arc<Aws>, ends: Ends, database_url: &str) -> Self {
        Self {
            regions: Regions::new(Arc::clone(&aws), settings),
            settings: settings.clone(),
            aws,
            timing: Timing::default(),
            ends,
            follow: Follow::default(),
            foreign: Foreign::default(),
            url_withheld: has_password(database_url),
            database_url: if has_password(database_url) { String::new() } else { database_url.to_owned() },
        }
    }

    /// The same with other times.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The settings of an attempt that is already frozen, and its region.
    async fn place(&self, attempt: &Attempt) -> Result<(TaskSettings, Arc<Region>), String> {
        let settings = TaskSettings::read(&attempt.request.settings)?;
        let region = self.regions.get(settings.region()).await?;
        Ok((settings, region))
    }

    async fn stop_task(&self, region: &Region, cluster: &str, arn: &str, reason: &str) -> Result<(), Fault> {
        region.stop.wait().await;
        let reason: String = reason.chars().take(REASON_LIMIT).collect();
        let answer = region.ecs.stop_task().cluster(cluster).task(arn).reason(reason).send().await;
        match learn(&region.stop, "StopTask", answer) {
            // It is gone, which is what was wanted.
            Err(fault) if fault.message.contains("task was not found") => Ok(()),
            other => other.map(drop),
        }
    }
}

#[async_trait]
impl Runner for EcsRunner {
    fn name(&self) -> RunnerName {
        RunnerName::Ecs
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            capacity: self.settings.max_running,
            stock: 0,
            short: Duration::ZERO,
            stock_wait: Duration::ZERO,
            backlog: (self.settings.run_task_rate * BACKLOG_SECONDS).ceil() as usize,
            bound_to_host: false,
            repeatable: true,
            sees_ends: true,
            stop_limit: STOP_LIMIT,
        }
    }

    async fn place(&self) -> String {
        String::new()
    }

    async fn ready(&self) -> Result<(), String> {
        if self.url_withheld {
            tracing::info!(
                "tasks.database_url holds a password, so tasks on ECS get it only from their definition's secrets"
            );
        }
        self.aws.find_own().await
    }

    fn freeze(&self, request: &mut LaunchSpec) {
        // Another daemon may be at home elsewhere.
        let named = TaskSettings::read(&request.settings).is_ok_and(|settings| settings.region().is_some());
        if let (false, Some(settings)) = (named, request.settings.as_object_mut()) {
            settings.insert("region".to_owned(), self.aws.own().into());
        }
    }

    fn check(&self, request: &LaunchSpec) -> Result<(), String> {
        self.may_launch(request)?;
        let settings = TaskSettings::read(&request.settings)?;
        fargate::check_size(&settings)?;
        request::check_length(request, &settings, &self.database_url)
    }

    fn may_launch(&self, request: &LaunchSpec) -> Result<(), String> {
        check_target(&request.target)?;
        let settings = TaskSettings::read(&request.settings)?;
        check_environment(self.name(), request.environment.keys(), &self.settings.environment)?;
        rails::check(&request.target, &settings, &self.settings, self.aws.own())
    }

    async fn probe(&self, request: &LaunchSpec) -> Result<String, String> {
        let settings = TaskSettings::read(&request.settings)?;
        let region = self.regions.get(settings.region()).await?;
        probe::probe(&region, &request.target, &settings).await
    }

    async fn keep_pace(&self, attempt: &Attempt) {
        // What is wrong with its place is said by the launch.
        if let Ok((_, region)) = self.place(attempt).await {
            region.run.wait().await;
        }
    }

    async fn launch(
        &self,
        attempt: &Attempt,
        contract: &[(String, String)],
    ) -> Result<Launched, LaunchError> {
        let refused = |reason| LaunchError::refused(reason, false);
        let settings = TaskSettings::read(&attempt.request.settings).map_err(refused)?;
        let region =
            self.regions.get(settings.region()).await.map_err(|reason| LaunchError::refused(reason, true))?;
        let contract: Vec<(String, String)> = contract
            .iter()
            .filter(|(name, _)| name != "ROWCALL_DATABASE_URL" || !self.database_url.is_empty())
            .cloned()
            .collect();
        launch::launch(&region, attempt, &settings, &contract, &self.timing).await
    }

    async fn observe(&self, attempts: &[Arc<Attempt>]) -> Vec<Observation> {
        observe::look(self, attempts).await;
        self.follow.last(attempts)
    }

    async fn find(&self, attempt: &Attempt) -> Result<Found, String> {
        let (settings, region) = self.place(attempt).await?;
        let found = launch::find(&region, &settings.cluster, &attempt.launch_key, &self.timing).await;
        Ok(found.map_err(|fault| format!("ListTasks: {fault}"))?.map_or(Found::Nothing, Found::Running))
    }

    async fn stop(&self, attempt: &Attempt, reason: &str) -> Result<(), String> {
        // Fargate may need a minute to clear up after a task that has reported and left.
        if self.follow.is_leaving(attempt.id) {
            return Ok(());
        }
        let (settings, region) = self.place(attempt).await?;
        let arn = match &attempt.external_id {
            Some(arn) if !attempt.in_doubt => Some(arn.clone()),
            // What this runner has not launched itself is found by its key: any task could stand in the table.
            _ => launch::find(&region, &settings.cluster, &attempt.launch_key, &self.timing)
                .await
                .map_err(|fault| format!("ListTasks: {fault}"))?,
        };
        let Some(arn) = arn else { return Ok(()) };
        self.stop_task(&region, &settings.cluster, &arn, reason)
            .await
            .map_err(|fault| format!("StopTask: {fault}"))?;
        self.follow.hurry(attempt.id, self.timing.soonest);
        Ok(())
    }

    async fn forget(&self, attempt: &Attempt) {
        self.follow.forget(attempt);
    }

    async fn strays(&self, prefix: &str, tasks: &[&Task]) -> Vec<Stray> {
        strays::strays(self, prefix, tasks).await
    }

    async fn discard(&self, stray: &Stray) {
        strays::discard(self, stray).await;
    }

    async fn background(&self, stopping: CancellationToken) {
        if !self.settings.event_queue.is_empty() {
            events::listen(self, &stopping).await;
        }
    }
}
