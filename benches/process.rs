//! How many programs a second the process runner starts, follows to their end and settles, beside a program that only starts and
//! waits for them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Runners;
use rowcall::runners::process::ProcessRunner;

use super::Bench;
use super::report::{Better, Figure};

const JOBS: usize = 1000;
const ROUNDS: usize = 3;
const PROGRAM: &str = "/bin/true";

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    let insert = "insert into rowcall.parameters (name, on_status, runner, target) values ('noop', 'REGISTERED', 'process', $1)";
    bench.client.execute(insert, &[&PROGRAM]).await?;
    let (mut rates, mut yardsticks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        yardsticks.push(yardstick()?);
        rates.push(drain(&bench).await?);
    }
    let name = format!("process runner, {PROGRAM}, row to PROCESSED row, jobs/s");
    Ok(vec![Figure::new(&name, "spawn and wait", Better::Higher, &rates, &yardsticks)])
}

async fn drain(bench: &Bench) -> anyhow::Result<f64> {
    let client = &bench.client;
    client.batch_execute(super::EMPTY).await?;
    let rows = "insert into rowcall.files (status) select 'REGISTERED' from generate_series(1, $1::bigint)";
    client.execute(rows, &[&(JOBS as i64)]).await?;
    client.batch_execute("vacuum analyze").await?;
    let state = tempfile::tempdir()?;
    let mut settings = bench.settings()?;
    settings.runners.process.programs = vec![PROGRAM.to_owned()];
    settings.runners.process.state_dir = state.path().to_owned();
    settings.dispatcher.shutdown_grace = Duration::from_mins(1);
    let before = Instant::now();
    let dispatcher = Dispatcher::start(settings, Mode::Drain, |settings, ends| {
        let supervisor = PathBuf::from(env!("CARGO_BIN_EXE_rowcall-supervisor"));
        let runner = ProcessRunner::with_supervisor(&settings.runners.process, ends.clone(), supervisor)?;
        Ok(Runners::default().with(Arc::new(runner)))
    })
    .await?;
    dispatcher.finish().await?;
    let took = before.elapsed();
    let done = "select count(*) from rowcall.files where status = 'PROCESSED'";
    let done: i64 = client.query_one(done, &[]).await?.get(0);
    anyhow::ensure!(done == JOBS as i64, "{done} of {JOBS} rows are PROCESSED");
    Ok(JOBS as f64 / took.as_secs_f64())
}

fn yardstick() -> anyhow::Result<f64> {
    let begun = AtomicUsize::new(0);
    let before = Instant::now();
    std::thread::scope(|threads| {
        let work = || {
            while begun.fetch_add(1, Ordering::Relaxed) < JOBS {
                Command::new(PROGRAM).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
            }
            anyhow::Ok(())
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads: Vec<_> = (0..cores).map(|_| threads.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a thread died"))
    })?;
    Ok(JOBS as f64 / before.elapsed().as_secs_f64())
}
