//! Preloaded no-op jobs, and the dispatchers that drain them.

use std::time::Instant;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Ends;
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use super::null_runner::NullRunner;
use super::{Bench, EMPTY};

/// Empties the database, and lets so many jobs wait. Their rows are of 1,000 customers in turn.
pub async fn load(bench: &Bench, jobs: usize) -> anyhow::Result<()> {
    bench.client.batch_execute(EMPTY).await?;
    add(bench, jobs).await?;
    tidy(bench).await
}

/// Whatever the server would do later for what was loaded.
pub async fn tidy(bench: &Bench) -> anyhow::Result<()> {
    bench.client.batch_execute("vacuum analyze").await?;
    Ok(bench.client.batch_execute("checkpoint").await?)
}

/// Lets so many more jobs wait.
pub async fn add(bench: &Bench, jobs: usize) -> anyhow::Result<()> {
    let insert = "insert into rowcall.files (status, attributes)
        select 'REGISTERED', jsonb_build_object('customer', g % 1000) from generate_series(1, $1::bigint) g";
    bench.client.execute(insert, &[&(jobs as i64)]).await?;
    Ok(())
}

/// Jobs a second of so many dispatchers, from their start until so many jobs are over. Others may wait beyond these.
pub async fn rate(bench: &Bench, dispatchers: usize, jobs: usize) -> anyhow::Result<f64> {
    let (settled, mut ends) = mpsc::unbounded_channel();
    let before = Instant::now();
    let starting = (0..dispatchers).map(|_| {
        let settled = settled.clone();
        let runners = move |_: &Settings, ends: &Ends| NullRunner::new(ends).tells_ends(settled).alone();
        anyhow::Ok(Dispatcher::start(bench.settings()?, Mode::Serve, runners))
    });
    let starting: Vec<_> = starting.collect::<Result<_, _>>()?;
    let dispatchers = futures_util::future::try_join_all(starting).await?;
    for _ in 0..jobs {
        ends.recv().await;
    }
    let took = before.elapsed();
    dispatchers.iter().for_each(Dispatcher::drain);
    for dispatcher in dispatchers {
        dispatcher.finish().await?;
    }
    Ok(jobs as f64 / took.as_secs_f64())
}
