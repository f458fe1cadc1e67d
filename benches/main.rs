//! `./dev bench`: what Rowcall costs and how fast it is, each figure beside a yardstick of the same run, because
//! absolute times say more about the machine than about us.

// Here a value of the wrong type may well panic.
#![allow(clippy::disallowed_methods)]

#[path = "../tests/support/server.rs"]
mod server;

#[cfg(all(feature = "ecs", feature = "lambda", feature = "s3"))]
#[path = "../tests/support/aws/mod.rs"]
#[allow(dead_code, unused_imports)]
mod aws;
mod backlog;
mod chart;
mod cost_model;
mod daemon;
mod database_load;
mod dispatchers;
#[cfg(feature = "docker")]
mod docker;
mod drain;
#[cfg(all(feature = "ecs", feature = "lambda", feature = "s3"))]
mod ecs;
mod fairness;
mod idle;
mod latency;
mod latency_under_load;
mod null_runner;
mod old_snapshot;
mod paced;
mod peers;
mod process;
mod report;
mod running;
mod space;
mod startup;
mod throughput;
mod writer_cost;

use self::report::{Figure, Report};
use self::server::Server;
use rowcall::database::migrate;
use rowcall::settings::{Settings, Sources, load};
use tokio_postgres::{Client, NoTls};

/// Leaves nothing of earlier rounds.
pub const EMPTY: &str = "truncate rowcall.files, rowcall_internal.jobs, rowcall_internal.attempts, rowcall_internal.ended_attempts,
    rowcall_internal.history";

/// A migrated database of its own on the benchmark's server.
pub struct Bench {
    /// Its connection string.
    pub url: String,
    /// A connection to it.
    pub client: Client,
}

impl Bench {
    async fn new(server: &Server, name: &str) -> anyhow::Result<Self> {
        connect(&server.url("postgres")).await?.batch_execute(&format!("create database {name}")).await?;
        Self::in_database(server.url(name)).await
    }

    /// In a database that is there, and empty.
    async fn in_database(url: String) -> anyhow::Result<Self> {
        let mut client = connect(&url).await?;
        migrate(&mut client, |_| {}).await?;
        Ok(Self { url, client })
    }

    /// Routes new rows of `rowcall.files` to the null runner.
    pub async fn route_files(&self) -> anyhow::Result<()> {
        let insert = "insert into rowcall.parameters (name, on_status, runner, target)
            values ('noop', 'REGISTERED', 'docker', 'null')";
        Ok(self.client.batch_execute(insert).await?)
    }

    /// Default settings, as a user has them.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(load(&Sources::default().with_flag("database.url", self.url.as_str()))?)
    }
}

/// A connection.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The value below which this share of the sorted values lies.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// The middle one.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(&values, 0.5)
}

/// Those of a run without names.
const USUAL: [&str; 9] = [
    "latency",
    "latency_under_load",
    "throughput",
    "process",
    "writer_cost",
    "fairness",
    "space",
    "dispatchers",
    "startup",
];
/// Those that take minutes each, or a Docker engine: by their names, or all of them by the name `all`.
const LONG: &[&str] = if cfg!(feature = "docker") {
    &["backlog", "old_snapshot", "running", "idle", "cost_model", "docker"]
} else {
    &["backlog", "old_snapshot", "running", "idle", "cost_model"]
};

/// What one of them has found.
async fn measure(name: &str, server: &Server) -> anyhow::Result<Vec<Figure>> {
    let own = || Bench::new(server, name);
    Ok(match name {
        "latency" => {
            let (claiming, as_ours) =
                (Bench::new(server, "claiming").await?, Bench::new(server, "as_ours").await?);
            latency::run(claiming, as_ours, own().await?).await?
        }
        "latency_under_load" => latency_under_load::run(own().await?).await?,
        "throughput" => throughput::run(own().await?).await?,
        "process" => process::run(own().await?).await?,
        "writer_cost" => writer_cost::run(own().await?).await?,
        "fairness" => fairness::run(server).await?,
        "space" => space::run(server).await?,
        "dispatchers" => dispatchers::run(own().await?).await?,
        "startup" => startup::run(server).await?,
        "backlog" => backlog::run(server).await?,
        "old_snapshot" => old_snapshot::run(own().await?).await?,
        "running" => running::run(own().await?).await?,
        "cost_model" => cost_model::run(own().await?).await?,
        "idle" => idle::run(own().await?).await?,
        #[cfg(feature = "docker")]
        "docker" => docker::run(own().await?).await?,
        _ => Vec::new(),
    })
}

