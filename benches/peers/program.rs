//! A peer's program.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

/// Names the programs there are, one a line: a name, the program and its first arguments, parted by tabs. `./dev` sets it.
const INSTALLED: &str = "BENCH_PEERS";
/// The slowest takes half a minute.
const LIMIT: Duration = Duration::from_mins(5);

/// How a peer is set.
#[derive(Debug, Clone, Copy)]
pub enum Setting {
    Best,
    C10,
}

/// What a drain has shown.
#[derive(Debug, Deserialize)]
pub struct Drained {
    /// Its name and version.
    pub peer: String,
    /// How it was set.
    pub setting: String,
    pub jobs: usize,
    /// From the worker's start until no job was unfinished.
    pub jobs_per_second: f64,
    pub wal_bytes_per_job: f64,
}

/// From just before a job's commit until its start.
#[derive(Debug, Deserialize)]
pub struct Latencies {
    /// How it was set.
    pub setting: String,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// A peer that is installed.
pub struct Program {
    pub name: String,
    command: Vec<String>,
}

impl Program {
    pub fn installed() -> Vec<Self> {
        let installed = std::env::var(INSTALLED).unwrap_or_default();
        let of = |line: &str| {
            let mut words = line.split('\t').map(str::to_owned);
            Some(Self { name: words.next().filter(|name| !name.is_empty())?, command: words.collect() })
        };
        installed.lines().filter_map(of).collect()
    }

    pub async fn drain(&self, url: &str, setting: Setting, jobs: usize) -> anyhow::Result<Drained> {
        let setting = match setting {
            Setting::Best => "best",
            Setting::C10 => "c10",
        };
        let jobs = jobs.to_string();
        self.run(&["drain", "--setting", setting, "--jobs", &jobs, "--url", url]).await
    }

    pub async fn latencies(&self, url: &str, jobs: usize, pause_ms: u64) -> anyhow::Result<Latencies> {
        let (jobs, pause) = (jobs.to_string(), pause_ms.to_string());
        self.run(&["latency", "--jobs", &jobs, "--pause-ms", &pause, "--url", url]).await
    }

    /// What it prints.
    async fn run<T: DeserializeOwned>(&self, arguments: &[&str]) -> anyhow::Result<T> {
        let (program, first) = self.command.split_first().context("no program is named")?;
        let output = Command::new(program)
            .args(first)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LIMIT, output).await.context("it took too long")??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or_default();
            anyhow::bail!("{} failed ({}): {last}", arguments[0], output.status);
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
