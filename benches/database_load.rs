//! What sessions do to a database, from the counters of its server.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::{Bench, connect};

/// A session that has become idle tells the server of its counts by then.
const TOLD_WITHIN: Duration = Duration::from_secs(12);

/// A second.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Transactions of all sessions but ours, which counts from another database.
    pub transactions: f64,
    /// Rows that they inserted, updated and deleted.
    pub writes: f64,
}

/// Counts for so long. The server tidies nothing meanwhile: its own transactions are counted like others.
pub async fn over(bench: &Bench, time: Duration) -> anyhow::Result<Load> {
    let name: String = bench.client.query_one("select current_database()::text", &[]).await?.get(0);
    let other = connect(&bench.url.replace(&format!("/{name}"), "/postgres")).await?;
    set_autovacuum(&other, "off").await?;
    tokio::time::sleep(TOLD_WITHIN).await;
    let (begun, before) = (Instant::now(), counted(&other, &name).await?);
    tokio::time::sleep(time).await;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), counted(&other, &name).await?);
    set_autovacuum(&other, "on").await?;
    Ok(Load {
        transactions: (after.0 - before.0) as f64 / seconds,
        writes: (after.1 - before.1) as f64 / seconds,
    })
}

async fn counted(client: &Client, name: &str) -> anyhow::Result<(i64, i64)> {
    let count = "select xact_commit + xact_rollback, tup_inserted + tup_updated + tup_deleted
        from pg_stat_database where datname = $1";
    let row = client.query_one(count, &[&name]).await?;
    Ok((row.get(0), row.get(1)))
}

async fn set_autovacuum(client: &Client, to: &str) -> anyhow::Result<()> {
    client.batch_execute(&format!("alter system set autovacuum = {to}")).await?;
    Ok(client.batch_execute("select pg_reload_conf()").await?)
}
