//! What 10,000 running attempts cost a dispatcher that follows them: memory, and what it writes while nothing happens.

use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Ends;
use rowcall::settings::Settings;

use super::daemon::memory;
use super::null_runner::NullRunner;
use super::report::{Better, Figure};
use super::{Bench, database_load, drain};

const ATTEMPTS: usize = 10_000;
/// They come first, so that what a claim needs once is not counted.
const WARM_UP: usize = 1_000;
const WATCHED: Duration = Duration::from_secs(30);

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.route_files().await?;
    let runners = |_: &Settings, ends: &Ends| NullRunner::new(ends).lasting(2 * ATTEMPTS).alone();
    let dispatcher = Dispatcher::start(bench.settings()?, Mode::Serve, runners).await?;
    drain::add(&bench, WARM_UP).await?;
    all_begun(&bench, WARM_UP).await?;
    let before = memory("self")?;
    drain::add(&bench, ATTEMPTS).await?;
    all_begun(&bench, WARM_UP + ATTEMPTS).await?;
    let grown = (memory("self")? - before) / ATTEMPTS as f64;
    let load = database_load::over(&bench, WATCHED).await?;
    dispatcher.abandon();
    let figure = |name: &str, ours: f64, goal: f64| {
        let name = format!("{ATTEMPTS} running attempts, {name}");
        Figure::new(&name, &format!("the goal of {goal}"), Better::Lower, &[ours], &[goal])
    };
    Ok(vec![
        figure("memory of each, KiB", grown, 2.0),
        figure("rows written in the database, rows/s", load.writes, 1.0),
    ])
}

/// Waits until so many run, and all of that is written down.
async fn all_begun(bench: &Bench, attempts: usize) -> anyhow::Result<()> {
    let begun = "select count(*) from rowcall_internal.attempts where begun_at is not null";
    while bench.client.query_one(begun, &[]).await?.get::<_, i64>(0) < attempts as i64 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // What the last batch needed is given back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}
