//! The same jobs drained by one dispatcher, by two and by four: whether more of them are ever slower.

use super::report::{Better, Figure};
use super::{Bench, drain};

const JOBS: usize = 40_000;
const ROUNDS: usize = 3;

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.route_files().await?;
    let mut rates = [1, 2, 4].map(|dispatchers| (dispatchers, Vec::new()));
    for _ in 0..ROUNDS {
        for (dispatchers, rates) in &mut rates {
            drain::load(&bench, JOBS).await?;
            rates.push(drain::rate(&bench, *dispatchers, JOBS).await?);
        }
    }
    let [(_, alone), more @ ..] = rates;
    let figure = |(dispatchers, rates): (usize, Vec<f64>)| {
        let name = format!("drain of {JOBS} waiting jobs by {dispatchers} dispatchers, jobs/s");
        Figure::new(&name, "one dispatcher", Better::Higher, &rates, &alone)
    };
    Ok(more.into_iter().map(figure).collect())
}
