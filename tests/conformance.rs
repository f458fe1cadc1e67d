//! What a row's author may rely on wherever a task runs: one suite, passed by every runner.
//!
//! A runner joins by implementing [`Subject`] and naming itself in one line at the end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rowcall::database::{Database, load_parameters};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::job::{AttemptId, Completion, End, JobId, RunnerName};
use rowcall::parameters::{LaunchSpec, Task};
use rowcall::runners::process::ProcessRunner;
use rowcall::runners::{Age, Attempt, Observation, Runner};
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use crate::support::{Fifo, TestDatabase, process_settings, start_process};

/// Longer than anything here takes on a busy machine.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// A runner under test, and a place that the test and the task's programs both see.
pub trait Subject: Sized {
    /// The word in `parameters.runner`.
    const NAME: RunnerName;
    /// What `runner_defaults` holds for it.
    const DEFAULTS: &'static str = "{}";
    /// Whether the output of a program that succeeded is kept, too.
    const KEEPS_ALL_OUTPUT: bool = true;
    /// Whether output and errors arrive as one stream, or only each in its order.
    const ONE_STREAM: bool = true;
    /// Whether the task gets the database's URL although there is a password in it.
    const HANDS_OUT_PASSWORDS: bool = true;
    /// Whether it says itself when an attempt ends, or has to be asked, and says it only then.
    const ANNOUNCES: bool = true;
    /// Whether it tells an end again when asked by whoever has heard of it.
    const KEEPS_ENDS: bool = true;
    /// Whether a stray may be running. If not, only what is kept of an end can be one.
    const STRAYS_RUN: bool = true;
    /// What the output looks like if a program has written this.
    fn kept(written: &str) -> String {
        written.to_owned()
    }
    async fn new() -> Self;
    fn place(&self) -> &Path;
    /// Target and command that run a shell script with arguments.
    fn script(&self, script: &str, arguments: &[&str]) -> (String, Vec<String>);
    /// Targets that must not run, with words of the rule that each breaks.
    fn forbidden(&self) -> Vec<(String, &'static str)>;
    /// Settings with which the runner is enabled, a stop grace of 300 ms and 10,000 bytes of output.
    fn settings(&self, url: &str) -> Settings;
    async fn dispatcher(&self, settings: Settings) -> Dispatcher;
    /// The runner alone.
    fn runner(&self) -> (Arc<dyn Runner>, mpsc::UnboundedReceiver<(AttemptId, End)>);
    /// Whether anything is kept for an attempt.
    fn remembers(&self, attempt: &Attempt) -> bool;
    /// Makes what is kept of an attempt as old as a stray has to be.
    fn age(&self, _attempt: &Attempt) {}
}

pub struct Process(tempfile::TempDir);

impl Subject for Process {
    const NAME: RunnerName = RunnerName::Process;
    /// What runs under a supervisor is ended when its attempt is forgotten.
    const STRAYS_RUN: bool = false;

    async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn place(&self) -> &Path {
        self.0.path()
    }

    fn script(&self, script: &str, arguments: &[&str]) -> (String, Vec<String>) {
        let command = ["-c", script, "sh"].iter().chain(arguments).map(ToString::to_string).collect();
        ("/bin/sh".to_owned(), command)
    }

    fn forbidden(&self) -> Vec<(String, &'static str)> {
        let outside = self.0.path().join("program");
        std::fs::copy("/bin/true", &outside).unwrap();
        vec![
            (outside.to_str().unwrap().to_owned(), "runners.process.programs"),
            ("/bin/no-such-program".to_owned(), "No such file"),
            ("/usr/bin/../../etc/passwd".to_owned(), "runners.process.programs"),
        ]
    }

    fn settings(&self, url: &str) -> Settings {
        let mut settings = process_settings(url, &self.0.path().join("state"));
        settings.runners.process.output_limit = 10_000;
        settings
    }

    async fn dispatcher(&self, settings: Settings) -> Dispatcher {
        start_process(settings, Mode::Serve).await
    }

    fn runner(&self) -> (Arc<dyn Runner>, mpsc::UnboundedReceiver<(AttemptId, End)>) {
        let (ends, ended) = mpsc::unbounded_channel();
        let settings = self.settings("postgresql://nowhere").runners.process;
        let runner = ProcessRunner::with_supervisor(&settings, ends, env!("CARGO_BIN_EXE_rowcall").into());
        (Arc::new(runner.unwrap()), ended)
    }

    fn remembers(&self, attempt: &Attempt) -> bool {
        self.0.path().join("state").join(&attempt.launch_key).exists()
    }

    fn age(&self, attempt: &Attempt) {
        let file = format!("{}.attempt", attempt.launch_key);
        let file = std::fs::File::open(self.0.path().join("state").join(file)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(2)).unwrap();
    }
}

/// A subject with a database, a dispatcher, and one row.
pub struct Case<S> {
    pub subject: S,
    pub db: TestDatabase,
}

/// An attempt as the database tells it.
#[derive(Debug)]
pub struct Told {
    pub outcome: String,
    pub exit_code: Option<i32>,
    pub reason: String,
    pub output: String,
}

impl<S: Subject> Case<S> {
    pub async fn new() -> Self {
        let (subject, db) = (S::new().await, TestDatabase::new().await);
        let defaults = "insert into rowcall.runner_defaults (runner, settings) values ($1, $2::text::jsonb)
             on conflict (runner) do update set settings = excluded.settings";
        db.client.execute(defaults, &[&S::NAME, &S::DEFAULTS]).await.unwrap();
        Self { subject, db }
    }