/// Refuses what is no flag and no benchmark: it would otherwise be a run of many minutes without it.
fn known(flags: &[String], wanted: &[String]) -> anyhow::Result<()> {
    const FLAGS: [&str; 4] = ["--check", "--write", "--draw", "--bench"];
    if let Some(flag) = flags.iter().find(|flag| !FLAGS.contains(&flag.as_str())) {
        anyhow::bail!("{flag} is no flag of this: --check, --write, --draw");
    }
    let names = || USUAL.iter().chain(LONG).chain(&["ecs", "peers", "all"]).copied();
    // After that word come names of peers, which know them.
    if wanted.iter().any(|word| word == "peers") {
        return Ok(());
    }
    if let Some(word) = wanted.iter().find(|word| names().all(|name| name != word.as_str())) {
        anyhow::bail!("{word} is no benchmark: {}", names().collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // cargo passes a flag meant for its own harness; any word selects benchmarks by name.
    let (flags, wanted): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    known(&flags, &wanted)?;
    let asked = |flag: &str| flags.iter().any(|f| f == flag);
    let named = |name: &str| wanted.iter().any(|w| w == name);
    anyhow::ensure!(
        wanted.is_empty() || wanted == ["all"] || wanted == ["peers"] || !asked("--write"),
        "--write is for all figures of one run: name no benchmark, or all, or peers and none of them"
    );
    if asked("--draw") {
        return [report::OURS, report::PEERS].iter().try_for_each(Report::draw);
    }
    let beside = |name: &&&str| named("peers") && (named(name) || named("all"));
    if let Some(other) = USUAL.iter().chain(LONG).find(beside) {
        anyhow::bail!("peers has a page of its own: measure {other} in another run");
    }
    let server = Server::start(&SETTINGS).map_err(anyhow::Error::msg)?;
    let (mut figures, mut notes, mut page) = (Vec::new(), String::new(), &report::OURS);
    for name in USUAL.iter().chain(LONG) {
        if named(name) || named("all") || wanted.is_empty() && USUAL.contains(name) {
            figures.extend(measure(name, &server).await?);
        }
    }
    // Takes minutes, and programs that are no part of this project: when asked for by name. Further words name peers.
    if named("peers") {
        let named: Vec<String> = wanted.iter().filter(|name| *name != "peers").cloned().collect();
        (figures, notes) = peers::run(&server, &named).await?;
        page = &report::PEERS;
    }
    let report = Report { machine: machine(&server).await?, figures, notes };
    report.print();
    if asked("--write") {
        report.write(page)?;
    }
    if asked("--check") {
        report.check(page)?;
    }
    // Absolute figures, for a machine that plays AWS; only when asked for by name, as it needs a build with AWS.
    #[cfg(all(feature = "ecs", feature = "lambda", feature = "s3"))]
    if named("ecs") {
        ecs::run(Bench::new(&server, "ecs").await?).await?;
    }
    Ok(())
}

/// Of the server, beside its defaults.
const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "512MB"), ("max_wal_size", "4GB")];

/// Where and with what these figures were measured.
async fn machine(server: &Server) -> anyhow::Result<String> {
    let client = connect(&server.url("postgres")).await?;
    let version: String = client.query_one("select current_setting('server_version')", &[]).await?.get(0);
    let settings = SETTINGS.map(|(name, value)| format!("{name} {value}")).join(", ");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let rowcall = env!("CARGO_PKG_VERSION");
    Ok(format!(
        "Rowcall {rowcall} and PostgreSQL {version} ({settings}, else its defaults) on {cores} cores."
    ))
}
