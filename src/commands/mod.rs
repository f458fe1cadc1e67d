//! One file per subcommand; here is what they have in common.

mod check;
mod import;
mod migrate;
mod preview;
mod run_local;
mod serve;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use rowcall::settings::{LogFormat, LogSettings, Settings, Sources, load};
use tokio::signal::unix::Signal;
use tracing_subscriber::EnvFilter;

/// Insert a row, run a container
#[derive(Parser)]
#[command(name = "rowcall", version)]
pub struct Cli {
    /// A settings file; config/rowcall.toml documents every setting [env: ROWCALL_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database, as postgresql://user:password@host:port/dbname [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a filter such as rowcall=debug
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How to log: human or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say of each task whether it could run from here
    ///
    /// Holds every enabled row of rowcall.parameters against the settings of this daemon, and asks its runner (on ECS:
    /// the task definition, its container and network mode, the cluster). Nothing is started. Templates are taken as
    /// they stand. Prints one line for each task; the exit code is 1 if there is a problem with any.
    Check(check::Check),
    /// Take over what another dispatcher's tables say
    Import(import::Import),
    /// Bring the rowcall schema of the database up to date
    ///
    /// Migrations are applied once and in order, functions whenever they changed, in one transaction; two migrations
    /// at the same time are safe. The role needs CREATE on the database the first time, and no superuser.
    Migrate(migrate::Migrate),
    /// Say what each task would do with a row
    ///
    /// As SELECT rowcall.preview(table, key) does, and held against the settings of this daemon. Nothing is started, and no runner is asked; that is what "rowcall check" does.
    Preview(preview::Preview),
    /// Run a task's image with directories of this machine, without a database
    ///
    /// For whoever writes a task. The image may have any entry point, `rowcall-task exec` among them, which then takes its
    /// files from the input directory and leaves them in the output directory. What the program prints goes to standard
    /// error; at the end standard output has, as JSON, name, size, SHA-256 and URL of each file in the output directory.
    /// The exit code is the program's. SIGTERM, SIGHUP or Ctrl-C ends it; a second one kills it, with exit code 130.
    /// The engine is found as docker finds it; what the daemon's settings allow plays no part.
    RunLocal(Box<run_local::RunLocal>),
    /// Run the dispatcher
    ///
    /// Any number of dispatchers may run against one database. SIGTERM or Ctrl-C drains: no new jobs are claimed, and
    /// running tasks may end within dispatcher.shutdown_grace or are left to the next dispatcher; a second signal ends
    /// at once.
    Serve(serve::Serve),
}

/// Runs what was asked for.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let mut sources = Sources::from_process(cli.config);
    let flags =
        [("database.url", cli.database_url), ("log.level", cli.log_level), ("log.format", cli.log_format)];
    for (key, value) in flags {
        if let Some(value) = value {
            sources = sources.with_flag(key, value);
        }
    }
    let settings = load(&sources)?;
    start_log(&settings.log)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    runtime.block_on(async {
        match cli.command {
            Command::Check(check) => check.run(&settings).await,
            Command::Import(import) => import.run(&settings).await,
            Command::Migrate(migrate) => migrate.run(&settings).await,
            Command::Preview(preview) => preview.run(&settings).await,
            Command::RunLocal(run_local) => run_local.run().await,
            Command::Serve(serve) => serve.run(settings).await,
        }
    })
}

/// Logs go to standard error: standard output belongs to what a command prints.
fn start_log(settings: &LogSettings) -> anyhow::Result<()> {
    let level = settings.level.as_str();
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    // A filter takes any word for the name of a module, and would then log nothing at all.
    if !level.contains('=')
        && !level.split(',').all(|word| levels.contains(&word.trim().to_lowercase().as_str()))
    {
        bail!("log.level must be {} or a filter such as rowcall=debug, and is {level:?}", levels.join(", "));
    }
    let filter: EnvFilter = settings
        .level
        .parse()
        .with_context(|| format!("log.level: {:?} is not a level or filter", settings.level))?;
    // It logs what it sends and receives, and that holds tokens.
    let filter = filter.add_directive("bollard=warn".parse()?);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Human => log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// A connection for commands that need one.
async fn connect(settings: &Settings) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = rowcall::database::Database::new(&settings.database)?.connect().await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits for one of these signals.
async fn any(signals: &mut [Signal]) {
    futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}
