//! The room that a waiting job takes, with its indexes, for rows with a number and for rows with a UUID as their key.

use crate::report::{Better, Figure};
use crate::{Bench, EMPTY};

const JOBS: i64 = 200_000;

const TABLES: &str = "
    create table by_number (id bigint generated always as identity primary key, status text);
    create table by_uuid (id uuid primary key default gen_random_uuid(), status text);
    create table by_hand (id bigint generated always as identity primary key, row_id bigint not null,
        state text not null default 'ready');
    create index on by_hand (id) where state = 'ready';
    select rowcall.watch('by_number'), rowcall.watch('by_uuid');
    insert into rowcall.parameters (name, source_table, on_status, runner, target, result_column)
    values ('by_number', 'by_number', 'NEW', 'docker', 'null', null), ('by_uuid', 'by_uuid', 'NEW', 'docker', 'null', null)";

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.client.batch_execute(TABLES).await?;
    let by_hand = "insert into by_hand (row_id) select generate_series(1, $1::bigint)";
    let by_hand = size(&bench, by_hand, "by_hand").await?;
    let mut figures = Vec::new();
    for (table, key) in [("by_number", "bigint"), ("by_uuid", "UUID")] {
        let rows = format!("insert into {table} (status) select 'NEW' from generate_series(1, $1::bigint)");
        let ours = size(&bench, &rows, "rowcall_internal.jobs").await?;
        bench.client.batch_execute(EMPTY).await?;
        let name = format!("a waiting job of a row with a {key} as its key, bytes");
        figures.push(Figure::new(&name, "a job by hand", Better::Lower, &[ours], &[by_hand]));
    }
    Ok(figures)
}

/// Bytes a row that a table and its indexes take.
async fn size(bench: &Bench, insert: &str, table: &str) -> anyhow::Result<f64> {
    bench.client.execute(insert, &[&JOBS]).await?;
    bench.client.batch_execute(&format!("vacuum analyze {table}")).await?;
    let bytes = format!("select pg_total_relation_size('{table}')");
    Ok(bench.client.query_one(&bytes, &[]).await?.get::<_, i64>(0) as f64 / JOBS as f64)
}
