//! What an operator sets: typed, from layers, each wrong key or value named.
//!
//! `config/rowcall.toml` documents every setting and is itself the lowest layer, so the documented defaults
//! are the defaults.

mod either;
mod load;
mod similar_word;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use either::either;
pub use load::{Sources, load};
pub use similar_word::did_you_mean;

/// All settings of the daemon.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// `[database]`
    pub database: DatabaseSettings,
    /// `[dispatcher]`
    pub dispatcher: DispatcherSettings,
    /// `[tasks]`
    pub tasks: TaskSettings,
    /// `[history]`
    pub history: HistorySettings,
    /// `[aws]`
    pub aws: AwsSettings,
    /// `[runners.*]`
    pub runners: RunnerSettings,
    /// `[log]`
    pub log: LogSettings,
}

/// Where the database is and how many connections the daemon takes.
#[derive(Clone, Deserialize)]
pub struct DatabaseSettings {
    /// Connection string; a secret, which is why this type's `Debug` leaves it out.
    pub url: String,
    /// The same past a pooler, for LISTEN; empty for `url`. A secret, too.
    pub listen_url: String,
    /// Connections in the pool, besides the listener's own.
    pub pool_size: usize,
    /// Limit of one connection attempt.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseSettings").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

/// How the dispatcher's loops run; each field is explained in `config/rowcall.toml`.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct DispatcherSettings {
    pub host: String,
    pub batch: usize,
    #[serde(with = "humantime_serde")]
    pub priority_ageing: Duration,
    pub launch_concurrency: usize,
    pub listen: bool,
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    #[serde(with = "humantime_serde")]
    pub poll_interval_without_listen: Duration,
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    #[serde(with = "humantime_serde")]
    pub watch_interval: Duration,
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Duration,
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval_when_idle: Duration,
    #[serde(with = "humantime_serde")]
    pub dead_after: Duration,
    #[serde(with = "humantime_serde")]
    pub lost_after: Duration,
    #[serde(with = "humantime_serde")]
    pub report_grace: Duration,
    pub max_runner_failures: i32,
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
    #[serde(with = "humantime_serde")]
    pub janitor_interval: Duration,
}

/// What every task is given.
#[derive(Clone, Deserialize)]
pub struct TaskSettings {
    /// `ROWCALL_DATABASE_URL` of tasks; a secret, left out of `Debug`.
    pub database_url: String,
}

impl std::fmt::Debug for TaskSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskSettings").finish_non_exhaustive()
    }
}

/// How long the past is kept.
#[derive(Debug, Clone, Deserialize)]
pub struct HistorySettings {
    /// Age at which settled jobs and attempts are dropped.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

/// One section per runner.
#[derive(Debug, Clone, Deserialize)]
pub struct RunnerSettings {
    /// `[runners.process]`
    pub process: ProcessSettings,
    /// `[runners.docker]`
    pub docker: DockerSettings,
    /// `[runners.ecs]`
    pub ecs: EcsSettings,
    /// `[runners.lambda]`
    pub lambda: LambdaSettings,
}

/// The process runner; each field is explained in `config/rowcall.toml`.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct ProcessSettings {
    pub enabled: bool,
    pub programs: Vec<String>,
    pub environment: Vec<String>,
    pub state_dir: PathBuf,
    pub working_directory: PathBuf,
    pub max_running: usize,
    #[serde(with = "humantime_serde")]
    pub stop_grace: Duration,
    pub output_limit: usize,
    pub pass_environment: Vec<String>,
}

/// The Docker runner; each field is explained in `config/rowcall.toml`.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct DockerSettings {
    pub enabled: bool,
    pub host: String,
    pub images: Vec<String>,
    pub mounts: Vec<String>,
    pub networks: Vec<String>,
    pub environment: Vec<String>,
    pub max_running: usize,
    #[serde(with = "humantime_serde")]
    pub stop_grace: Duration,
    pub output_limit: usize,
    pub pull: String,
    #[serde(with = "humantime_serde")]
    pub pull_idle_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
}

/// How AWS is reached; each field is explained in `config/rowcall.toml`.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct AwsSettings {
    pub region: String,
    pub endpoint: String,
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
}

/// The ECS runner; each field is explained in `config/rowcall.toml`.
#[derive(Debug, Clone, Deserialize)]
// Each bool is a switch of the operator's.
#[allow(missing_docs, clippy::struct_excessive_bools)]
pub struct EcsSettings {
    pub enabled: bool,
    pub clusters: Vec<String>,
    pub task_definitions: Vec<String>,
    pub regions: Vec<String>,
    pub role_overrides: Vec<String>,
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub allow_public_ip: bool,
    pub environment: Vec<String>,
    pub environment_files: Vec<String>,
    pub allow_execute_command: bool,
    pub max_running: usize,
    pub run_task_rate: f64,
    pub read_rate: f64,
    pub output_limit: usize,
    pub event_queue: String,
    pub stop_strays: bool,
}

/// The Lambda runner; each field is explained in `config/rowcall.toml`.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct LambdaSettings {
    pub enabled: bool,
    pub functions: Vec<String>,
    pub regions: Vec<String>,
    pub environment: Vec<String>,
    pub max_running: usize,
    pub result_limit: usize,
}

/// How the daemon logs.
#[derive(Debug, Clone, Deserialize)]
pub struct LogSettings {
    /// A level or a filter of `tracing-subscriber`.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// The two forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// One readable line per event.
    Human,
    /// One JSON object per line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is neither human nor json")),
        }
    }
}
