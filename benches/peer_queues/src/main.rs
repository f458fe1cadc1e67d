//! Runs another job queue in a database that is given, empty, and prints what was measured as one line of JSON. `./dev bench peers` calls
//! it for each queue in turn, beside Rowcall, on one server.
//!
//! Each queue is driven by its own API, as its documentation says, in a file of its own.

#![forbid(unsafe_code)]

mod apalis;
mod awa;
mod dbos;
mod graphile_worker;
mod measure;
mod peer;
mod underway;

use std::pin::Pin;

use clap::{Parser, Subcommand, ValueEnum};

use self::measure::{drain, latency};
use self::peer::{Peer, Setting};

/// The command line, which the Python programs have too.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which queue.
    peer: Name,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Name {
    Apalis,
    Awa,
    Dbos,
    GraphileWorker,
    Underway,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// How fast waiting jobs that do nothing are done.
    Drain {
        /// How it is set.
        #[arg(long)]
        setting: Setting,
        /// How many jobs wait; slow queues take fewer, and say so.
        #[arg(long)]
        jobs: usize,
        /// The database.
        #[arg(long)]
        url: String,
    },
    /// How long after the commit of a single job its handler starts.
    Latency {
        /// How many jobs, one after the other.
        #[arg(long)]
        jobs: usize,
        /// Between two of them.
        #[arg(long)]
        pause_ms: u64,
        /// The database.
        #[arg(long)]
        url: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { peer, what } = Arguments::parse();
    // Some are large.
    let running: Pin<Box<dyn Future<Output = _>>> = match peer {
        Name::Apalis => Box::pin(run::<apalis::Apalis>(what)),
        Name::Awa => Box::pin(run::<awa::Awa>(what)),
        Name::Dbos => Box::pin(run::<dbos::Dbos>(what)),
        Name::GraphileWorker => Box::pin(run::<graphile_worker::GraphileWorker>(what)),
        Name::Underway => Box::pin(run::<underway::Underway>(what)),
    };
    running.await
}

async fn run<P: Peer>(what: What) -> anyhow::Result<()> {
    let found = match what {
        What::Drain { setting, jobs, url } => drain::<P>(&url, setting, jobs).await?,
        What::Latency { jobs, pause_ms, url } => latency::<P>(&url, jobs, pause_ms).await?,
    };
    println!("{found}");
    // Its workers know no end, and some take seconds to stop.
    std::process::exit(0)
}
