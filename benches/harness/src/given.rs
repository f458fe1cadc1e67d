//! What the harness tells its adapters: variables of the environment.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Who decides when rows are inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// The harness, by lines on standard input.
    Told,
    /// This program, by the rate it was given.
    Rate,
    /// This program, so that a given number of jobs waits.
    Depth,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Given {
    /// The system's own database.
    pub database_url: String,
    /// Its name.
    pub database: String,
    /// Which of the replicas this is, from 0.
    pub instance: u32,
    pub pacing: Pacing,
    /// Rows a second.
    pub rate: f64,
    /// Where a phase writes another rate.
    pub rate_file: Option<PathBuf>,
    /// How many jobs are to wait.
    pub target_depth: u64,
    /// Rows of one INSERT at most.
    pub batch_max: u64,
    /// Between two looks at the rate.
    pub batch_every: Duration,
    /// Jobs at work at the same time.
    pub workers: usize,
    /// About so many bytes of each row are a payload.
    pub payload_bytes: usize,
    /// How long a job is at work.
    pub work: Duration,
    /// Attempts of a job that may fail.
    pub max_attempts: i32,
    /// Between two samples.
    pub sample_every: Duration,
}

impl Given {
    /// As this process was given it.
    pub fn read() -> anyhow::Result<Self> {
        let scenario = text("SCENARIO").unwrap_or_else(|| "long_horizon".to_owned());
        if scenario != "long_horizon" {
            bail!("SCENARIO must be long_horizon, and is {scenario:?}");
        }
        let database_url = text("DATABASE_URL")
            .context("DATABASE_URL must be set: postgres://user:password@host:port/database")?;
        let parsed: tokio_postgres::Config = database_url.parse().context("DATABASE_URL")?;
        Ok(Self {
            database: parsed.get_dbname().context("DATABASE_URL must name a database")?.to_owned(),
            database_url,
            instance: number("BENCH_INSTANCE_ID", 0)?,
            pacing: pacing()?,
            rate: number("PRODUCER_RATE", 800.0)?,
            rate_file: text("PRODUCER_RATE_CONTROL_FILE").map(PathBuf::from),
            target_depth: number("TARGET_DEPTH", 1000)?,
            batch_max: number::<u64>("PRODUCER_BATCH_MAX", 128)?.max(1),
            batch_every: Duration::from_millis(number::<u64>("PRODUCER_BATCH_MS", 25)?.max(1)),
            workers: number::<usize>("WORKER_COUNT", 32)?.max(1),
            payload_bytes: number("JOB_PAYLOAD_BYTES", 256)?,
            work: Duration::from_millis(number("JOB_WORK_MS", 1)?),
            max_attempts: number("JOB_MAX_ATTEMPTS", 25)?,
            sample_every: Duration::from_secs(number::<u64>("SAMPLE_EVERY_S", 5)?.max(1)),
        })
    }
}

fn pacing() -> anyhow::Result<Pacing> {
    let mode = text("PRODUCER_MODE").unwrap_or_else(|| "fixed".to_owned());
    // Started by hand, it gets no lines.
    let by = text("PRODUCER_PACING").unwrap_or_else(|| "adapter".to_owned());
    match (mode.as_str(), by.as_str()) {
        ("depth-target", _) => Ok(Pacing::Depth),
        ("fixed", "harness") => Ok(Pacing::Told),
        ("fixed", "adapter") => Ok(Pacing::Rate),
        ("fixed", _) => bail!("PRODUCER_PACING must be harness or adapter, and is {by:?}"),
        _ => bail!("PRODUCER_MODE must be fixed or depth-target, and is {mode:?}"),
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<T: FromStr>(name: &str, default: T) -> anyhow::Result<T> {
    let Some(value) = text(name) else { return Ok(default) };
    value.parse().ok().with_context(|| format!("{name} must be a number, and is {value:?}"))
}
