//! What the harness reads: one JSON object a line on standard output. First what this adapter is, then figures.

use std::io::{Write as _, stdout};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rowcall::database::SCHEMA_VERSION;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::figures::Figures;
use crate::given::{Given, Pacing};
use crate::latencies::WINDOW;
use crate::pace;

/// What the harness knows of this system before it starts it: both tell the same.
const MANIFEST: &str = include_str!("../adapter.json");

/// Of whom the figures are.
const SYSTEM: &str = "rowcall";

/// The first line.
pub fn describe(given: &Given, version: &str, started_at: SystemTime) -> anyhow::Result<()> {
    let manifest: Value = serde_json::from_str(MANIFEST).context("adapter.json")?;
    write(&[json!({
        "kind": "descriptor",
        "system": SYSTEM,
        "instance_id": given.instance,
        "event_tables": manifest["event_tables"],
        "event_indexes": manifest["event_indexes"],
        "extensions": manifest["extensions"],
        "version": version,
        "schema_version": SCHEMA_VERSION.to_string(),
        "db_name": given.database,
        "started_at": humantime::format_rfc3339_millis(started_at).to_string(),
    })])
}

/// All the others, until told to stop; then those that are due since the last ones.
pub async fn run(given: Arc<Given>, figures: Arc<Figures>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut told = (0, 0);
    loop {
        let is_over = tokio::select! {
            () = tokio::time::sleep(until_next(given.sample_every)) => false,
            () = stop.cancelled() => true,
        };
        write(&sample(&given, &figures, &mut told).await)?;
        if is_over {
            return Ok(());
        }
    }
}

/// Replicas and systems sample at the same moments, by the wall clock.
fn until_next(period: Duration) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let gone = Duration::from_nanos((now.as_nanos() % period.as_nanos()) as u64);
    period.saturating_sub(gone)
}

/// The lines of now.
async fn sample(given: &Given, figures: &Figures, told: &mut (u64, u64)) -> Vec<Value> {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut lines = Vec::new();
    let mut add = |metric: &str, value: f64, window_s: f64| {
        lines.push(json!({
            "t": now, "system": SYSTEM, "instance_id": given.instance, "kind": "adapter", "subject_kind": "adapter",
            "subject": "", "metric": metric, "value": value, "window_s": window_s,
        }));
    };
    let latencies = [
        ("producer_call", &figures.insert),
        ("producer", &figures.insert_per_row),
        ("claim", &figures.pickup),
        // Its newer name.
        ("subscriber", &figures.pickup),
        ("end_to_end", &figures.end_to_end),
    ];
    for (name, latencies) in latencies {
        for (percentile, ms) in latencies.percentiles().into_iter().flatten() {
            add(&format!("{name}_{percentile}_ms"), ms, WINDOW as f64);
        }
    }
    // The harness sums up rates times windows: with the nominal window for both, also where a first one is shorter or a tick comes
    // late, the sum is what was counted.
    let window_s = given.sample_every.as_secs_f64();
    let (enqueued, completed) = figures.counts();
    add("enqueue_rate", (enqueued - told.0) as f64 / window_s, window_s);
    add("completion_rate", (completed - told.1) as f64 / window_s, window_s);
    *told = (enqueued, completed);
    // Of all replicas together, so one of them tells it.
    if given.instance == 0 {
        if let Some(depths) = *figures.depths.borrow() {
            add("queue_depth", depths.due as f64, 0.0);
            add("running_depth", depths.running as f64, 0.0);
            add("retryable_depth", depths.waiting as f64, 0.0);
            add("total_backlog", depths.all as f64, 0.0);
        }
        if given.pacing != Pacing::Depth {
            add("producer_target_rate", pace::rate(given).await, 0.0);
        }
    }
    lines
}

fn write(lines: &[Value]) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).context("standard output is closed")
}
