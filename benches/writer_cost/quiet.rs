//! What an INSERT costs while a dispatcher is there that could take nothing of it: it is full, or it does not have the task's
//! runner, or the row's status has no task.

use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::job::RunnerName;
use rowcall::runners::Ends;
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use super::{ROUNDS, clean, rate};
use crate::Bench;
use crate::null_runner::NullRunner;
use crate::report::{Better, Figure};

/// A dispatcher that has just started looks for what others have left.
const COMES_TO_REST: Duration = Duration::from_secs(1);
const ROW: &str = "('NEW', '{\"a\": 1}')";

/// Each with one row a statement.
pub async fn beside_quiet_dispatchers(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (what, clients) in [("1 row by 1 client", 1), ("1 row by each of 8 clients", 8)] {
        let (mut with, mut full, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let (mut without, mut idle) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            with.push(rate(bench, "routed", clients, ROW).await?);
            clean(bench).await?;
            let dispatcher = full_dispatcher(bench).await?;
            tokio::time::sleep(COMES_TO_REST).await;
            full.push(rate(bench, "routed", clients, ROW).await?);
            dispatcher.abandon();
            clean(bench).await?;
            without.push(rate(bench, "unrouted", clients, ROW).await?);
            let runners = |_: &Settings, ends: &Ends| NullRunner::new(ends).named(RunnerName::Lambda).alone();
            let dispatcher = Dispatcher::start(bench.settings()?, Mode::Serve, runners).await?;
            tokio::time::sleep(COMES_TO_REST).await;
            idle.push(rate(bench, "unrouted", clients, ROW).await?);
            other.push(rate(bench, "routed", clients, ROW).await?);
            dispatcher.drain();
            dispatcher.finish().await?;
            clean(bench).await?;
        }
        let mut figure = |how: &str, ours: &[f64], by: &[f64]| {
            let name = format!("INSERT of {what}, {how}, statements/s");
            figures.push(Figure::new(&name, "without a dispatcher", Better::Higher, ours, by));
        };
        figure("with a task, and a dispatcher that is full", &full, &with);
        figure("with a task, and a dispatcher without its runner", &other, &with);
        figure("no task for the status, and an idle dispatcher", &idle, &without);
    }
    Ok(figures)
}

/// It has taken the one job that it has room for.
async fn full_dispatcher(bench: &Bench) -> anyhow::Result<Dispatcher> {
    let (to, mut launches) = mpsc::unbounded_channel();
    let runners =
        |_: &Settings, ends: &Ends| NullRunner::new(ends).lasting(1).tells_launches(to, |_, _| ()).alone();
    bench.client.batch_execute("insert into routed (status) values ('NEW')").await?;
    let dispatcher = Dispatcher::start(bench.settings()?, Mode::Serve, runners).await?;
    launches.recv().await;
    Ok(dispatcher)
}
