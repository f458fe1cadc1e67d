//! How `rowcall-task exec` is called.

use std::path::PathBuf;
use std::time::Duration;

use humantime::parse_duration;

use crate::task::{contract, files, whereabouts};

/// Docker kills ten seconds after SIGTERM: the rest of them is for the report.
const STOP_GRACE: Duration = Duration::from_secs(8);
/// ECS kills after thirty seconds, unless the task definition's `stopTimeout` says otherwise.
const STOP_GRACE_ON_ECS: Duration = Duration::from_secs(25);

/// How to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The time between two heartbeats
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub heartbeat_interval: Duration,
    /// How long to try to reach the database before the program is started
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub start_limit: Duration,
    /// How long to try to report the program's end
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub report_limit: Duration,
    /// The time from a signal to stop until the program is killed, so that some is left for the report
    ///
    /// By default 8 seconds, and 25 on ECS. Docker kills the container 10 seconds after its signal (--stop-timeout),
    /// ECS after 30 (stopTimeout). Stay below that.
    #[arg(long, value_name = "DURATION", env = "ROWCALL_STOP_GRACE", value_parser = parse_duration)]
    pub stop_grace: Option<Duration>,
    /// Bytes of output kept for the report of a failure
    #[arg(long, value_name = "BYTES", default_value = "65536")]
    pub output_limit: usize,
    /// Exit codes after which the job ends without a retry, such as 2,65
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub no_retry: Vec<i32>,
    /// The file that the program writes its result to, as JSON. An older one is removed before the program starts
    ///
    /// By default a new one, whose path the program finds in ROWCALL_RESULT_FILE.
    #[arg(long, value_name = "PATH", env = "ROWCALL_RESULT_FILE")]
    pub result_file: Option<PathBuf>,
    /// Hide token and database from the program: take ROWCALL_TOKEN, ROWCALL_DATABASE_URL and PG… from its environment
    #[arg(long)]
    pub private: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub command: Vec<String>,
    /// What is fetched and stored around it.
    #[command(flatten)]
    pub files: files::Options,
}

impl Options {
    /// See the option.
    #[must_use]
    pub fn stop_grace(&self) -> Duration {
        let usual = match contract::variable(whereabouts::METADATA) {
            Some(_) => STOP_GRACE_ON_ECS,
            None => STOP_GRACE,
        };
        self.stop_grace.unwrap_or(usual)
    }
}
