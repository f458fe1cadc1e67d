//! What a job costs, as a model: its parts are measured, it is checked against points that it was not fitted to, and then says what
//! much more would cost.
//!
//! A transaction of the queue has a price whatever it is for, and each job in it a smaller one. With one slot every job has
//! its own claim and its own settlement; with many slots several jobs share them. So a job costs `each + transaction * share`, where the
//! share is transactions a job. Batches of up to 16 jobs go by statements for single rows, larger ones by statements for sets: each kind has
//! its own line, fitted to its fewest and its most slots.

use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::Ends;
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use super::daemon::processor_seconds;
use super::null_runner::NullRunner;
use super::report::{Better, Figure};
use super::{Bench, drain};

/// Slots for batches of few jobs and for batches of many.
const SLOTS: [&[usize]; 2] = [&[1, 2, 4, 8, 16], &[32, 64, 128, 512]];
/// For each slot, so that each measurement takes about as long.
const JOBS: usize = 400;
const MOST_JOBS: usize = 20_000;
const WARM_UP: usize = 50;

/// A session that has become idle tells the server of its counts by then.
const TOLD_WITHIN: Duration = Duration::from_secs(12);

/// A dispatcher that finds five jobs looks again after 10 ms, so that it makes a hundred batches a second; with fewer jobs a second
/// than this, each is a batch of its own.
const BUSY: f64 = 500.0;
const BATCHES: f64 = 100.0;

/// Jobs a second for which the model says what they take; the last is a thousand times what a slot does here.
const RATES: [f64; 7] = [1.0, 20.0, 100.0, 500.0, 1_000.0, 10_000.0, 100_000.0];

/// What so many slots took a job.
#[derive(Debug, Clone, Copy)]
struct Point {
    slots: usize,
    transactions: f64,
    /// Milliseconds of a core.
    server: f64,
    dispatcher: f64,
    /// Bytes.
    wal: f64,
    history: f64,
}

/// Milliseconds of a core.
#[derive(Debug, Clone, Copy)]
struct Line {
    each: f64,
    transaction: f64,
}

impl Line {
    /// Through two points.
    fn through(from: (f64, f64), to: (f64, f64)) -> Self {
        let transaction = (from.1 - to.1) / (from.0 - to.0);
        Self { each: to.1 - transaction * to.0, transaction }
    }

    fn at(self, transactions: f64) -> f64 {
        self.each + self.transaction * transactions
    }
}

/// What one kind of batches costs.
struct Part {
    points: Vec<Point>,
    server: Line,
    dispatcher: Line,
}

impl Part {
    /// Fitted to the first and the last of them.
    fn fit(points: Vec<Point>) -> Option<Self> {
        let (first, last) = (*points.first()?, *points.last()?);
        let line = |cost: fn(&Point) -> f64| {
            Line::through((first.transactions, cost(&first)), (last.transactions, cost(&last)))
        };
        Some(Self { server: line(|p| p.server), dispatcher: line(|p| p.dispatcher), points })
    }
}

pub async fn run(bench: Bench) -> anyhow::Result<Vec<Figure>> {
    bench.route_files().await?;
    let mut parts = Vec::new();
    for slots in SLOTS {
        let mut points = Vec::new();
        for slots in slots {
            points.push(measure(&bench, *slots).await?);
        }
        parts.extend(Part::fit(points));
    }
    print(&parts);
    let between =
        || parts.iter().flat_map(|part| part.points[1..part.points.len() - 1].iter().map(move |p| (part, p)));
    let check = |what: &str, said: fn(&Part, &Point) -> f64, measured: fn(&Point) -> f64| {
        let said: Vec<f64> = between().map(|(part, point)| said(part, point)).collect();
        let measured: Vec<f64> = between().map(|(_, point)| measured(point)).collect();
        let name = format!("the cost model's word for {what}, ms of a core a job");
        Figure::new(&name, "measured with 2 to 128 slots", Better::Lower, &said, &measured)
    };
    Ok(vec![
        check("Postgres", |part, p| part.server.at(p.transactions), |p| p.server),
        check("the dispatcher", |part, p| part.dispatcher.at(p.transactions), |p| p.dispatcher),
    ])
}

