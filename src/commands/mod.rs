//! One file per subcommand; here is what they have in common.

mod check;
mod import;
mod log;
mod migrate;
mod preview;
#[cfg(feature = "docker")]
mod run_local;
#[cfg(not(feature = "docker"))]
#[path = "without_run_local.rs"]
mod run_local;
mod serve;

use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use rowcall::database::DatabaseError;
use rowcall::settings::{Settings, Sources, load};
use tokio::signal::unix::Signal;

/// What `rowcall --version` prints after the name: two builds of one version may differ in their runners.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let runners: Vec<&str> = rowcall::runners::built_in().iter().map(|name| name.as_str()).collect();
    let runners = if runners.is_empty() { "none".to_owned() } else { runners.join(", ") };
    format!("{} (runners: {runners})", env!("CARGO_PKG_VERSION"))
});

/// Insert a row, run a container
#[derive(Parser)]
#[command(name = "rowcall", version = VERSION.as_str())]
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
    /// Check whether each task could run from here
    ///
    /// Checks every enabled row of rowcall.parameters against the settings of this daemon, and asks its runner (on ECS:
    /// about the task definition, its container and network mode, and the cluster). It also signs in once with
    /// tasks.database_url, as tasks do. Nothing is started, and no template
    /// is rendered. Prints one line for each task; the exit code is 1 if there is a problem with any.
    Check(check::Check),
    /// Import the tasks of another dispatcher
    Import(import::Import),
    /// Bring the rowcall schema of the database up to date
    ///
    /// Applies migrations once and in order, and functions whenever they changed, in one transaction. Two migrations at
    /// the same time are safe. The first time, the role needs CREATE on the database; it needs no superuser.
    Migrate(migrate::Migrate),
    /// Show what each task would do with a row
    ///
    /// Prints what SELECT rowcall.preview(table, key) returns, and what the settings of this daemon refuse. Nothing is
    /// started, and no runner is asked; "rowcall check" asks them.
    Preview(preview::Preview),
    /// Run a task's image with directories of this machine, without a database
    ///
    /// For the author of a task. The image may have any entry point, also `rowcall-task exec`, which then takes its files
    /// from the input directory and leaves them in the output directory. The program's output goes to standard error. At
    /// the end standard output has, as JSON, name, size, SHA-256 and URL of each file in the output directory. The exit
    /// code is the program's. SIGTERM, SIGHUP or Ctrl-C ends it; a second one kills it, with exit code 130. The engine
    /// is found as docker finds it; the daemon's settings do not matter.
    RunLocal(Box<run_local::RunLocal>),
    /// Run the dispatcher
    ///
    /// Any number of dispatchers may run against one database. SIGTERM or Ctrl-C drains: no new jobs are claimed, and
    /// running tasks have dispatcher.shutdown_grace to end; the next dispatcher takes over the others. A second signal
    /// ends the dispatcher at once.
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
    log::start(&settings.log)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Check(check) => check.run(&settings).await,
            Command::Import(import) => import.run(&settings).await,
            Command::Migrate(migrate) => migrate.run(&settings).await,
            Command::Preview(preview) => preview.run(&settings).await,
            Command::RunLocal(run_local) => run_local.run().await,
            Command::Serve(serve) => serve.run(settings, &sources).await,
        }
    });
    // In Postgres' words instead of the driver's.
    done.map_err(|error| match error.downcast::<tokio_postgres::Error>() {
        Ok(error) => DatabaseError::from(error).into(),
        Err(error) => error,
    })
}

/// A connection for commands that need one.
async fn connect(settings: &Settings) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = rowcall::database::Database::new(&settings.database)?.connect().await?;
    tokio::spawn(rowcall::database::drive(connection));
    Ok(client)
}

/// Waits for one of these signals.
async fn any(signals: &mut [Signal]) {
    futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}
