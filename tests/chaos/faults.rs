//! What is broken, drawn from the seed, and how it is mended.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::task::JoinHandle;

use super::cloud;
use super::daemons::Daemon;
use super::ledger::Ledger;
use super::postgres::{CATCH_UP, Pair};
use crate::support::aws::ScriptedAws;
use crate::support::{Bouncer, Lane, Lanes, PgBouncer, Proxy};

/// A kind of fault, as `--only` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Daemons, supervisors and programs, by SIGKILL and SIGTERM.
    Kill,
    /// Daemons by SIGSTOP, for longer than others wait for them.
    Pause,
    /// Connections to the database.
    Cut,
    /// The daemons' clocks.
    Clock,
    /// The server: crash, restart, fail-over, sessions ended.
    Postgres,
    /// The server's disk.
    Disk,
    /// AWS and the container engine.
    Runner,
}

impl Class {
    pub const ALL: [(&'static str, Self); 7] = [
        ("kill", Self::Kill),
        ("pause", Self::Pause),
        ("cut", Self::Cut),
        ("clock", Self::Clock),
        ("postgres", Self::Postgres),
        ("disk", Self::Disk),
        ("runner", Self::Runner),
    ];
}

/// What there is to break.
pub struct World {
    pub ledger: Arc<Ledger>,
    /// Held by whatever breaks or mends it.
    pub pair: tokio::sync::Mutex<Pair>,
    pub daemons: tokio::sync::RwLock<Vec<Daemon>>,
    pub cables: Vec<(String, Arc<Proxy>)>,
    pub aws: Arc<ScriptedAws>,
    /// Below it is all that is ours.
    pub directory: std::path::PathBuf,
    pub classes: Vec<Class>,
    /// What the names of our containers begin with.
    pub prefix: String,
    /// Between the second daemon and the database, where there is one; and the database URL behind it.
    pub pooler: tokio::sync::Mutex<Option<PgBouncer>>,
    pub behind: String,
    /// From when to when commits were lost by a fail-over.
    pub losses: Mutex<Vec<(Duration, Duration)>>,
    /// Faults that may not be over yet.
    pub open: Mutex<Vec<JoinHandle<()>>>,
}

impl World {
    /// Breaks one thing, and mends it in its time; returns at once.
    pub fn one(self: &Arc<Self>, rng: &mut StdRng) {
        let class = self.classes[rng.random_range(0..self.classes.len())];
        let time = Duration::from_millis(rng.random_range(300..4000));
        let daemon = rng.random_range(0..3);
        let (choice, chance) = (rng.random_range(0..100), rng.random_range(0.1..1.0));
        let cable = rng.random_range(0..self.cables.len());
        if class == Class::Runner && choice < 85 {
            let told = cloud::trouble(&self.aws, rng);
            self.ledger.fault(told);
            return;
        }
        let world = Arc::clone(self);
        let fault = tokio::spawn(async move {
            match class {
                Class::Kill => world.kills(daemon, choice, time).await,
                Class::Pause => world.pauses(daemon, time).await,
                Class::Cut => world.cuts(cable, choice, time).await,
                Class::Clock => world.steps(daemon, choice).await,
                Class::Postgres => world.strikes(choice, chance, time).await,
                Class::Disk => world.fills(time).await,
                Class::Runner => world.removes_a_container(),
            }
        });
        self.open.lock().unwrap().push(fault);
    }

    async fn kills(&self, daemon: usize, choice: u32, time: Duration) {
        match choice {
            0..60 => {
                let daemons = self.daemons.read().await;
                let name = &daemons[daemon].name;
                let signal = if choice < 45 { Signal::SIGKILL } else { Signal::SIGTERM };
                self.ledger.fault(format!("{signal} to daemon {name}, away for {time:?}"));
                daemons[daemon].signal(signal, time);
            }
            60..80 => self.kills_a_program("rowcall-supervisor"),
            _ => self.kills_a_program("/bin/sh"),
        }
    }