    /// A dispatcher on this case's database.
    pub async fn dispatcher(&self) -> Dispatcher {
        self.subject.dispatcher(self.subject.settings(&self.db.url)).await
    }

    /// A task that runs a script once, and a row that asks for it. `more`: further columns of the parameters.
    pub async fn insert(&self, script: &str, arguments: &[&str], more: (&str, &str)) {
        let (target, command) = self.subject.script(script, arguments);
        self.parameters(&target, &command, more).await;
        self.db.run("insert into rowcall.files default values").await;
    }

    pub async fn parameters(&self, target: &str, command: &[String], (columns, values): (&str, &str)) {
        let sql = format!(
            "insert into rowcall.parameters (name, on_status, max_attempts, runner, target, command{columns}) \
             values ('task', 'REGISTERED', 1, $1, $2, $3{values})"
        );
        self.db.client.execute(&sql, &[&S::NAME, &target, &command]).await.unwrap();
    }

    /// Waits for the job's end; the last attempt.
    pub async fn ended(&self) -> Told {
        self.db.until("exists (select from rowcall.history)").await;
        let sql = "select outcome, exit_code, coalesce(reason, '') as reason, coalesce(output, '') as output \
             from rowcall.attempts order by id desc limit 1";
        let row = self.db.client.query_one(sql, &[]).await.unwrap();
        Told {
            outcome: row.get("outcome"),
            exit_code: row.get("exit_code"),
            reason: row.get("reason"),
            output: row.get("output"),
        }
    }

    /// The whole way for one script.
    pub async fn run(&self, script: &str, arguments: &[&str], more: (&str, &str)) -> Told {
        let dispatcher = self.dispatcher().await;
        self.insert(script, arguments, more).await;
        let told = self.ended().await;
        dispatcher.drain();
        dispatcher.finish().await.unwrap();
        told
    }

    /// The tasks of this case, as the dispatcher reads them.
    pub async fn tasks(&self) -> Vec<Task> {
        let database = Database::new(&self.subject.settings(&self.db.url).database).unwrap();
        load_parameters(&database.get().await.unwrap()).await.unwrap()
    }

    pub fn fifo(&self, name: &str) -> Fifo {
        Fifo::new(self.subject.place(), name)
    }

    /// An attempt as a dispatcher would hand it over.
    pub fn attempt(&self, script: &str) -> Attempt {
        static NUMBER: AtomicI64 = AtomicI64::new(1);
        let id = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (target, command) = self.subject.script(script, &[]);
        let request = LaunchSpec {
            runner: S::NAME,
            target,
            settings: serde_json::from_str(S::DEFAULTS).unwrap(),
            command,
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            values: serde_json::json!({}),
            completion: Completion::Exit,
        };
        Attempt {
            id: AttemptId::new(id),
            job_id: JobId::new(id),
            number: 1,
            task: "task".to_owned(),
            launch_key: format!("rowcall-test-{}-{id}", std::process::id()),
            request: Arc::new(request),
            external_id: None,
            age: Age::zero(),
            in_doubt: false,
            launch_until: None,
        }
    }
}

pub async fn heard(ends: &mut mpsc::UnboundedReceiver<(AttemptId, End)>) -> (AttemptId, End) {
    tokio::time::timeout(LIMIT, ends.recv()).await.expect("no end was announced").unwrap()
}

/// The end of an attempt, heard of or asked for.
pub async fn end<S: Subject>(
    runner: &Arc<dyn Runner>,
    ends: &mut mpsc::UnboundedReceiver<(AttemptId, End)>,
    attempt: &Attempt,
) -> End {
    if S::ANNOUNCES {
        let (id, end) = heard(ends).await;
        assert_eq!(id, attempt.id);
        return end;
    }
    asked(runner, ends, attempt).await
}

/// The end of an attempt, by asking.
pub async fn asked(
    runner: &Arc<dyn Runner>,
    ends: &mut mpsc::UnboundedReceiver<(AttemptId, End)>,
    attempt: &Attempt,
) -> End {
    let asking = async {
        loop {
            if let Observation::Ended(end) = observed(runner, attempt).await {
                return end;
            }
            if let Ok((_, end)) = ends.try_recv() {
                return end;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.expect("no end was seen")
}

pub async fn observed(runner: &Arc<dyn Runner>, attempt: &Attempt) -> Observation {
    runner.observe(&[attempt.clone().into()]).await.remove(0)
}

mod cases;
pub mod docker;
mod ecs;

mod process {
    super::cases::conformance!(everywhere: super::Process);
    super::cases::conformance!(super::Process: nothing_is_kept_of_a_forgotten_attempt);
}

/// Nothing is kept of an attempt outside the daemon's memory.
mod ecs_on_ministack {
    super::cases::conformance!(everywhere: super::ecs::Ecs, #[ignore = "needs ministack and Docker: ./dev test"]);
}

mod containers_on_docker {
    super::cases::conformance!(everywhere: super::docker::Docker, #[ignore = "needs Docker: ./dev test"]);
}
