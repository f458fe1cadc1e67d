//! From a user's INSERT to the start of the task while eight clients insert 2,000 rows a second, beside the same on an idle
//! system.

use std::time::Duration;

use super::paced::{Listened, Pace};
use super::report::{Better, Figure};
use super::{Bench, percentile};

const ROUNDS: usize = 5;
/// Each INSERT finds the system idle.
const IDLE: Pace = Pace { clients: 1, rate: 50.0, time: Duration::from_secs(5) };
/// 250 rows a second of each client.
const LOADED: Pace = Pace { clients: 8, rate: 2_000.0, time: Duration::from_secs(4) };

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.route_files().await?;
    let mut dispatcher = Listened::start(&bench).await?;
    // Caches, and the plans of the connections.
    dispatcher.at(&bench, Pace { time: Duration::from_secs(1), ..LOADED }).await?;
    let (mut idle, mut loaded, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        idle.push(sorted(dispatcher.at(&bench, IDLE).await?.took));
        let paced = dispatcher.at(&bench, LOADED).await?;
        loaded.push(sorted(paced.took));
        rates.push(paced.rate);
    }
    dispatcher.finish().await?;
    let load = "8 clients, 2,000 rows/s";
    let mut figures = Vec::new();
    for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
        let of =
            |rounds: &[Vec<f64>]| rounds.iter().map(|round| percentile(round, share)).collect::<Vec<_>>();
        let name = format!("INSERT to launch, {load}, {what}, ms");
        figures.push(Figure::new(&name, "idle system", Better::Lower, &of(&loaded), &of(&idle)));
    }
    // Where the server cannot take so many, the times above are of what it took.
    let name = format!("INSERT by each of {load} wanted, rows/s");
    figures.push(Figure::new(&name, "the pace", Better::Higher, &rates, &[LOADED.rate; ROUNDS]));
    Ok(figures)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
