//! How fast preloaded no-op jobs are claimed, launched, settled and written back, beside the least that any
//! batching dispatcher does (claim 500 rows in one statement, complete them in another), and beside the same writes as ours in two
//! statements a batch.

pub mod yardstick;

use std::time::{Duration, Instant};

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Ends;
use rowcall::settings::Settings;

use super::Bench;
use super::null_runner::NullRunner;
use super::report::{Better, Figure};

const JOBS: i64 = 20_000;
const ROUNDS: usize = 3;

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.route_files().await?;
    let (mut rates, mut least, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        least.push(yardstick::least(&bench, JOBS).await?);
        same.push(yardstick::same_writes(&bench, JOBS).await?);
        rates.push(drain(&bench).await?);
    }
    let name = format!("drain of {JOBS} waiting jobs, row to PROCESSED row, jobs/s");
    Ok([("claim 500, complete 500", least), ("the same writes", same)]
        .map(|(yardstick, by)| Figure::new(&name, yardstick, Better::Higher, &rates, &by))
        .into())
}

/// One dispatcher, from its start until every row is PROCESSED.
async fn drain(bench: &Bench) -> anyhow::Result<f64> {
    let client = &bench.client;
    client.batch_execute(super::EMPTY).await?;
    client
        .execute(
            "insert into rowcall.files (status) select 'REGISTERED' from generate_series(1, $1::bigint)",
            &[&JOBS],
        )
        .await?;
    client.batch_execute("vacuum analyze").await?;
    let mut settings = bench.settings()?;
    settings.dispatcher.shutdown_grace = Duration::from_mins(1);
    let before = Instant::now();
    let runners = |_: &Settings, ends: &Ends| NullRunner::new(ends).alone();
    let dispatcher = Dispatcher::start(settings, Mode::Drain, runners).await?;
    dispatcher.finish().await?;
    let took = before.elapsed();
    let done: i64 =
        client.query_one("select count(*) from rowcall.files where status = 'PROCESSED'", &[]).await?.get(0);
    anyhow::ensure!(done == JOBS, "{done} of {JOBS} rows are PROCESSED");
    Ok(JOBS as f64 / took.as_secs_f64())
}
