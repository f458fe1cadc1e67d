//! A dispatcher in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::job::{End, RunnerName};
use rowcall::runners::process::ProcessRunner;
use rowcall::runners::{Ends, Runners};
use rowcall::settings::{Settings, Sources, load};
use tokio::sync::mpsc;

use super::fake_runner::{FakeRunner, Launched, World};
use super::{DAEMON, TASKS, TestDatabase, login};

/// Settings for a test: defaults, but quick; the daemon and its tasks have logins with just their rights.
pub fn settings(url: &str) -> Settings {
    let mut settings = settings_as_owner(url);
    if url.contains('@') {
        settings.database.url = login(url, DAEMON);
        settings.tasks.database_url = login(url, TASKS);
    }
    settings
}

/// The same, with one login that may do everything.
pub fn settings_as_owner(url: &str) -> Settings {
    let flags = [
        ("database.url", url),
        ("dispatcher.watch_interval", "50ms"),
        ("dispatcher.heartbeat_interval", "200ms"),
        ("dispatcher.heartbeat_interval_when_idle", "200ms"),
        ("dispatcher.dead_after", "1s"),
        ("dispatcher.lost_after", "2s"),
        ("dispatcher.report_grace", "300ms"),
        ("dispatcher.janitor_interval", "200ms"),
        ("dispatcher.shutdown_grace", "200ms"),
        ("tasks.database_url", url),
    ];
    let sources =
        flags.iter().fold(Sources::default(), |sources, (key, value)| sources.with_flag(key, *value));
    load(&sources).unwrap()
}

/// The same with the process runner enabled.
pub fn process_settings(url: &str, state_dir: &Path) -> Settings {
    let mut settings = settings(url);
    let process = &mut settings.runners.process;
    process.enabled = true;
    process.programs = vec!["/bin/".into(), "/usr/bin/".into(), binaries()];
    process.environment = vec!["*".into()];
    state_dir.clone_into(&mut process.state_dir);
    process.max_running = 8;
    process.stop_grace = Duration::from_millis(300);
    settings
}

fn binaries() -> String {
    let dir = Path::new(env!("CARGO_BIN_EXE_rowcall")).parent().unwrap();
    format!("{}/", dir.display())
}

/// What is special about a fake runner.
pub struct FakeKind {
    pub name: RunnerName,
    pub capacity: usize,
    /// Attempts that it takes ahead.
    pub stock: usize,
    /// Of tasks that run shorter.
    pub short: Duration,
    /// For so long.
    pub stock_wait: Duration,
    pub forbids: &'static str,
}

impl Default for FakeKind {
    fn default() -> Self {
        Self {
            name: RunnerName::Docker,
            capacity: 20_000,
            stock: 0,
            short: Duration::ZERO,
            stock_wait: Duration::ZERO,
            forbids: "forbidden",
        }
    }
}

/// A dispatcher with the fake runner, and what the test does with it.
pub struct Running {
    pub dispatcher: Dispatcher,
    pub world: Arc<World>,
    launched: mpsc::UnboundedReceiver<Launched>,
    ends: Ends,
}

impl Running {
    /// Starts one with quick settings.
    pub async fn start(database: &TestDatabase) -> Self {
        Self::with(settings(&database.url), Arc::default()).await
    }

    /// Starts one with these settings in this world.
    pub async fn with(settings: Settings, world: Arc<World>) -> Self {
        Self::in_place_of(RunnerName::Docker, settings, world).await
    }

    /// The same in place of another runner.
    pub async fn in_place_of(name: RunnerName, settings: Settings, world: Arc<World>) -> Self {
        Self::made(settings, world, FakeKind { name, ..FakeKind::default() }).await
    }

    /// The same with a runner of another kind.
    pub async fn made(settings: Settings, world: Arc<World>, kind: FakeKind) -> Self {
        let FakeKind { name, capacity, stock, short, stock_wait, forbids } = kind;
        let (sender, launched) = mpsc::unbounded_channel();
        let theirs = Arc::clone(&world);
        let mut given = None;
        let make = |_: &Settings, ends: &Ends| {
            given = Some(ends.clone());
            let ends = ends.clone();
            let runner = FakeRunner {
                name,
                world: theirs,
                capacity,
                stock,
                short,
                stock_wait,
                forbids,
                ends,
                launched: sender,
            };
            Ok(Runners::default().with(Arc::new(runner)))
        };
        let dispatcher = Dispatcher::start(settings, Mode::Serve, make).await.unwrap();
        Self { dispatcher, world, launched, ends: given.unwrap() }
    }

    /// The next launch.
    pub async fn launch(&mut self) -> Launched {
        self.launch_within(Duration::from_secs(30)).await
    }

    /// The same where more than its usual time may pass.
    pub async fn launch_within(&mut self, limit: Duration) -> Launched {
        tokio::time::timeout(limit, self.launched.recv())
            .await
            .expect("nothing was launched")
            .expect("the dispatcher is gone")
    }

    /// Tells every dispatcher to look for jobs.
    pub async fn wake(&self, database: &TestDatabase) {
        database.run("select pg_notify('rowcall_control', '')").await;
    }

    /// Whether a launch is there already.
    pub fn launched_more(&mut self) -> bool {
        self.launched.try_recv().is_ok()
    }

    /// Tells this dispatcher of an end, as a runner that notices one would.
    pub fn announce(&self, launched: &Launched, end: End) {
        self.ends.send((launched.attempt.id, end)).unwrap();
    }

    /// Waits until this dispatcher has shown twice more that it lives, so that once was after now.
    pub async fn beats(&self, database: &TestDatabase) {
        hear_beats(database).await;
        for _ in 0..2 {
            let seen = format!("select seen_at from rowcall.dispatchers where id = {}", self.dispatcher.id());
            let now: String = database.one("select clock_timestamp()::text").await;
            database.until(&format!("select ({seen}) > '{now}'")).await;
        }
    }

    /// Ends an attempt.
    pub fn end(&self, launched: &Launched, end: End) {
        self.world.end(&launched.attempt, end);
    }

    /// Ends the dispatcher in good order.
    pub async fn stop(self) {
        self.dispatcher.drain();
        self.dispatcher.finish().await.unwrap();
    }
}

/// From here on a beat of a dispatcher is a change for which a test can wait.
pub async fn hear_beats(database: &TestDatabase) {
    database
        .run(
            "drop trigger if exists test_changed on rowcall_internal.dispatchers;
             create trigger test_changed after update on rowcall_internal.dispatchers
             for each statement execute function public.test_changed()",
        )
        .await;
}

/// A dispatcher with the process runner, supervised by the real binary.
pub async fn start_process(settings: Settings, mode: Mode) -> Dispatcher {
    let make = |settings: &Settings, ends: &Ends| {
        let runner = ProcessRunner::with_supervisor(
            &settings.runners.process,
            ends.clone(),
            PathBuf::from(env!("CARGO_BIN_EXE_rowcall")),
        )?;
        Ok(Runners::default().with(Arc::new(runner)))
    };
    Dispatcher::start(settings, mode, make).await.unwrap()
}
