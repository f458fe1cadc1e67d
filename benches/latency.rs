//! From a user's COMMIT to the start of the task, on an idle system, beside the least that any dispatcher could do.

mod yardstick;

use std::time::{Duration, Instant};

use rowcall::database::{Database, Subscription};
use rowcall::dispatcher::{Dispatcher, Mode};
use tokio::sync::mpsc;

use self::yardstick::{Writes, Yardstick};
use super::null_runner::NullRunner;
use super::report::{Better, Figure};
use super::{Bench, percentile};

/// Of each kind, in turn, so that all meet the same machine.
const INSERTS: usize = 600;
/// Inserts of a round.
const ROUND: usize = 200;
/// Between two inserts, so that each finds the system idle.
const PAUSE: Duration = Duration::from_millis(10);
/// The first ones warm caches up and are not counted.
const WARM_UP: usize = 50;

pub async fn run(claiming: Bench, as_ours: Bench, bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.route_files().await?;
    let settings = bench.settings()?;
    let (mut subscription, heard) = Subscription::open(&Database::new(&settings.database)?).await?;
    subscription.listen(&["bench_bare".to_owned()].into()).await?;
    let notify = bench.client.prepare("select pg_notify('bench_bare', '')").await?;

    let mut kinds = Vec::new();
    for (yard, writes) in [(&claiming, Writes::Claim), (&as_ours, Writes::AsOurs)] {
        Yardstick::install(&yard.client).await?;
        let (started_at, launches) = mpsc::unbounded_channel();
        let yardstick = Yardstick::new(&yard.settings()?, writes, started_at).await?;
        tokio::spawn(yardstick.run());
        kinds.push((
            &yard.client,
            yard.client.prepare("insert into yard_files default values").await?,
            launches,
        ));
    }
    let (started_at, launches) = mpsc::unbounded_channel();
    let dispatcher = Dispatcher::start(settings, Mode::Serve, |_, ends| {
        NullRunner::new(ends).tells_launches(started_at, |_, _| Instant::now()).alone()
    })
    .await?;
    kinds.push((
        &bench.client,
        bench.client.prepare("insert into rowcall.files default values").await?,
        launches,
    ));

    let mut took = vec![Vec::new(); 1 + kinds.len()];
    for i in 0..INSERTS + WARM_UP {
        tokio::time::sleep(PAUSE).await;
        let before = Instant::now();
        bench.client.execute(&notify, &[]).await?;
        heard.next().await;
        let mut round = vec![before.elapsed()];
        for (client, insert, launches) in &mut kinds {
            tokio::time::sleep(PAUSE).await;
            let before = Instant::now();
            client.execute(&*insert, &[]).await?;
            let launch = launches.recv().await.ok_or_else(|| anyhow::anyhow!("the dispatcher is gone"))?;
            round.push(launch - before);
        }
        if i >= WARM_UP {
            took.iter_mut().zip(round).for_each(|(all, one)| all.push(one.as_secs_f64() * 1e3));
        }
    }
    dispatcher.drain();
    dispatcher.finish().await?;
    Ok(figures(&took))
}

/// Medians and the slowest of a hundred, in rounds of [`ROUND`] inserts each.
fn figures(took: &[Vec<f64>]) -> Vec<Figure> {
    let rounds = |values: &[f64], share: f64| -> Vec<f64> {
        let of_a_round = |round: &[f64]| {
            let mut sorted = round.to_vec();
            sorted.sort_by(f64::total_cmp);
            percentile(&sorted, share)
        };
        values.chunks(ROUND).map(of_a_round).collect()
    };
    let [bare, claiming, as_ours, ours] = took else { return Vec::new() };
    let yardsticks =
        [("bare NOTIFY", bare), ("one claiming transaction", claiming), ("the same writes", as_ours)];
    let mut figures = Vec::new();
    for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
        let name = format!("INSERT's commit to launch, idle system, {what}, ms");
        for (yardstick, by) in yardsticks {
            let (ours, by) = (rounds(ours, share), rounds(by, share));
            figures.push(Figure::new(&name, yardstick, Better::Lower, &ours, &by));
        }
    }
    figures
}
