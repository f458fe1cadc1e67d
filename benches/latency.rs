//! From a user's COMMIT to the start of the task, on an idle system, beside the least that any dispatcher could do.

mod yardstick;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowcall::database::{Database, Subscription};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Runners;
use tokio::sync::mpsc;

use self::yardstick::{Writes, Yardstick};
use super::null_runner::NullRunner;
use super::{Bench, percentile};

/// Of each kind, in turn, so that all meet the same machine.
const INSERTS: usize = 600;
/// Between two inserts, so that each finds the system idle.
const PAUSE: Duration = Duration::from_millis(10);
/// The first ones warm caches up and are not counted.
const WARM_UP: usize = 50;

pub async fn run(claiming: Bench, as_ours: Bench, bench: Bench) -> anyhow::Result<()> {
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
        Ok(Runners::default().with(Arc::new(NullRunner { ends: ends.clone(), launched: started_at })))
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
    report(took);
    Ok(())
}

fn report(mut took: Vec<Vec<f64>>) {
    println!("latency, idle system, {INSERTS} inserts of each, ms         p50     p99");
    for values in &mut took {
        values.sort_by(f64::total_cmp);
    }
    let what = [
        "bare NOTIFY, commit to heard",
        "(a) INSERT, NOTIFY, one claiming transaction",
        "(b) INSERT, NOTIFY, our writes in two round trips",
        "rowcall, INSERT to the start of the task",
    ];
    for (what, values) in what.iter().zip(&took) {
        println!("  {what:<52} {:>7.2} {:>7.2}", percentile(values, 0.5), percentile(values, 0.99));
    }
    let ours = &took[took.len() - 1];
    for (what, of) in ["the notification", "(a)", "(b)"].iter().zip(&took) {
        println!(
            "  ratio to {what:<43} {:>7.2} {:>7.2}",
            percentile(ours, 0.5) / percentile(of, 0.5),
            percentile(ours, 0.99) / percentile(of, 0.99)
        );
    }
}