async fn measure(bench: &Bench, slots: usize) -> anyhow::Result<Point> {
    bench.client.batch_execute(super::EMPTY).await?;
    drain::tidy(bench).await?;
    let (settled, mut ends) = mpsc::unbounded_channel();
    let runners = move |_: &Settings, ends: &Ends| {
        NullRunner::new(ends).with_capacity(slots).tells_ends(settled).alone()
    };
    let dispatcher = Dispatcher::start(bench.settings()?, Mode::Serve, runners).await?;
    let mut all_ended = async |jobs: usize| {
        drain::add(bench, jobs).await?;
        for _ in 0..jobs {
            ends.recv().await;
        }
        anyhow::Ok(())
    };
    all_ended(WARM_UP).await?;
    tokio::time::sleep(TOLD_WITHIN).await;
    let before = Counts::now(bench).await?;
    let jobs = (JOBS * slots).min(MOST_JOBS);
    all_ended(jobs).await?;
    let processor = Counts::processors(bench).await?;
    tokio::time::sleep(TOLD_WITHIN).await;
    let after = Counts { server: processor.0, dispatcher: processor.1, ..Counts::now(bench).await? };
    dispatcher.drain();
    dispatcher.finish().await?;
    let each = |from: f64, to: f64| (to - from) / jobs as f64;
    Ok(Point {
        slots,
        transactions: each(before.transactions, after.transactions),
        server: 1000.0 * each(before.server, after.server),
        dispatcher: 1000.0 * each(before.dispatcher, after.dispatcher),
        wal: each(before.wal, after.wal),
        history: each(before.history, after.history),
    })
}

/// What has been counted so far.
struct Counts {
    transactions: f64,
    /// Seconds of a core.
    server: f64,
    dispatcher: f64,
    /// Bytes.
    wal: f64,
    history: f64,
}

impl Counts {
    async fn now(bench: &Bench) -> anyhow::Result<Self> {
        let (server, dispatcher) = Self::processors(bench).await?;
        let counts = "select xact_commit::float8, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8,
                (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent in
                    ('rowcall_internal.history'::regclass, 'rowcall_internal.ended_attempts'::regclass))::float8
            from pg_stat_database where datname = current_database()";
        let row = bench.client.query_one(counts, &[]).await?;
        Ok(Self { transactions: row.get(0), server, dispatcher, wal: row.get(1), history: row.get(2) })
    }

    /// Of the sessions of the dispatcher, and of this program.
    async fn processors(bench: &Bench) -> anyhow::Result<(f64, f64)> {
        let sessions =
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and backend_type = 'client backend'";
        let mut server = 0.0;
        for row in bench.client.query(sessions, &[]).await? {
            server += processor_seconds(&row.get::<_, i32>(0).to_string())?;
        }
        Ok((server, processor_seconds("self")?))
    }
}

fn print(parts: &[Part]) {
    println!(
        "\n| slots | transactions a job | Postgres, ms of a core a job | the model says | dispatcher, ms | the model says |"
    );
    println!("|---|---|---|---|---|---|");
    for Part { points, server, dispatcher } in parts {
        for p in points {
            let (x, said) = (p.transactions, server.at(p.transactions));
            println!(
                "| {} | {x:.3} | {:.2} | {said:.2} | {:.2} | {:.2} |",
                p.slots,
                p.server,
                p.dispatcher,
                dispatcher.at(x)
            );
        }
    }
    for (Part { server: Line { each, transaction }, .. }, kind) in parts.iter().zip(["few", "many"]) {
        println!(
            "\nIn batches of {kind} a transaction costs Postgres {transaction:.2} ms, and each job in it {each:.2} ms more."
        );
    }
    println!(
        "\n| jobs/s | transactions a job | cores for Postgres | cores for dispatchers | write-ahead log a day, GB | history a day, GB |"
    );
    println!("|---|---|---|---|---|---|");
    let [few, many] = parts else { return };
    let (Some(one), Some(first_of_many), Some(most)) =
        (few.points.first(), many.points.first(), many.points.last())
    else {
        return;
    };
    for rate in RATES {
        let batches = if rate < BUSY { rate } else { BATCHES };
        let transactions = one.transactions * batches / rate;
        let part = if transactions <= first_of_many.transactions { many } else { few };
        let a_day = |bytes: f64| rate * bytes * 86_400.0 / 1e9;
        println!(
            "| {rate} | {transactions:.4} | {:.3} | {:.3} | {:.1} | {:.1} |",
            rate * part.server.at(transactions) / 1000.0,
            rate * part.dispatcher.at(transactions) / 1000.0,
            a_day(most.wal),
            a_day(most.history)
        );
    }
}