    /// One process of ours with such a first argument, by its id.
    fn kills_a_program(&self, name: &str) {
        let ours = self.directory.to_str().unwrap();
        let found = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
            let command = std::fs::read(entry.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).into_owned();
            let first = command.split('\0').next().unwrap_or_default();
            (first.ends_with(name) && command.contains(ours)).then_some(pid)
        });
        if let Some(pid) = found {
            self.ledger.fault(format!("SIGKILL to {name} {pid}"));
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    async fn pauses(&self, daemon: usize, time: Duration) {
        let daemons = self.daemons.read().await;
        self.ledger.fault(format!("daemon {} stands still for {time:?}", daemons[daemon].name));
        daemons[daemon].signal(Signal::SIGSTOP, Duration::ZERO);
        tokio::time::sleep(time).await;
        daemons[daemon].signal(Signal::SIGCONT, Duration::ZERO);
    }

    async fn cuts(&self, cable: usize, choice: u32, time: Duration) {
        let (name, cable) = &self.cables[cable];
        let stalls = |up, down| {
            let lane = |yes| if yes { Lane::Stalls } else { Lane::Flows };
            cable.lanes(Lanes { to_server: lane(up), to_client: lane(down) });
        };
        let what = match choice {
            0..30 => {
                cable.cut();
                "is cut"
            }
            30..45 => {
                cable.hang();
                "hangs for ever"
            }
            45..60 => {
                stalls(true, false);
                "carries nothing to the server"
            }
            60..75 => {
                stalls(false, true);
                "carries nothing from the server"
            }
            75..85 => {
                stalls(true, true);
                "carries nothing"
            }
            _ => {
                let slow = Lane::Slow(time / 20);
                cable.lanes(Lanes { to_server: slow, to_client: slow });
                "is slow"
            }
        };
        self.ledger.fault(format!("the cable of {name} {what}, for {time:?}"));
        tokio::time::sleep(time).await;
        cable.mend();
    }

    async fn steps(&self, daemon: usize, choice: u32) {
        let by = [-3600, -60, -1, 0, 1, 60, 3600][choice as usize % 7];
        let daemons = self.daemons.read().await;
        self.ledger.fault(format!("the clock of daemon {} is {by} s wrong", daemons[daemon].name));
        set_clock(&daemons[daemon].clock, by);
    }

    async fn strikes(&self, choice: u32, chance: f64, time: Duration) {
        // One thing at a time is done to the server; what comes meanwhile is left.
        let Ok(mut pair) = self.pair.try_lock() else { return };
        match choice {
            0..15 => {
                self.ledger.fault("Postgres dies".to_owned());
                tokio::task::block_in_place(|| pair.crash());
            }
            15..25 => {
                self.ledger.fault("Postgres restarts".to_owned());
                tokio::task::block_in_place(|| pair.restart());
            }
            25..60 => {
                let sleeper = if choice < 40 { "and application_name like 'rowcall asleep%'" } else { "" };
                let which =
                    format!("pid <> pg_backend_pid() and datname = 'app' and random() < {chance} {sleeper}");
                let Ok(admin) = pair.admin("app").await else { return };
                let ended =
                    format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where {which}");
                if let Ok(row) = admin.query_one(&ended, &[]).await {
                    let ended: i64 = row.get(0);
                    self.ledger.fault(format!("{ended} sessions are ended {sleeper}"));
                }
            }
            60..67 => {
                let mut pooler = self.pooler.lock().await;
                let Some(old) = pooler.take() else { return };
                self.ledger.fault("the pooler dies".to_owned());
                let port = old.port();
                drop(old);
                tokio::time::sleep(time).await;
                *pooler = Some(PgBouncer::start_on(port, Bouncer::Installed, &self.behind).await);
            }
            67..82 => {
                pair.waits_for_standby(true).await;
                if self.has_all(&pair, "sync").await {
                    self.ledger.fault("a standby for which commits wait takes over".to_owned());
                    tokio::task::block_in_place(|| pair.fail_over());
                    self.relay(&pair);
                }
                pair.waits_for_standby(false).await;
            }
            _ => {
                // From here on: what came before, it has.
                let from = self.ledger.now();
                if self.has_all(&pair, "async").await {
                    pair.silence_standby();
                    tokio::time::sleep(time / 2).await;
                    self.ledger.fault("a standby that lacks the latest commits takes over".to_owned());
                    tokio::task::block_in_place(|| pair.fail_over());
                    self.losses.lock().unwrap().push((from, self.ledger.now()));
                    self.relay(&pair);
                }
            }
        }
        self.ledger.fault("the server is there".to_owned());
    }

    /// Waits until the standby is one of this kind and has all that was committed before; a full disk may have ended it.
    async fn has_all(&self, pair: &Pair, kind: &str) -> bool {
        tokio::task::block_in_place(|| pair.revive());
        let catching_up = async {
            let admin = pair.admin("app").await.ok()?;
            let end: String =
                admin.query_one("select pg_current_wal_insert_lsn()::text", &[]).await.ok()?.get(0);
            let has_all = format!(
                "select exists (select from pg_stat_replication where sync_state = '{kind}' and flush_lsn >= '{end}')"
            );
            while !admin.query_one(&has_all, &[]).await.ok()?.get::<_, bool>(0) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Some(())
        };
        matches!(tokio::time::timeout(CATCH_UP, catching_up).await, Ok(Some(())))
    }

    fn relay(&self, pair: &Pair) {
        for (_, cable) in &self.cables {
            cable.lay_to(&pair.url("app"));
        }
    }

    async fn fills(&self, time: Duration) {
        let Ok(pair) = self.pair.try_lock() else { return };
        self.ledger.fault(format!("the disk of Postgres is full for {time:?}"));
        let ballast = tokio::task::block_in_place(|| pair.fill_disk());
        tokio::time::sleep(time).await;
        drop(ballast);
        tokio::task::block_in_place(|| pair.revive());
        self.ledger.fault("the disk has room".to_owned());
    }

    fn removes_a_container(&self) {
        let found = docker(&["ps", "--quiet", "--filter", &format!("name=^{}", self.prefix)]);
        if let Some(container) = found.lines().next() {
            self.ledger.fault(format!("container {container} is removed"));
            docker(&["rm", "--force", container]);
        }
    }

    /// All is well from here on.
    pub async fn mend(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        for fault in open {
            fault.await.unwrap();
        }
        self.pair.lock().await.revive();
        for (_, cable) in &self.cables {
            cable.mend();
        }
        self.ledger.fault("all is well from here on".to_owned());
    }
}

/// What the engine says; nothing where there is none.
fn docker(arguments: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// A clock that is wrong by so many seconds.
pub fn set_clock(file: &Path, by: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{by:+}s\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}
