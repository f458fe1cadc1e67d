//! What it costs a drain that jobs take turns or are counted: 200 other tasks, 1,000 concurrency keys, a cap. Each beside one task
//! with nothing of all that, on a database of its own.

use super::report::{Better, Figure};
use super::server::Server;
use super::{Bench, drain};

const JOBS: usize = 20_000;
const ROUNDS: usize = 5;
const OTHERS: usize = 200;
/// Of each of the others.
const THEIR_JOBS: usize = 5;

/// A task of its own for each status, all of them enabled.
const OTHER_TASKS: &str = "insert into rowcall.parameters (name, on_status, runner, target)
    select 'other_' || g, 'OTHER_' || g, 'docker', 'null' from generate_series(1, $1::bigint) g";
const OTHER_ROWS: &str = "insert into rowcall.files (status)
    select 'OTHER_' || g from generate_series(1, $1::bigint) g cross join generate_series(1, $2::bigint)";

/// What is measured: its name, its yardstick, and what of the task it changes.
const CHANGES: [(&str, &str, &str); 3] = [
    (
        "of 1,000 concurrency keys, 1 job at a time each",
        "no key",
        "concurrency_key = '{{ row.attributes.customer }}'",
    ),
    (
        "of 1,000 concurrency keys, 10 jobs at a time each",
        "no key",
        "concurrency_key = '{{ row.attributes.customer }}', max_running_per_key = 10",
    ),
    ("with a cap that is never reached", "no cap", "max_running = 100000"),
];

pub async fn run(server: &Server) -> anyhow::Result<Vec<Figure>> {
    let plain = Bench::new(server, "fair_plain").await?;
    plain.route_files().await?;
    let crowd = Bench::new(server, "fair_crowd").await?;
    crowd.route_files().await?;
    crowd.client.execute(OTHER_TASKS, &[&(OTHERS as i64)]).await?;
    let mut changed = Vec::new();
    for (number, (_, _, change)) in CHANGES.iter().enumerate() {
        let bench = Bench::new(server, &format!("fair_{number}")).await?;
        bench.route_files().await?;
        bench.client.batch_execute(&format!("update rowcall.parameters set {change}")).await?;
        changed.push((bench, Vec::new()));
    }
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        drain::load(&plain, JOBS).await?;
        alone.push(drain::rate(&plain, 1, JOBS).await?);
        drain::load(&crowd, JOBS).await?;
        crowd.client.execute(OTHER_ROWS, &[&(OTHERS as i64), &(THEIR_JOBS as i64)]).await?;
        beside.push(drain::rate(&crowd, 1, JOBS + OTHERS * THEIR_JOBS).await?);
        for (bench, rates) in &mut changed {
            drain::load(bench, JOBS).await?;
            rates.push(drain::rate(bench, 1, JOBS).await?);
        }
    }
    let figure = |how: &str, yardstick: &str, rates: &[f64]| {
        let name = format!("drain of {JOBS} waiting jobs {how}, jobs/s");
        Figure::new(&name, yardstick, Better::Higher, rates, &alone)
    };
    let mut figures = vec![figure(&format!("beside {OTHERS} other tasks"), "no others", &beside)];
    figures.extend(
        CHANGES.iter().zip(&changed).map(|((how, yardstick, _), (_, rates))| figure(how, yardstick, rates)),
    );
    Ok(figures)
}
