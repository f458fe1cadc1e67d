//! What `rowcall.watch` costs those who write: the same INSERT on a table with and without it, and on one with the trigger that people
//! write by hand: for each row it inserts a job and notifies.

mod quiet;

use std::time::{Duration, Instant};

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Ends;
use rowcall::settings::Settings;

use self::quiet::beside_quiet_dispatchers;
use super::null_runner::NullRunner;
use super::report::{Better, Figure};
use super::{Bench, connect};

const ROUNDS: usize = 5;

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench
        .client
        .batch_execute(
            "create table bare (id bigint generated always as identity primary key, status text, attributes jsonb);
             create table unrouted (like bare including all);
             create table routed (like bare including all);
             create table by_hand (like bare including all);
             create table by_hand_jobs (id bigint generated always as identity primary key, row_id bigint not null,
                 state text not null default 'ready');
             create index on by_hand_jobs (id) where state = 'ready';
             create function by_hand() returns trigger language plpgsql as $$
             begin
                 insert into by_hand_jobs (row_id) values (new.id);
                 perform pg_notify('by_hand', '');
                 return null;
             end $$;
             create trigger by_hand after insert on by_hand for each row execute function by_hand();
             select rowcall.watch('unrouted'), rowcall.watch('routed');
             insert into rowcall.parameters (name, source_table, on_status, runner, target)
             values ('noop', 'routed', 'NEW', 'docker', 'null');",
        )
        .await?;
    let cases = [
        ("1 row by 1 client", 1, "('NEW', '{\"a\": 1}')"),
        ("1 row by each of 8 clients", 8, "('NEW', '{\"a\": 1}')"),
        ("1,000 rows by 1 client", 1, ""),
    ];
    let mut figures = Vec::new();
    for (what, clients, values) in cases {
        let (mut bare, mut by_hand) = (Vec::new(), Vec::new());
        let (mut unrouted, mut routed, mut working) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(rate(&bench, "bare", clients, values).await?);
            by_hand.push(rate(&bench, "by_hand", clients, values).await?);
            unrouted.push(rate(&bench, "unrouted", clients, values).await?);
            routed.push(rate(&bench, "routed", clients, values).await?);
            clean(&bench).await?;
            // It shares the machine's cores with the writers, and its own work with their disk.
            let runners = |_: &Settings, ends: &Ends| NullRunner::new(ends).alone();
            let dispatcher = Dispatcher::start(bench.settings()?, Mode::Serve, runners).await?;
            working.push(rate(&bench, "routed", clients, values).await?);
            dispatcher.drain();
            dispatcher.finish().await?;
            clean(&bench).await?;
        }
        let mut figure = |how: &str, yardstick, ours: &[f64], by: &[f64]| {
            let name = format!("INSERT of {what}, {how}, statements/s");
            figures.push(Figure::new(&name, yardstick, Better::Higher, ours, by));
        };
        figure("no task for the status", "a bare table", &unrouted, &bare);
        figure("with a task", "a bare table", &routed, &bare);
        figure("with a task", "a trigger by hand", &routed, &by_hand);
        figure("with a task, and a dispatcher at work", "without a dispatcher", &working, &routed);
    }
    figures.extend(beside_quiet_dispatchers(&bench).await?);
    Ok(figures)
}

async fn clean(bench: &Bench) -> anyhow::Result<()> {
    bench.client.batch_execute("truncate bare, by_hand, by_hand_jobs, unrouted, routed").await?;
    bench.client.batch_execute(super::EMPTY).await?;
    Ok(bench.client.batch_execute("checkpoint").await?)
}

/// Statements per second over a second.
async fn rate(bench: &Bench, table: &str, clients: usize, values: &str) -> anyhow::Result<f64> {
    let sql = if values.is_empty() {
        format!(
            "insert into {table} (status, attributes) select 'NEW', '{{\"a\": 1}}' from generate_series(1, 1000)"
        )
    } else {
        format!("insert into {table} (status, attributes) values {values}")
    };
    let mut writers = Vec::new();
    for _ in 0..clients {
        let client = connect(&bench.url).await?;
        let statement = client.prepare(&sql).await?;
        client.execute(&statement, &[]).await?;
        writers.push((client, statement));
    }
    let until = Instant::now() + Duration::from_secs(1);
    let work = writers.iter().map(|(client, statement)| async move {
        let mut done = 0_u32;
        let begun = Instant::now();
        while Instant::now() < until {
            client.execute(statement, &[]).await?;
            done += 1;
        }
        anyhow::Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    });
    Ok(futures_util::future::try_join_all(work).await?.into_iter().sum())
}
