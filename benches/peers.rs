//! Other job queues on Postgres beside ours: how fast waiting jobs that do nothing are done, and how long after a commit a single one
//! starts. Each is a program (`benches/peer_queues`) with an empty database on the same server, and so are we; all take turns.
//!
//! They do different things for a job. Some delete it when it is done and keep neither attempts nor history, and none has a row of the
//! user's to write to: so we are measured twice, with tasks that give their rows statuses and with one that does not.

mod ours;
mod program;

use std::fmt::Write as _;

use self::ours::Ours;
use self::program::{Drained, Latencies, Program, Setting};
use super::report::{Better, Figure};
use super::{connect, median, server};

const ROUNDS: usize = 3;
/// Jobs that wait where each is at its best.
const JOBS: usize = 20_000;
/// Fewer where a queue acknowledges them one by one: some slow down with the work that they have done.
const JOBS_ONE_BY_ONE: usize = 5_000;
/// Single jobs on an idle system.
const SINGLE_JOBS: usize = 300;
const PAUSE_MS: u64 = 20;

/// Who takes part, ours first; what it is measured by comes with it.
enum Contestant {
    Ours(Ours),
    Peer(Program),
}

/// What one of them reached, one value a round.
#[derive(Default)]
struct Reached {
    name: String,
    at_its_best: Vec<Drained>,
    one_by_one: Vec<Drained>,
    latencies: Vec<Latencies>,
}

/// All of them, or those peers named; with what each reached by itself, as Markdown.
pub async fn run(server: &server::Server, named: &[String]) -> anyhow::Result<(Vec<Figure>, String)> {
    let programs = Program::installed().into_iter().filter(|p| named.is_empty() || named.contains(&p.name));
    let mut contestants: Vec<_> = Ours::BOTH.into_iter().map(Contestant::Ours).collect();
    contestants.extend(programs.map(Contestant::Peer));
    anyhow::ensure!(
        contestants.len() > Ours::BOTH.len(),
        "none of these peers is installed: ./dev bench peers does that"
    );
    let mut reached: Vec<_> = contestants.iter().map(|_| Some(Reached::default())).collect();
    for round in 0..ROUNDS {
        for turn in 0..contestants.len() {
            let place = (turn + round) % contestants.len();
            let Some(so_far) = &mut reached[place] else { continue };
            if let Err(error) = measure(server, &contestants[place], so_far).await {
                // Nothing is said about a queue that fails, as that may well be our way to call it.
                let Contestant::Peer(program) = &contestants[place] else { return Err(error) };
                eprintln!("left out: {}: {error:#}", program.name);
                reached[place] = None;
            }
        }
    }
    let (ours, peers): (Vec<_>, Vec<_>) = contestants
        .iter()
        .zip(reached)
        .partition(|(contestant, _)| matches!(contestant, Contestant::Ours(_)));
    let only_reached =
        |all: Vec<(_, Option<Reached>)>| all.into_iter().filter_map(|(_, it)| it).collect::<Vec<_>>();
    let (ours, peers) = (only_reached(ours), only_reached(peers));
    let figures: Vec<_> =
        ours.iter().flat_map(|ours| peers.iter().flat_map(|peer| figures(ours, peer))).collect();
    let notes = medians(ours.iter().chain(&peers)) + &losses(&figures);
    Ok((figures, notes))
}

/// One turn: each measurement has a fresh database.
async fn measure(server: &server::Server, who: &Contestant, reached: &mut Reached) -> anyhow::Result<()> {
    match who {
        Contestant::Ours(ours) => {
            ours.name().clone_into(&mut reached.name);
            let database = Database::create(server).await?;
            reached.at_its_best.push(ours.drain(&database.url, JOBS).await?);
            database.drop().await?;
            let database = Database::create(server).await?;
            reached.latencies.push(ours.latencies(&database.url, SINGLE_JOBS, PAUSE_MS).await?);
            database.drop().await
        }
        Contestant::Peer(peer) => {
            let database = Database::create(server).await?;
            let drained = peer.drain(&database.url, Setting::Best, JOBS).await?;
            drained.peer.clone_into(&mut reached.name);
            reached.at_its_best.push(drained);
            database.drop().await?;
            let database = Database::create(server).await?;
            reached.one_by_one.push(peer.drain(&database.url, Setting::C10, JOBS_ONE_BY_ONE).await?);
            database.drop().await?;
            let database = Database::create(server).await?;
            reached.latencies.push(peer.latencies(&database.url, SINGLE_JOBS, PAUSE_MS).await?);
            database.drop().await
        }
    }
}

/// An empty database.
struct Database {
    url: String,
    server: tokio_postgres::Client,
}

impl Database {
    const NAME: &'static str = "peer";

