//! A snapshot that is held while jobs come and go: no vacuum can remove what they leave behind, in tables and in indexes.

use std::time::Duration;

use super::paced::{Listened, Pace};
use super::report::{Better, Figure};
use super::{Bench, EMPTY, connect, drain, percentile};

const JOBS: usize = 20_000;
/// Rows a second.
const RATE: f64 = 500.0;
/// How long the snapshot is held.
const HELD: Duration = Duration::from_mins(10);
/// How long the same goes without one: vacuum keeps up, and nothing grows.
const NOT_HELD: Duration = Duration::from_mins(2);
/// Of a quarter, for the spread.
const PARTS: usize = 5;

/// What came of one time with or without a snapshot.
struct Outcome {
    /// Milliseconds from each INSERT to its launch, in its first and in its last quarter, medians of parts of them.
    first: Vec<f64>,
    last: Vec<f64>,
    /// Of a drain after that, jobs a second.
    rate: f64,
}

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.route_files().await?;
    let none = outcome(&bench, false).await?;
    let held = outcome(&bench, true).await?;
    let figure = |yardstick: &str, by: &[f64]| {
        let name = "INSERT to launch at 500 rows/s, last quarter of 10 min under an old snapshot, p50, ms";
        Figure::new(name, yardstick, Better::Lower, &held.last, by)
    };
    let name =
        format!("drain of {JOBS} waiting jobs, after 10 min at 500 rows/s under an old snapshot, jobs/s");
    Ok(vec![
        figure("its first quarter", &held.first),
        figure("no snapshot", &none.last),
        Figure::new(&name, "no snapshot", Better::Higher, &[held.rate], &[none.rate]),
    ])
}

async fn outcome(bench: &Bench, is_held: bool) -> anyhow::Result<Outcome> {
    bench.client.batch_execute(EMPTY).await?;
    drain::tidy(bench).await?;
    let holder = connect(&bench.url).await?;
    if is_held {
        holder
            .batch_execute("begin isolation level repeatable read; select count(*) from rowcall.files")
            .await?;
    }
    let mut dispatcher = Listened::start(bench).await?;
    let pace = Pace { clients: 2, rate: RATE, time: if is_held { HELD } else { NOT_HELD } };
    let took = dispatcher.at(bench, pace).await?.took;
    dispatcher.finish().await?;
    drain::add(bench, JOBS).await?;
    // What it may not remove, vacuum leaves; both are planned by counts of now.
    drain::tidy(bench).await?;
    let rate = drain::rate(bench, 1, JOBS).await?;
    holder.batch_execute("rollback").await?;
    let quarter = took.len() / 4;
    Ok(Outcome { first: medians(&took[..quarter]), last: medians(&took[took.len() - quarter..]), rate })
}

fn medians(took: &[f64]) -> Vec<f64> {
    let of_a_part = |part: &[f64]| {
        let mut sorted = part.to_vec();
        sorted.sort_by(f64::total_cmp);
        percentile(&sorted, 0.5)
    };
    took.chunks(took.len().div_ceil(PARTS).max(1)).map(of_a_part).collect()
}
