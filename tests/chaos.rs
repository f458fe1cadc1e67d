//! Everything is broken at random, from a seed, while clients write rows: daemons, connections, clocks, the server, its disk, AWS. At the
//! end what clients, programs and AWS saw must agree exactly with what the database says.

mod checker;
mod cloud;
mod daemons;
mod end;
mod faults;
mod ledger;
mod load;
mod postgres;
mod recovery;
mod runs;
mod story;
mod tasks;

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use checker::Checker;
use daemons::{Daemon, Machine};
use end::End;
use faults::{Class, World, set_clock};
use ledger::{Event, Ledger, Run};
use load::Load;
use postgres::Pair;
use tasks::{CONTAINER, KINDS, Kind};

use crate::support::aws::ScriptedAws;
use crate::support::{ADMIN, Bouncer, DAEMON, LOGIN_PASSWORD, PgBouncer, Proxy, TASKS, login};

/// How long what is left may take when all is well again.
const TO_THE_END: Duration = Duration::from_mins(3);

const APPLICATION: &str = "chaos_application";

/// What `./dev chaos` was asked for.
struct Options {
    time: Duration,
    seed: u64,
    classes: Vec<Class>,
}

impl Options {
    fn read() -> Self {
        let asked = |name: &str| {
            std::env::var(format!("ROWCALL_TEST_CHAOS_{name}")).ok().filter(|text| !text.is_empty())
        };
        let number = |name: &str| {
            asked(name)
                .map(|text| text.parse::<f64>().unwrap_or_else(|_| panic!("--{name} {text}: a number")))
        };
        let time = Duration::from_secs_f64(60.0 * number("MINUTES").unwrap_or(2.0));
        let seed = asked("SEED")
            .map_or_else(rand::random::<u64>, |text| text.parse().expect("--seed: a whole number"));
        let class = |word: &str| {
            let found = Class::ALL.iter().find(|(name, _)| *name == word);
            let known: Vec<&str> = Class::ALL.iter().map(|(name, _)| *name).collect();
            found.unwrap_or_else(|| panic!("--only {word}: one of {}", known.join(", "))).1
        };
        let classes = match asked("ONLY") {
            Some(words) => words.split(',').map(class).collect(),
            None => Class::ALL.iter().map(|(_, class)| *class).collect(),
        };
        Self { time, seed, classes }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the machine for itself: ./dev test"]
async fn all_agree_after_everything_was_broken() {
    let options = Options::read();
    eprintln!("chaos: {:?}, seed {}", options.time, options.seed);
    let chaos = Chaos::begin(&options).await;
    chaos.break_things(&options).await;
    chaos.ends_well().await;
}

struct Chaos {
    world: Arc<World>,
    directory: Option<tempfile::TempDir>,
    ledger: Arc<Ledger>,
    kinds: Arc<Vec<Kind>>,
    load: Load,
    over: CancellationToken,
}

impl Chaos {
    async fn begin(options: &Options) -> Self {
        let directory = tempfile::Builder::new().prefix("rowcall-chaos-").tempdir_in("/tmp").unwrap();
        let image = std::env::var("ROWCALL_TEST_IMAGE").ok();
        let kinds: Arc<Vec<Kind>> =
            Arc::new(KINDS.into_iter().chain(image.is_some().then_some(CONTAINER)).collect());
        let ledger = Arc::new(Ledger::new());
        let pair = Pair::start().await;
        let mut classes = options.classes.clone();
        if !pair.has_disk() {
            eprintln!("chaos: without disk: no disk can be mounted here");
            classes.retain(|class| *class != Class::Disk);
        }
        let url = pair.url("app");
        let cables = async |names: &[&str]| {
            let mut cables = Vec::new();
            for name in names {
                cables.push(((*name).to_owned(), Arc::new(Proxy::new(&url).await)));
            }
            cables
        };
        let cables = cables(&["a", "b", "c", "the tasks", "the clients", "the pooler"]).await;
        let through = |cable: usize, who: &str| login(&cables[cable].1.url(&url), who);
        prepare(&pair, &kinds, directory.path(), &through(4, APPLICATION), image.as_deref()).await;
        let aws = Arc::new(ScriptedAws::start().await);
        aws.define("file-loader", serde_json::json!({}));
        aws.auto_run(true);

        let prefix = "select 'rowcall-' || left(id::text, 8) || '-' from rowcall_internal.instance";
        let prefix = pair.admin("app").await.unwrap().query_one(prefix, &[]).await.unwrap().get(0);
        let behind = cables[5].1.url(&url);
        let pooler = match std::env::var_os("ROWCALL_TEST_PGBOUNCER") {
            Some(_) => Some(PgBouncer::start(Bouncer::Installed, &behind).await),
            None => None,
        };
        let mut daemons = Vec::new();
        for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
            let through_pooler = pooler.as_ref().filter(|_| name == "b");
            let machine = Machine {
                name,
                directory: directory.path().to_owned(),
                url: through(number, DAEMON),
                pooler: through_pooler.map(|pooler| pooler.url(&login(&behind, DAEMON))),
                tasks: through(3, TASKS),
                aws: Some(aws.url().to_owned()),
            };
            set_clock(&directory.path().join(format!("clock-{name}")), 0);
            daemons.push(Daemon::new(machine, &ledger));
        }
        let load = Load {
            ledger: Arc::clone(&ledger),
            app: through(4, APPLICATION),
            admin: through(4, ADMIN),
            kinds: Arc::clone(&kinds),
            over: CancellationToken::new(),
            is_behind: Arc::default(),
            seed: options.seed,
        };
        let over = CancellationToken::new();
        tokio::spawn(cloud::play(
            Arc::clone(&aws),
            Arc::clone(&ledger),
            through(3, TASKS),
            options.seed,
            over.clone(),
        ));
        tokio::spawn(follow(directory.path().join("ran"), Arc::clone(&ledger), over.clone()));
        let world = World {
            ledger: Arc::clone(&ledger),
            pair: tokio::sync::Mutex::new(pair),
            daemons: tokio::sync::RwLock::new(daemons),
            cables,
            aws,
            directory: directory.path().to_owned(),
            classes,
            prefix,
            pooler: tokio::sync::Mutex::new(pooler),
            behind,
            losses: std::sync::Mutex::default(),
            open: std::sync::Mutex::default(),
        };
        Self { world: Arc::new(world), directory: Some(directory), ledger, kinds, load, over }
    }

    async fn break_things(&self, options: &Options) {
        let mut clients: Vec<_> =
            (0..load::WRITERS).map(|number| tokio::spawn(self.load.clone().write(number))).collect();
        clients.push(tokio::spawn(self.load.clone().operate()));
        let world = Arc::clone(&self.world);
        clients
            .push(tokio::spawn(self.load.clone().measure(async move || world.pair.lock().await.url("app"))));
        let mut rng = StdRng::seed_from_u64(options.seed);
        while self.ledger.now() < options.time {
            tokio::time::sleep(Duration::from_millis(rng.random_range(300..3000))).await;
            self.world.one(&mut rng);
        }
        self.world.mend().await;
        self.load.over.cancel();
        for client in clients {
            client.await.unwrap();
        }
    }

    /// All that was asked for comes to its end, and all agree.
    async fn ends_well(mut self) {
        let client = self.world.pair.lock().await.admin("app").await.unwrap();
        let mended =
            "select rowcall.resume(); update rowcall.parameters set enabled = true where not enabled";
        client.batch_execute(mended).await.unwrap();
        let begun = self.ledger.now();
        let left = loop {
            let left =
                "select (select count(*) from rowcall.jobs) + (select count(*) from rowcall.missed_rows)
                + (select count(*) from rowcall.attempts where ended_at is null)";
            let left: i64 = client.query_one(left, &[]).await.unwrap().get(0);
            if left == 0 || self.ledger.now() > begun + TO_THE_END {
                break left;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let took = self.ledger.now().saturating_sub(begun);
        let mut open = String::new();
        if left > 0 {
            let jobs = "select coalesce(string_agg(concat_ws(' ', j.id, j.task, j.state, j.reason, j.row_key, a.number, a.launch_key, a.dispatcher_id, a.external_id, a.stop_requested), E'\\n'), '')
                from (select * from rowcall.jobs order by id limit 20) j left join rowcall.attempts a on a.id = j.attempt_id";
            open = client.query_one(jobs, &[]).await.unwrap().get(0);
        }
        // The programs have their last word in the ledger.
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.over.cancel();
        for daemon in self.world.daemons.write().await.iter_mut() {
            daemon.signal(Signal::SIGCONT, Duration::ZERO);
            daemon.end().await;
        }
        let losses = self.world.losses.lock().unwrap().clone();
        let end = End::read(&client).await;
        let checker = Checker { ledger: &self.ledger, kinds: &self.kinds, losses, end };
        let mut found = checker.check();
        eprintln!("{}\nall was over {took:?} after the last fault", checker.sums());
        let mut despair = self.panics().await;
        for deadlock in self.world.pair.lock().await.deadlocks() {
            despair.push_str(&deadlock);
        }
        if left == 0 && found.is_empty() && despair.is_empty() {
            return;
        }
        // For a look at what they said.
        let place = self.directory.take().unwrap().keep();
        for (name, log) in ["one", "two"].iter().zip(self.world.pair.lock().await.logs()) {
            let _ = std::fs::copy(log, place.join(format!("log-postgres-{name}")));
        }
        let lines = self.ledger.by_row();
        found.sort_by_key(|one| lines.get(&one.row).map_or(0, Vec::len));
        for one in found.iter().take(10) {
            eprintln!("{} {}", one.row, one.what);
        }
        // The shortest first.
        found.dedup_by(|one, other| one.row == other.row);
        for one in found.iter().take(3) {
            eprintln!("\n{} {}\n{}", one.row, one.what, checker.story(&one.row));
        }
        panic!(
            "rows that disagree: {}; not over: {left}\n{open}\n{despair}\nthe logs are in {}",
            found.len(),
            place.display()
        );
    }

    /// What daemons have said in despair.
    async fn panics(&self) -> String {
        let mut said = String::new();
        for daemon in self.world.daemons.read().await.iter() {
            let log = std::fs::read_to_string(&daemon.log).unwrap_or_default();
            said.extend(
                log.lines().filter(|line| line.contains("panicked at")).map(|line| format!("{line}\n")),
            );
        }
        said
    }
}

/// The database, its logins, the tasks.
async fn prepare(pair: &Pair, kinds: &[Kind], directory: &Path, app: &str, image: Option<&str>) {
    let (ran, sql) = (directory.join("ran"), directory.join("sql"));
    std::fs::write(&ran, "").unwrap();
    let script = format!("#!/bin/sh\nexec psql -qX -v ON_ERROR_STOP=1 '{app}' -c \"$1\"\n");
    std::fs::write(&sql, script).unwrap();
    std::fs::set_permissions(&sql, std::fs::Permissions::from_mode(0o700)).unwrap();
    let admin = pair.admin("postgres").await.unwrap();
    admin.batch_execute("create database app").await.unwrap();
    let mut client = pair.admin("app").await.unwrap();
    rowcall::database::migrate(&mut client, |_| {}).await.unwrap();
    for (name, role) in [(DAEMON, "dispatcher"), (TASKS, "task"), (ADMIN, "admin")] {
        let made = format!("create role {name} login password '{LOGIN_PASSWORD}' in role rowcall_{role}");
        client.batch_execute(&made).await.unwrap();
    }
    let application = format!(
        "create role {APPLICATION} login password '{LOGIN_PASSWORD}';
         grant usage on schema rowcall to {APPLICATION};
         grant select, insert, update on rowcall.files to {APPLICATION};
         create index on rowcall.files ((attributes->>'ref'));
         grant select on rowcall.files to {ADMIN};
         -- What a crash must not take away, a daemon commits durably all the same.
         alter role {DAEMON} set synchronous_commit = off"
    );
    client.batch_execute(&application).await.unwrap();
    for kind in kinds {
        let parameters = kind.parameters(&ran, &sql, image);
        client.batch_execute(&parameters).await.unwrap_or_else(|error| panic!("{parameters}\n{error:?}"));
    }
}

/// Notes what programs have written down of themselves, soon after they did.
async fn follow(ran: std::path::PathBuf, ledger: Arc<Ledger>, over: CancellationToken) {
    let mut file = std::fs::File::open(&ran).unwrap();
    let mut rest = String::new();
    loop {
        let is_last = over.is_cancelled();
        file.read_to_string(&mut rest).unwrap();
        while let Some((line, more)) = rest.split_once('\n') {
            let words: Vec<&str> = line.split(' ').collect();
            let run = |job: &str, attempt: &str, launch: &str| Run {
                job: job.parse().unwrap(),
                attempt: attempt.parse().unwrap(),
                launch: launch.to_owned(),
            };
            match words[..] {
                ["begin", row, job, attempt, launch] => {
                    ledger.note(row, Event::Begun(run(job, attempt, launch)));
                }
                ["end", row, job, attempt, launch, code] => {
                    ledger.note(row, Event::Ended(run(job, attempt, launch), code.parse().unwrap()));
                }
                _ => panic!("a program wrote {line:?}"),
            }
            rest = more.to_owned();
        }
        if is_last {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
