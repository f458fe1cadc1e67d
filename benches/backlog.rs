//! Whether a drain slows down where much waits, and where much is over: each on a database of its own, in turn with one that holds
//! nothing else.

use super::report::{Better, Figure};
use super::server::Server;
use super::{Bench, drain};

/// Drained each time.
const JOBS: usize = 20_000;
const WAITING: usize = 1_000_000;
const OVER: i64 = 10_000_000;
const ROUNDS: usize = 5;

/// An index of hashes takes single entries far slower than it is built.
const HISTORY: &str = "
    drop index rowcall_internal.history_row;
    insert into rowcall_internal.history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, created_at)
    select -g, 'noop', 'rowcall.files', jsonb_build_object('id', g), 'REGISTERED', 'SUCCEEDED', 'exit_code', 1,
        now() - make_interval(secs => random() * 600)
    from generate_series(1, :over) g;
    create index history_row on rowcall_internal.history using hash (row_key)";

pub async fn run(server: &Server) -> anyhow::Result<Vec<Figure>> {
    let plain = Bench::new(server, "backlog_none").await?;
    plain.route_files().await?;
    let waiting = Bench::new(server, "backlog_waiting").await?;
    waiting.route_files().await?;
    // As many as are drained are made up for.
    drain::load(&waiting, WAITING).await?;
    let over = Bench::new(server, "backlog_over").await?;
    over.route_files().await?;
    // The partition of today.
    over.client.batch_execute("select rowcall_internal.keep_history('30 days')").await?;
    over.client.batch_execute(&HISTORY.replace(":over", &OVER.to_string())).await?;
    drain::tidy(&over).await?;

    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        drain::load(&plain, JOBS).await?;
        rates[0].push(drain::rate(&plain, 1, JOBS).await?);
        drain::add(&waiting, WAITING - left(&waiting).await?).await?;
        rates[1].push(drain::rate(&waiting, 1, JOBS).await?);
        drain::add(&over, JOBS).await?;
        drain::tidy(&over).await?;
        rates[2].push(drain::rate(&over, 1, JOBS).await?);
    }
    let [plain, waiting, over] = rates;
    let figure = |name: &str, yardstick: &str, rates: &[f64]| {
        let name = format!("drain of {JOBS} jobs {name}, jobs/s");
        Figure::new(&name, yardstick, Better::Higher, rates, &plain)
    };
    Ok(vec![
        figure("of 1,000,000 that wait", "no others wait", &waiting),
        figure("with 10,000,000 in the history", "an empty history", &over),
    ])
}

/// Jobs that wait.
async fn left(bench: &Bench) -> anyhow::Result<usize> {
    let waiting = "select count(*) from rowcall_internal.jobs";
    Ok(bench.client.query_one(waiting, &[]).await?.get::<_, i64>(0) as usize)
}
