//! How long it takes from a start to the first launch of a job that waits already: of a dispatcher in this process, and of the
//! program, whose launch includes the start of its supervisor. Beside a connection that is made to ask one question.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Ends;
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use super::daemon::{Daemon, PROGRAM};
use super::null_runner::NullRunner;
use super::report::{Better, Figure};
use super::server::Server;
use super::{Bench, EMPTY, connect};

const ROUNDS: usize = 11;

pub async fn run(server: &Server) -> anyhow::Result<Vec<Figure>> {
    let here = Bench::new(server, "startup_here").await?;
    here.route_files().await?;
    let program = Bench::new(server, "startup_program").await?;
    let task = "insert into rowcall.parameters (name, on_status, runner, target) values ('noop', 'REGISTERED', 'process', $1)";
    program.client.execute(task, &[&PROGRAM]).await?;
    let (mut connecting, mut starting, mut spawning) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let took = (connection(&here).await?, of_dispatcher(&here).await?, of_program(&program).await?);
        // The first one warms caches up.
        if round > 0 {
            connecting.push(took.0);
            starting.push(took.1);
            spawning.push(took.2);
        }
    }
    let figure = |of: &str, ours: &[f64]| {
        let name = format!("{of} to its first launch, ms");
        Figure::new(&name, "a connection and one question", Better::Lower, ours, &connecting)
    };
    Ok(vec![
        figure("start of a dispatcher", &starting),
        figure("start of rowcall serve, process runner,", &spawning),
    ])
}

async fn connection(bench: &Bench) -> anyhow::Result<f64> {
    let before = Instant::now();
    connect(&bench.url).await?.query_one("select count(*) from rowcall.jobs", &[]).await?;
    Ok(before.elapsed().as_secs_f64() * 1e3)
}

async fn of_dispatcher(bench: &Bench) -> anyhow::Result<f64> {
    one_waits(bench).await?;
    let settings = bench.settings()?;
    let (to, mut launches) = mpsc::unbounded_channel();
    let before = Instant::now();
    let runners =
        |_: &Settings, ends: &Ends| NullRunner::new(ends).tells_launches(to, |_, _| Instant::now()).alone();
    let dispatcher = Dispatcher::start(settings, Mode::Serve, runners).await?;
    let launch = launches.recv().await.ok_or_else(|| anyhow::anyhow!("the dispatcher is gone"))?;
    dispatcher.drain();
    dispatcher.finish().await?;
    Ok((launch - before).as_secs_f64() * 1e3)
}

/// Server and program go by the clock of the same machine.
async fn of_program(bench: &Bench) -> anyhow::Result<f64> {
    one_waits(bench).await?;
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let _daemon = Daemon::start(&bench.url)?;
    let launched = "select extract(epoch from launched_at)::float8 from rowcall_internal.ended_attempts";
    loop {
        if let Some(row) = bench.client.query_opt(launched, &[]).await? {
            return Ok((row.get::<_, f64>(0) - before) * 1e3);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn one_waits(bench: &Bench) -> anyhow::Result<()> {
    bench.client.batch_execute(EMPTY).await?;
    Ok(bench.client.batch_execute("insert into rowcall.files default values").await?)
}
