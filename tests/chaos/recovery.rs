//! How long it takes until all works again after one thing was broken, with the default settings. What needs no lease to expire must
//! take less than three seconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio_postgres::Client;

use super::daemons::{Daemon, Machine};
use super::ledger::Ledger;
use super::postgres::Pair;
use super::tasks::KINDS;
use super::{APPLICATION, prepare};
use crate::support::{DAEMON, Proxy, TASKS, login};

/// Where no lease must expire.
const SOON: Duration = Duration::from_secs(3);

/// The daemons sleep: what they are told over a connection that hangs is found by their next poll.
const BY_A_POLL: Duration = Duration::from_secs(50);

/// One that was killed is noticed by the next beat of another on its machine, which is rare while that one is idle.
const BY_A_BEAT: Duration = Duration::from_secs(80);

/// How long the server is away where that is longer than usual.
const AWAY: Duration = Duration::from_secs(36);

struct Recovery {
    directory: tempfile::TempDir,
    pair: Pair,
    cable: Arc<Proxy>,
    daemons: Vec<Daemon>,
    rows: u32,
    /// What was broken, and how long it took.
    told: Vec<(String, Duration, Duration)>,
}

impl Recovery {
    async fn begin() -> Self {
        let directory = tempfile::Builder::new().prefix("rowcall-chaos-").tempdir_in("/tmp").unwrap();
        let pair = Pair::start().await;
        let url = pair.url("app");
        let cable = Arc::new(Proxy::new(&url).await);
        prepare(&pair, &KINDS, directory.path(), &login(&cable.url(&url), APPLICATION), None).await;
        let ledger = Arc::new(Ledger::new());
        let daemons = ["a", "b"].map(|name| {
            let machine = Machine {
                name,
                directory: directory.path().to_owned(),
                url: login(&cable.url(&url), DAEMON),
                pooler: None,
                tasks: login(&cable.url(&url), TASKS),
                aws: None,
            };
            Daemon::new(machine, &ledger)
        });
        Self { directory, pair, cable, daemons: daemons.into(), rows: 0, told: Vec::new() }
    }

    fn ran(&self) -> PathBuf {
        self.directory.path().join("ran")
    }

    async fn client(&self) -> Client {
        self.pair.admin("app").await.unwrap()
    }

    /// Inserts a row; how long it takes until its program has begun.
    async fn a_row_runs(&mut self, task: &str) -> Duration {
        self.rows += 1;
        let name = format!("r{}", self.rows);
        let insert = "insert into rowcall.files (status, attributes)
            select upper($1), jsonb_build_object('ref', $2::text, 'task', $1::text)";
        let client = self.client().await;
        client.execute(insert, &[&task, &name]).await.unwrap();
        let begun = Instant::now();
        let line = format!("begin {name} ");
        while !std::fs::read_to_string(self.ran()).unwrap().contains(&line) {
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "{name} does not run after {:?}",
                self.told.last()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    /// Both daemons sleep, and have for a while.
    async fn quiet(&self) {
        let client = self.client().await;
        let sleep = "select count(*) >= 2 from pg_stat_activity where application_name like 'rowcall asleep%' and state = 'idle in transaction'";
        while !client.query_one(sleep, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn tell(&mut self, what: &str, limit: Duration) {
        let took = self.a_row_runs("plain").await;
        eprintln!("{what}: {took:?}");
        self.told.push((what.to_owned(), took, limit));
        if limit == SOON {
            self.quiet().await;
        }
    }

    async fn end_sessions(&mut self, what: &str, which: &str) {
        let client = self.client().await;
        let end = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'app' and pid <> pg_backend_pid() and {which}"
        );
        let ended: i64 = client.query_one(&end, &[]).await.unwrap().get(0);
        assert!(ended > 0, "{what}: no such session");
        self.tell(what, SOON).await;
    }

    /// How long it takes until another daemon has what one ran.
    async fn is_adopted(&mut self, what: &str, signal: Signal, limit: Duration) {
        self.a_row_runs("late").await;
        let client = self.client().await;
        let open = "select dispatcher_id from rowcall.attempts where task = 'late' and ended_at is null and launched_at is not null";
        let holder: i64 = loop {
            if let Some(row) = client.query_opt(open, &[]).await.unwrap() {
                break row.get(0);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let pid: i32 = client
            .query_one("select pid from rowcall.dispatchers where id = $1", &[&holder])
            .await
            .unwrap()
            .get(0);
        let daemon = self.daemons.iter().find(|daemon| daemon.pid() == pid).unwrap();
        daemon.signal(signal, Duration::from_mins(1));
        let begun = Instant::now();
        let adopted = "select exists (select from rowcall.attempts where task = 'late' and dispatcher_id <> $1 and ended_at is null)";
        while !client.query_one(adopted, &[&holder]).await.unwrap().get::<_, bool>(0) {
            assert!(begun.elapsed() < limit.max(BY_A_BEAT), "{what}: no other daemon adopts it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = begun.elapsed();
        eprintln!("{what}: {took:?}");
        self.told.push((what.to_owned(), took, limit));
        daemon.come_back();
        client.batch_execute("select rowcall.cancel(id) from rowcall.jobs").await.unwrap();
        while client.query_one("select count(*) from rowcall.jobs", &[]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the machine for itself: ./dev test"]
async fn all_works_again_soon_after_each_fault() {
    let mut recovery = Recovery::begin().await;
    let longer = "update rowcall.parameters set timeout = '1 hour' where name = 'late'";
    recovery.client().await.batch_execute(longer).await.unwrap();
    recovery.a_row_runs("plain").await;
    recovery.quiet().await;
    recovery.tell("nothing is broken", SOON).await;
    recovery.end_sessions("the listener's session is ended", "query ilike 'listen%'").await;
    recovery.end_sessions("the sleeper's session is ended", "application_name like 'rowcall asleep%'").await;
    recovery.end_sessions("all sessions are ended", "true").await;
    tokio::task::block_in_place(|| recovery.pair.restart());
    recovery.tell("Postgres restarts", SOON).await;
    tokio::task::block_in_place(|| recovery.pair.crash());
    recovery.tell("Postgres crashes and starts again", SOON).await;
    tokio::task::block_in_place(|| recovery.pair.leave());
    tokio::time::sleep(AWAY).await;
    tokio::task::block_in_place(|| recovery.pair.revive());
    recovery.tell("Postgres was away for 36 s", SOON).await;
    recovery.cable.cut();
    tokio::time::sleep(Duration::from_secs(5)).await;
    recovery.cable.mend();
    recovery.tell("the network was cut for 5 s", SOON).await;
    tokio::task::block_in_place(|| recovery.pair.fail_over());
    recovery.cable.lay_to(&recovery.pair.url("app"));
    recovery.tell("a standby has taken over", SOON).await;
    recovery.is_adopted("a daemon is told to end: its task is adopted", Signal::SIGTERM, SOON).await;
    recovery
        .is_adopted("a daemon is killed: its task is adopted on its machine", Signal::SIGKILL, BY_A_BEAT)
        .await;
    recovery.cable.hang();
    // The last: a daemon that has nothing to do notices it late.
    recovery.tell("all connections hang", BY_A_POLL).await;
    for daemon in &mut recovery.daemons {
        daemon.end().await;
    }
    let late: Vec<_> = recovery.told.iter().filter(|(_, took, limit)| took > limit).collect();
    assert!(late.is_empty(), "{late:#?}");
}
