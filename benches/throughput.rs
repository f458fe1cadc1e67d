//! How fast preloaded no-op jobs are claimed, launched, settled and written back, beside the least that any
//! batching dispatcher does: claim 500 rows in one statement, complete them in another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Runners;
use tokio::sync::mpsc;

use super::null_runner::NullRunner;
use super::{Bench, median};

const JOBS: i64 = 20_000;
const ROUNDS: usize = 3;

pub async fn run(bench: Bench) -> anyhow::Result<()> {
    bench.route_files().await?;
    let (mut rates, mut yardsticks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        yardsticks.push(yardstick(&bench).await?);
        rates.push(drain(&bench).await?);
    }
    let (rate, yardstick) = (median(rates), median(yardsticks));
    println!("throughput, {JOBS} no-op jobs, median of {ROUNDS} rounds, jobs/s");
    println!("  claim 500, complete 500, in SQL {yardstick:>20.0}");
    println!("  rowcall, row to PROCESSED row   {rate:>20.0}   ratio {:.2}", rate / yardstick);
    Ok(())
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
    let (launched, _launches) = mpsc::unbounded_channel();
    let mut settings = bench.settings()?;
    settings.dispatcher.shutdown_grace = Duration::from_mins(1);
    let before = Instant::now();
    let dispatcher = Dispatcher::start(settings, Mode::Drain, |_, ends| {
        Ok(Runners::default().with(Arc::new(NullRunner { ends: ends.clone(), launched })))
    })
    .await?;
    dispatcher.finish().await?;
    let took = before.elapsed();
    let done: i64 =
        client.query_one("select count(*) from rowcall.files where status = 'PROCESSED'", &[]).await?.get(0);
    anyhow::ensure!(done == JOBS, "{done} of {JOBS} rows are PROCESSED");
    Ok(JOBS as f64 / took.as_secs_f64())
}

async fn yardstick(bench: &Bench) -> anyhow::Result<f64> {
    let client = &bench.client;
    client
        .batch_execute(
            "drop table if exists yardstick;
             create table yardstick (id bigint primary key, state text not null default 'ready');
             create index on yardstick (id) where state = 'ready';",
        )
        .await?;
    client.execute("insert into yardstick select g from generate_series(1, $1::bigint) g", &[&JOBS]).await?;
    client.batch_execute("vacuum analyze yardstick").await?;
    let claim = client
        .prepare(
            "with picked as (select id from yardstick where state = 'ready' order by id limit 500
                             for update skip locked)
             update yardstick y set state = 'running' from picked where y.id = picked.id returning y.id",
        )
        .await?;
    let complete = client.prepare("update yardstick set state = 'done' where id = any ($1)").await?;
    let before = Instant::now();
    loop {
        let ids: Vec<i64> = client.query(&claim, &[]).await?.iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            return Ok(JOBS as f64 / before.elapsed().as_secs_f64());
        }
        client.execute(&complete, &[&ids]).await?;
    }
}
