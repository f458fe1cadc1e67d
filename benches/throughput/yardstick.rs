//! What a drain is measured by.

use std::time::Instant;

use crate::Bench;

/// A queue with nothing but a state: claim 500, complete 500.
pub async fn least(bench: &Bench, jobs: i64) -> anyhow::Result<f64> {
    let client = &bench.client;
    client
        .batch_execute(
            "drop table if exists yardstick;
             create table yardstick (id bigint primary key, state text not null default 'ready');
             create index on yardstick (id) where state = 'ready';",
        )
        .await?;
    client.execute("insert into yardstick select g from generate_series(1, $1::bigint) g", &[&jobs]).await?;
    client.batch_execute("vacuum analyze yardstick").await?;
    let claim = client
        .prepare(
            "with picked as (select id from yardstick where state = 'ready' order by id limit 500
                             for update skip locked)
             update yardstick y set state = 'running' from picked where y.id = picked.id returning y.id",
        )
        .await?;
    let complete = client.prepare("update yardstick set state = 'done' where id = any ($1)").await?;
    let before = Instant::now();
    loop {
        let ids: Vec<i64> = client.query(&claim, &[]).await?.iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            return Ok(jobs as f64 / before.elapsed().as_secs_f64());
        }
        client.execute(&complete, &[&ids]).await?;
    }
}

/// Tables like ours, without triggers, and what a dispatcher writes there for one job: the row twice, the job, its attempt, its end.
const TABLES: &str = include_str!("tables.sql");
const ROWS: &str = "insert into y_files (status) select 'REGISTERED' from generate_series(1, $1::bigint)";
const QUEUE: &str = "insert into y_jobs (task, source_table, row_key, short_key, on_status)
    select 'noop', 'rowcall.files', jsonb_build_object('id', id), chr(96 + length(id::text)) || id, 'REGISTERED' from y_files";
const START: &str = include_str!("start.sql");
const END: &str = include_str!("end.sql");

/// The same writes as ours, 500 jobs to a transaction, by one client that has nothing to decide.
pub async fn same_writes(bench: &Bench, jobs: i64) -> anyhow::Result<f64> {
    let client = &bench.client;
    client.batch_execute(TABLES).await?;
    client.execute(ROWS, &[&jobs]).await?;
    client.execute(QUEUE, &[]).await?;
    client.batch_execute("vacuum analyze y_files").await?;
    client.batch_execute("vacuum analyze y_jobs").await?;
    // As the dispatcher has it.
    client.batch_execute("set enable_seqscan = off; set jit = off").await?;
    let (start, end) = (client.prepare(START).await?, client.prepare(END).await?);
    let before = Instant::now();
    loop {
        let ids: Vec<i64> = client.query(&start, &[]).await?.iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            break;
        }
        client.execute(&end, &[&ids]).await?;
    }
    let rate = jobs as f64 / before.elapsed().as_secs_f64();
    client.batch_execute("reset enable_seqscan; reset jit").await?;
    Ok(rate)
}
