//! From a user's COMMIT to the start of the task, on an idle system, beside the bare notification.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowcall::database::{Database, Subscription};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Runners;
use tokio::sync::mpsc;

use super::null_runner::NullRunner;
use super::{Bench, percentile};

const INSERTS: usize = 300;
/// Between two inserts, so that each finds the system idle.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn run(bench: Bench) -> anyhow::Result<()> {
    bench.route_files().await?;
    let settings = bench.settings()?;
    let (mut subscription, heard) = Subscription::open(&Database::new(&settings.database)?).await?;
    subscription.listen(&["bench_bare".to_owned()].into()).await?;
    let (started_at, mut launches) = mpsc::unbounded_channel();
    let dispatcher = Dispatcher::start(settings, Mode::Serve, |_, ends| {
        Ok(Runners::default().with(Arc::new(NullRunner { ends: ends.clone(), launched: started_at })))
    })
    .await?;
    let insert = bench.client.prepare("insert into rowcall.files default values").await?;
    let notify = bench.client.prepare("select pg_notify('bench_bare', '')").await?;

    let (mut started, mut bare) = (Vec::new(), Vec::new());
    // The first ones warm caches up and are not counted.
    for i in 0..INSERTS + 20 {
        tokio::time::sleep(PAUSE).await;
        let before = Instant::now();
        bench.client.execute(&notify, &[]).await?;
        heard.next().await;
        let bare_took = before.elapsed();

        tokio::time::sleep(PAUSE).await;
        let before = Instant::now();
        bench.client.execute(&insert, &[]).await?;
        let launch = launches.recv().await.ok_or_else(|| anyhow::anyhow!("the dispatcher is gone"))?;
        if i >= 20 {
            bare.push(bare_took.as_secs_f64() * 1e3);
            started.push((launch - before).as_secs_f64() * 1e3);
        }
    }
    dispatcher.drain();
    dispatcher.finish().await?;
    bare.sort_by(f64::total_cmp);
    started.sort_by(f64::total_cmp);
    println!("latency, idle system, {INSERTS} inserts, ms          p50     p99");
    for (what, values) in
        [("bare NOTIFY, commit to heard", &bare), ("INSERT, commit to task start", &started)]
    {
        println!("  {what:<44} {:>7.2} {:>7.2}", percentile(values, 0.5), percentile(values, 0.99));
    }
    println!(
        "  ratio {:>46.1} {:>7.1}",
        percentile(&started, 0.5) / percentile(&bare, 0.5),
        percentile(&started, 0.99) / percentile(&bare, 0.99)
    );
    Ok(())
}
