//! How many containers a second the Docker runner starts, follows to their end and settles, beside `docker run`, one after the
//! other and four at a time. The image holds one static program.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Runners;
use rowcall::runners::docker::DockerRunner;

use super::report::{Better, Figure};
use super::{Bench, EMPTY};

const JOBS: usize = 40;
const ROUNDS: usize = 3;
/// It names an image whose entrypoint is busybox.
const IMAGE: &str = "ROWCALL_TEST_SCRATCH_IMAGE";

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    let image = std::env::var(IMAGE)
        .map_err(|_| anyhow::anyhow!("{IMAGE} is not set; ./dev bench docker sets it"))?;
    let task = "insert into rowcall.parameters (name, on_status, runner, target, command)
        values ('noop', 'REGISTERED', 'docker', $1, '{true}')";
    bench.client.execute(task, &[&image]).await?;
    let (mut ours, mut single, mut four) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        single.push(by_hand(&image, 1)?);
        four.push(by_hand(&image, 4)?);
        ours.push(drain(&bench, &image).await?);
    }
    let figure = |yardstick: &str, by: &[f64]| {
        Figure::new("Docker runner, true, row to PROCESSED row, jobs/s", yardstick, Better::Higher, &ours, by)
    };
    Ok(vec![figure("docker run, one after the other", &single), figure("docker run, 4 at a time", &four)])
}

async fn drain(bench: &Bench, image: &str) -> anyhow::Result<f64> {
    bench.client.batch_execute(EMPTY).await?;
    super::drain::add(bench, JOBS).await?;
    let mut settings = bench.settings()?;
    settings.runners.docker.images = vec![image.to_owned()];
    settings.dispatcher.shutdown_grace = Duration::from_mins(1);
    let before = Instant::now();
    let dispatcher = Dispatcher::start(settings, Mode::Drain, |settings, ends| {
        let runner = DockerRunner::new(&settings.runners.docker, ends.clone()).map_err(anyhow::Error::msg)?;
        Ok(Runners::default().with(Arc::new(runner)))
    })
    .await?;
    dispatcher.finish().await?;
    let took = before.elapsed();
    let done = "select count(*) from rowcall.files where status = 'PROCESSED'";
    let done: i64 = bench.client.query_one(done, &[]).await?.get(0);
    anyhow::ensure!(done == JOBS as i64, "{done} of {JOBS} rows are PROCESSED");
    Ok(JOBS as f64 / took.as_secs_f64())
}

/// Containers a second that so many threads start, wait for and remove.
fn by_hand(image: &str, threads: usize) -> anyhow::Result<f64> {
    let begun = AtomicUsize::new(0);
    let before = Instant::now();
    let work = || {
        while begun.fetch_add(1, Ordering::Relaxed) < JOBS {
            let mut command = Command::new("docker");
            command.args(["run", "--rm", image, "true"]).stdin(Stdio::null()).stdout(Stdio::null());
            anyhow::ensure!(command.status()?.success(), "docker run failed");
        }
        anyhow::Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let died = |_| anyhow::anyhow!("a thread died");
        threads.into_iter().try_for_each(|thread| thread.join().map_err(died)?)
    })?;
    Ok(JOBS as f64 / before.elapsed().as_secs_f64())
}
