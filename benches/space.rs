//! What a job leaves behind: WAL, dead row versions, room in the queue.

mod heartbeats;
mod queue;

use std::time::Duration;

use super::report::{Better, Figure};
use super::server::Server;
use super::throughput::yardstick;
use super::{Bench, drain};

const JOBS: usize = 20_000;
const ROUNDS: usize = 3;
/// A session tells the server of its counts a second after the transaction, or with the next one.
const TOLD_WITHIN: Duration = Duration::from_millis(1500);

/// Of which tables dead versions are counted.
const OURS: &str = "schemaname = 'rowcall_internal' or relid = 'rowcall.files'::regclass";
const YARDSTICKS: &str = "schemaname = 'public' and relname like 'y\\_%'";

pub async fn run(server: &Server) -> anyhow::Result<Vec<Figure>> {
    let bench = Bench::new(server, "space").await?;
    bench.route_files().await?;
    let (mut wal, mut dead) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        let (bytes, versions) = whole_way(&bench).await?;
        wal.0.push(bytes);
        dead.0.push(versions);
        let (bytes, versions) = same_writes(&bench).await?;
        wal.1.push(bytes);
        dead.1.push(versions);
    }
    let figure = |name: &str, (ours, by): &(Vec<f64>, Vec<f64>)| {
        let name = format!("row to PROCESSED row, {name}");
        Figure::new(&name, "the same writes", Better::Lower, ours, by)
    };
    let mut figures = vec![figure("bytes of WAL a job", &wal), figure("dead row versions a job", &dead)];
    figures.push(heartbeats::run(Bench::new(server, "space_heartbeats").await?).await?);
    figures.extend(queue::run(Bench::new(server, "space_queue").await?).await?);
    Ok(figures)
}

/// From the INSERT on: bytes of WAL and dead row versions a job.
async fn whole_way(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    bench.client.batch_execute(super::EMPTY).await?;
    bench.client.batch_execute("checkpoint").await?;
    let (wal, dead) = (wal(bench).await?, dead_versions(bench, OURS).await?);
    drain::add(bench, JOBS).await?;
    bench.client.batch_execute("vacuum analyze").await?;
    drain::rate(bench, 1, JOBS).await?;
    let wal = self::wal(bench).await? - wal;
    Ok((wal / JOBS as f64, (dead_versions(bench, OURS).await? - dead) / JOBS as f64))
}

/// Its tables are new each time.
async fn same_writes(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    bench.client.batch_execute("checkpoint").await?;
    let before = wal(bench).await?;
    yardstick::same_writes(bench, JOBS as i64).await?;
    let wal = wal(bench).await? - before;
    Ok((wal / JOBS as f64, dead_versions(bench, YARDSTICKS).await? / JOBS as f64))
}

async fn wal(bench: &Bench) -> anyhow::Result<f64> {
    let written = "select (pg_current_wal_insert_lsn() - '0/0')::float8";
    Ok(bench.client.query_one(written, &[]).await?.get(0))
}

/// Made so far, whether vacuum has removed them or not: each update and each delete makes one.
async fn dead_versions(bench: &Bench, tables: &str) -> anyhow::Result<f64> {
    tokio::time::sleep(TOLD_WITHIN).await;
    bench.client.batch_execute("select").await?;
    let made = format!(
        "select coalesce(sum(n_tup_upd + n_tup_del), 0)::float8 from pg_stat_all_tables where {tables}"
    );
    Ok(bench.client.query_one(&made, &[]).await?.get(0))
}
