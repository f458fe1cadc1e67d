//! What `rowcall.watch` costs those who write: the same INSERT on a table with and without it.

use std::time::{Duration, Instant};

use super::{Bench, connect, median};

const ROUNDS: usize = 5;

pub async fn run(bench: Bench) -> anyhow::Result<()> {
    bench
        .client
        .batch_execute(
            "create table bare (id bigint generated always as identity primary key, status text, attributes jsonb);
             create table unrouted (like bare including all);
             create table routed (like bare including all);
             select rowcall.watch('unrouted'), rowcall.watch('routed');
             insert into rowcall.parameters (name, source_table, on_status, runner, target)
             values ('noop', 'routed', 'NEW', 'docker', 'null');",
        )
        .await?;
    println!(
        "INSERT with rowcall.watch against without, rate as a ratio, median of {ROUNDS} interleaved rounds"
    );
    println!("  {:<40} {:>12} {:>12}", "", "no task", "a task");
    let cases = [
        ("1 row, 1 client", 1, "('NEW', '{\"a\": 1}')"),
        ("1 row, 8 clients", 8, "('NEW', '{\"a\": 1}')"),
        ("10,000 rows in one statement, 1 client", 1, ""),
    ];
    for (what, clients, values) in cases {
        let (mut unrouted, mut routed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let bare = rate(&bench, "bare", clients, values).await?;
            unrouted.push(rate(&bench, "unrouted", clients, values).await? / bare);
            routed.push(rate(&bench, "routed", clients, values).await? / bare);
            bench.client.batch_execute("truncate bare, unrouted, routed, rowcall.jobs; checkpoint").await?;
        }
        println!("  {what:<40} {:>12.2} {:>12.2}", median(unrouted), median(routed));
    }
    Ok(())
}

/// Statements per second over a second.
async fn rate(bench: &Bench, table: &str, clients: usize, values: &str) -> anyhow::Result<f64> {
    let sql = if values.is_empty() {
        format!(
            "insert into {table} (status, attributes) select 'NEW', '{{\"a\": 1}}' from generate_series(1, 10000)"
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
