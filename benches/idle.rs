//! What the program costs while there is nothing to do: transactions, processor time, memory.

use std::time::{Duration, Instant};

use super::daemon::{Daemon, PROGRAM};
use super::report::{Better, Figure};
use super::{Bench, database_load};

/// Until its beats are rare.
const COMES_TO_REST: Duration = Duration::from_mins(1);
const WATCHED: Duration = Duration::from_mins(2);

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    let task = "insert into rowcall.parameters (name, on_status, runner, target) values ('noop', 'REGISTERED', 'process', $1)";
    bench.client.execute(task, &[&PROGRAM]).await?;
    let daemon = Daemon::start(&bench.url)?;
    tokio::time::sleep(COMES_TO_REST).await;
    let (begun, before) = (Instant::now(), daemon.processor_seconds()?);
    let load = database_load::over(&bench, WATCHED).await?;
    let share = (daemon.processor_seconds()? - before) / begun.elapsed().as_secs_f64();
    let memory = daemon.memory()? / 1024.0;
    let figure = |name: &str, ours: f64, goal: f64| {
        let name = format!("rowcall serve with nothing to do, {name}");
        Figure::new(&name, &format!("the goal of {goal}"), Better::Lower, &[ours], &[goal])
    };
    Ok(vec![
        figure("transactions/s", load.transactions, 0.05),
        figure("% of a processor", share * 100.0, 0.05),
        figure("memory, MiB", memory, 15.0),
    ])
}
