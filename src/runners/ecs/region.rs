//! One region of one account: its clients, and how fast they may be used.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::Mutex;

use super::definitions::Definitions;
use crate::runners::aws::{Aws, Fault, Kind, Pace, fault};
use crate::settings::EcsSettings;

/// RunTask calls that may come in a burst (Fargate's bucket).
const RUN_BURST: f64 = 20.0;

/// StopTask calls a second and in a burst: half of the bucket it shares with RunTask and others.
const STOP_RATE: f64 = 20.0;
const STOP_BURST: f64 = 50.0;

/// DescribeTaskDefinition calls a second and in a burst: half of its bucket.
const DEFINITION_RATE: f64 = 10.0;
const DEFINITION_BURST: f64 = 25.0;

/// ListTasks calls a second that prove that nothing runs, as part of the read rate and beside it.
const FIND_SHARE: f64 = 0.5;

/// So many seconds of the read rate may come in a burst.
const READ_BURST_SECONDS: f64 = 5.0;

/// A region's clients.
#[derive(Debug)]
pub struct Region {
    pub ecs: aws_sdk_ecs::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub run: Pace,
    pub stop: Pace,
    pub read: Pace,
    /// For proving that nothing runs: launches that are refused by the hundred must not keep us from following.
    pub find: Pace,
    pub definition_reads: Pace,
    pub definitions: Definitions,
}

impl Region {
    fn new(config: &aws_config::SdkConfig, settings: &EcsSettings) -> Self {
        Self {
            ecs: aws_sdk_ecs::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            run: Pace::new(settings.run_task_rate, RUN_BURST.min(settings.run_task_rate)),
            stop: Pace::new(STOP_RATE, STOP_BURST),
            read: Pace::new(settings.read_rate, READ_BURST_SECONDS * settings.read_rate),
            find: Pace::new(FIND_SHARE * settings.read_rate, settings.read_rate),
            definition_reads: Pace::new(DEFINITION_RATE, DEFINITION_BURST),
            definitions: Definitions::default(),
        }
    }
}

/// All regions in use, made when first needed.
#[derive(Debug)]
pub struct Regions {
    aws: Arc<Aws>,
    settings: EcsSettings,
    made: Mutex<HashMap<String, Arc<Region>>>,
    /// The daemon's own, once it is known.
    own: OnceLock<String>,
}

impl Regions {
    pub fn new(aws: Arc<Aws>, settings: &EcsSettings) -> Self {
        Self { aws, settings: settings.clone(), made: Mutex::default(), own: OnceLock::new() }
    }

    /// Finds out the daemon's own region.
    pub async fn find_own(&self) -> Result<(), String> {
        let config = self.aws.config(None).await?;
        let name = config.region().map(ToString::to_string).unwrap_or_default();
        let _ = self.own.set(name);
        Ok(())
    }

    /// The daemon's own region.
    pub fn own(&self) -> &str {
        self.own.get().map_or("", String::as_str)
    }

    /// The region of this name, or the daemon's own.
    pub async fn get(&self, name: Option<&str>) -> Result<Arc<Region>, String> {
        let mut made = self.made.lock().await;
        if let Some(region) = made.get(name.unwrap_or_default()) {
            return Ok(Arc::clone(region));
        }
        let config = self.aws.config(name).await?;
        // By its real name too, so that a region has one pace whether it is named or not.
        let real = config.region().map(ToString::to_string).unwrap_or_default();
        let region =
            made.entry(real).or_insert_with(|| Arc::new(Region::new(&config, &self.settings))).clone();
        made.insert(name.unwrap_or_default().to_owned(), Arc::clone(&region));
        Ok(region)
    }
}

/// Understands the result of a paced call, and lets the pace learn from it.
pub fn learn<T, E>(pace: &Pace, what: &str, result: Result<T, SdkError<E, HttpResponse>>) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match result {
        Ok(answer) => {
            pace.good();
            Ok(answer)
        }
        Err(error) => {
            let fault = fault(&error);
            if fault.kind == Kind::Throttled
                && let Some(calls_a_second) = pace.throttled()
            {
                tracing::warn!(
                    what,
                    calls_a_second,
                    message = fault.message,
                    "throttled by AWS; going slower"
                );
            }
            Err(fault)
        }
    }
}