    async fn create(server: &server::Server) -> anyhow::Result<Self> {
        let client = connect(&server.url("postgres")).await?;
        // Of one that has failed.
        client.batch_execute(&format!("drop database if exists {} with (force)", Self::NAME)).await?;
        client.batch_execute(&format!("create database {}", Self::NAME)).await?;
        Ok(Self { url: server.url(Self::NAME), server: client })
    }

    async fn drop(self) -> anyhow::Result<()> {
        Ok(self.server.batch_execute(&format!("drop database {} with (force)", Self::NAME)).await?)
    }
}

/// Ours by the peer's, round by round.
fn figures(ours: &Reached, peer: &Reached) -> Vec<Figure> {
    let rates = |all: &[Drained]| all.iter().map(|d| d.jobs_per_second).collect::<Vec<_>>();
    let wal = |all: &[Drained]| all.iter().map(|d| d.wal_bytes_per_job).collect::<Vec<_>>();
    let times = |of: &Reached, time: fn(&Latencies) -> f64| of.latencies.iter().map(time).collect::<Vec<_>>();
    let of_jobs = |drained: &[Drained], jobs| match drained.first() {
        Some(drained) if drained.jobs < jobs => format!(" ({} jobs)", drained.jobs),
        _ => String::new(),
    };
    let best = format!("{} at its best{}", peer.name, of_jobs(&peer.at_its_best, JOBS));
    let one_by_one = format!("{}, 10 at a time{}", peer.name, of_jobs(&peer.one_by_one, JOBS));
    let name = |what: &str| format!("{}: {what}", ours.name);
    let drain = name(&format!("drain of {JOBS} waiting jobs, jobs/s"));
    let ours_best = rates(&ours.at_its_best);
    let mut figures = vec![
        Figure::new(&drain, &best, Better::Higher, &ours_best, &rates(&peer.at_its_best)),
        Figure::new(&drain, &one_by_one, Better::Higher, &ours_best, &rates(&peer.one_by_one)),
        Figure::new(
            &name("drain, bytes of WAL a job"),
            &best,
            Better::Lower,
            &wal(&ours.at_its_best),
            &wal(&peer.at_its_best),
        ),
    ];
    let mut latency = |share: &str, time: fn(&Latencies) -> f64| {
        let name = name(&format!("commit to start, idle system, {share}, ms"));
        figures.push(Figure::new(&name, &peer.name, Better::Lower, &times(ours, time), &times(peer, time)));
    };
    latency("p50", |l| l.p50_ms);
    latency("p99", |l| l.p99_ms);
    figures
}

/// What each reached by itself, which the ratios do not show, and with which settings.
fn medians<'a>(all: impl Iterator<Item = &'a Reached>) -> String {
    let mut page = "
| medians | jobs/s at its best | 10 at a time | bytes of WAL a job | p50, ms | p99, ms |
|---|---|---|---|---|---|
"
    .to_owned();
    // Some measure less than others.
    let cell = |value: f64, digits: usize| {
        if value.is_nan() { "–".to_owned() } else { format!("{value:.digits$}") }
    };
    let mut settings = String::new();
    for Reached { name, at_its_best, one_by_one, latencies } in all {
        let of = |all: &[Drained], value: fn(&Drained) -> f64| median(all.iter().map(value).collect());
        let times = |value: fn(&Latencies) -> f64| median(latencies.iter().map(value).collect());
        let _ = writeln!(
            page,
            "| {name} | {} | {} | {} | {} | {} |",
            cell(of(at_its_best, |d| d.jobs_per_second), 0),
            cell(of(one_by_one, |d| d.jobs_per_second), 0),
            cell(of(at_its_best, |d| d.wal_bytes_per_job), 0),
            cell(times(|l| l.p50_ms), 2),
            cell(times(|l| l.p99_ms), 2),
        );
        for (what, drained) in [("at its best", at_its_best), ("10 at a time", one_by_one)] {
            if let Some(Drained { setting, jobs, .. }) = drained.first() {
                let _ = writeln!(settings, "- {name}, {what}, {jobs} jobs: {setting}");
            }
        }
        if let Some(Latencies { setting, .. }) = latencies.first() {
            let _ = writeln!(settings, "- {name}, idle: {setting}");
        }
    }
    page + "\nWith these settings:\n\n" + &settings
}

/// Where a peer is ahead of us: in a long table of ratios that is easily missed.
fn losses(figures: &[Figure]) -> String {
    // As the page shows them: 1.00 is no difference.
    let shown = |figure: &Figure| (figure.ratio * 100.0).round();
    let lost = |figure: &&Figure| match figure.better {
        Better::Higher => shown(figure) < 100.0,
        Better::Lower => shown(figure) > 100.0,
    };
    let mut page = "\nWhere a peer is ahead:\n\n".to_owned();
    for Figure { name, yardstick, ratio, .. } in figures.iter().filter(lost) {
        let _ = writeln!(page, "- {yardstick}: {name}: {ratio:.2} of it");
    }
    page + "\n"
}
