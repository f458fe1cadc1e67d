//! Whether heartbeats stay on their page: an update that does leaves all indexes alone (HOT), and needs no vacuum.

use rowcall::contract;
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::{Attempt, Ends};
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use super::TOLD_WITHIN;
use crate::null_runner::NullRunner;
use crate::report::{Better, Figure};
use crate::{Bench, drain};

const ATTEMPTS: usize = 1_000;
/// Of each attempt.
const HEARTBEATS: usize = 10;

/// The share of the heartbeats that were HOT.
pub async fn run(bench: Bench) -> anyhow::Result<Figure> {
    bench.route_files().await?;
    let (to, mut launches) = mpsc::unbounded_channel();
    let token = |_: &Attempt, variables: &[(String, String)]| {
        let token = variables.iter().find(|(name, _)| name == contract::TOKEN);
        token.map(|(_, token)| token.clone()).unwrap_or_default()
    };
    let runners =
        |_: &Settings, ends: &Ends| NullRunner::new(ends).lasting(ATTEMPTS).tells_launches(to, token).alone();
    let dispatcher = Dispatcher::start(bench.settings()?, Mode::Serve, runners).await?;
    drain::add(&bench, ATTEMPTS).await?;
    let mut tokens = Vec::new();
    while tokens.len() < ATTEMPTS {
        tokens.extend(launches.recv().await);
    }
    // Their launches are written down, which are updates, too.
    tokio::time::sleep(2 * TOLD_WITHIN).await;
    let client = &bench.client;
    client.batch_execute("set synchronous_commit = off").await?;
    let heartbeat = client.prepare("select rowcall.task_progress($1, $2, 'loading')").await?;
    let before = updates(&bench).await?;
    for beat in 1..=HEARTBEATS {
        for token in &tokens {
            client.execute(&heartbeat, &[token, &(beat as f64 / HEARTBEATS as f64)]).await?;
        }
    }
    let after = updates(&bench).await?;
    dispatcher.abandon();
    let (hot, all) = (after.0 - before.0, after.1 - before.1);
    let name = "heartbeats that stay on their page (HOT), of each attempt";
    let each = |updates: f64| [updates / ATTEMPTS as f64];
    Ok(Figure::new(name, "its heartbeats", Better::Higher, &each(hot), &each(all)))
}

/// Of the open attempts: those that were HOT, and all.
async fn updates(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    tokio::time::sleep(TOLD_WITHIN).await;
    bench.client.batch_execute("select").await?;
    let counted = "select n_tup_hot_upd::float8, n_tup_upd::float8 from pg_stat_all_tables
        where relid = 'rowcall_internal.attempts'::regclass";
    let row = bench.client.query_one(counted, &[]).await?;
    Ok((row.get(0), row.get(1)))
}
