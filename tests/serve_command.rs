//! `rowcall serve` as operators and cron meet it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::support::{Fifo, TestDatabase, log_to, rowcall, rowcall_task};

struct Serve {
    db: TestDatabase,
    place: TempDir,
}

impl Serve {
    async fn new() -> Self {
        Self { db: TestDatabase::new().await, place: tempfile::tempdir().unwrap() }
    }

    fn command(&self) -> Command {
        rowcall(&self.db.url, &self.state_dir())
    }

    fn state_dir(&self) -> PathBuf {
        self.place.path().join("state")
    }

    async fn task(&self, script: &str) {
        let insert = "insert into rowcall.parameters (name, on_status, runner, target, command, max_attempts)
            values ('task', 'REGISTERED', 'process', '/bin/sh', array['-c', $1], 1)";
        self.db.client.execute(insert, &[&script]).await.unwrap();
    }

    async fn insert(&self, rows: i32) {
        self.db.run(&format!("insert into rowcall.files select from generate_series(1, {rows})")).await;
    }

    async fn processed(&self) -> i64 {
        self.db.one("select count(*) from rowcall.files where status = 'PROCESSED'").await
    }
}

/// A daemon whose log is read.
struct Daemon {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    /// Waits until it has said this.
    async fn said(&mut self, words: &str) {
        let heard = async { while !self.log.next_line().await.unwrap().expect(words).contains(words) {} };
        tokio::time::timeout(Duration::from_secs(30), heard).await.expect(words);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    async fn ends_well(&mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.child.wait().await.unwrap().success());
    }
}

async fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn drain_runs_what_is_due_and_exits() {
    let serve = Serve::new().await;
    let (code, _, log) = run(serve.command().args(["serve", "--drain"])).await;
    assert_eq!(code, Some(0), "with nothing to do: {log}");
    serve.task("exit 0").await;
    // More than run at the same time.
    serve.insert(20).await;
    let (code, out, log) = run(serve.command().args(["serve", "--drain"])).await;
    assert_eq!((code, out.as_str(), serve.processed().await), (Some(0), "", 20), "{log}");
    let left = "select count(*) from rowcall.dispatchers where stopped_at is null";
    assert_eq!(serve.db.one::<i64>(left).await, 0);
}

#[tokio::test]
async fn drain_does_not_wait_for_what_is_due_later() {
    let serve = Serve::new().await;
    serve.task("exit 1").await;
    serve
        .db
        .run("update rowcall.parameters set max_attempts = 2, backoff_max = '1 hour', backoff = '1 hour'")
        .await;
    serve.insert(1).await;
    let (code, _, log) = run(serve.command().args(["serve", "--drain"])).await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(serve.db.one::<String>("select state from rowcall.jobs").await, "waiting");
}

#[tokio::test]
async fn sigterm_leaves_a_long_task_running_for_the_next_drain() {
    let serve = Serve::new().await;
    let (up, gate) = (Fifo::new(serve.place.path(), "up"), Fifo::new(serve.place.path(), "gate"));
    serve.task(&format!("echo > {}; read x < {}; echo finished", up.path(), gate.path())).await;
    serve.insert(1).await;
    let mut command = serve.command();
    let log = log_to(&mut command, serve.place.path());
    let mut daemon = command.arg("serve").spawn().unwrap();
    up.read().await;
    kill(Pid::from_raw(daemon.id().unwrap() as i32), Signal::SIGTERM).unwrap();
    let status = daemon.wait().await.unwrap();
    let said = std::fs::read_to_string(log).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("draining") && said.contains("the next dispatcher adopts them"), "{said}");
    assert_eq!(serve.db.one::<i64>("select count(*) from rowcall.attempts where ended_at is null").await, 1);

    let first: i64 = serve.db.one("select dispatcher_id from rowcall.attempts").await;
    let mut command = serve.command();
    log_to(&mut command, serve.place.path());
    let mut next = command.args(["serve", "--drain"]).spawn().unwrap();
    serve.db.until(&format!("select dispatcher_id <> {first} from rowcall.attempts")).await;
    gate.open().await;
    assert_eq!(next.wait().await.unwrap().code(), Some(0));
    assert_eq!(serve.db.one::<String>("select output from rowcall.attempts").await, "finished\n");
    assert_eq!(
        (serve.processed().await, serve.db.one::<i64>("select count(*) from rowcall.attempts").await),
        (1, 1)
    );
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let serve = Serve::new().await;
    let (up, gate) = (Fifo::new(serve.place.path(), "up"), Fifo::new(serve.place.path(), "gate"));
    serve.task(&format!("echo > {}; read x < {}", up.path(), gate.path())).await;
    serve.insert(1).await;
    let mut command = serve.command();
    log_to(&mut command, serve.place.path());
    let mut daemon = command.env("ROWCALL_DISPATCHER__SHUTDOWN_GRACE", "1h").arg("serve").spawn().unwrap();
    up.read().await;
    let pid = Pid::from_raw(daemon.id().unwrap() as i32);
    kill(pid, Signal::SIGTERM).unwrap();
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(daemon.wait().await.unwrap().code(), Some(0));
    gate.open().await;
}

#[tokio::test]
async fn a_wrong_setting_or_a_missing_schema_is_named() {
    let serve = Serve::new().await;
    let (code, _, said) = run(serve.command().env("ROWCALL_DISPATCHER__BATCHES", "3").arg("serve")).await;
    assert!(code == Some(1) && said.contains("ROWCALL_DISPATCHER__BATCHES"), "{said}");
    let (code, _, said) = run(serve.command().args(["--log-level", "rowcall=loud", "serve"])).await;
    assert!(code == Some(1) && said.contains("log.level"), "{said}");
    let (code, _, said) = run(serve.command().args(["--config", "/no/such/file", "serve"])).await;
    assert!(code == Some(1) && said.contains("/no/such/file"), "{said}");
    let empty = TestDatabase::empty().await;
    let (code, _, said) = run(rowcall(&empty.url, &serve.state_dir()).arg("serve")).await;
    assert!(code == Some(1) && said.contains("run `rowcall migrate` first"), "{said}");
    let (code, _, said) = run(serve.command().env_remove("DATABASE_URL").arg("serve")).await;
    assert!(code == Some(1) && said.contains("DATABASE_URL"), "{said}");
    let nowhere = "postgresql://u:hunter2hunter2@127.0.0.1:1/db";
    let (code, _, said) = run(serve.command().env("DATABASE_URL", nowhere).args(["serve", "--drain"])).await;
    assert!(code == Some(1) && said.contains("cannot connect") && !said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn help_tells_what_there_is() {
    let serve = Serve::new().await;
    for (arguments, words) in [
        (&["--help"][..], &["serve", "migrate", "--config", "DATABASE_URL"][..]),
        (&["serve", "--help"], &["--drain", "SIGTERM"]),
        (&["migrate", "--help"], &["--dry-run", "--down-to", "--status", "no superuser"]),
    ] {
        let (code, out, _) = run(serve.command().args(arguments)).await;
        assert!(code == Some(0) && words.iter().all(|word| out.contains(word)), "{out}");
        assert!(!out.contains(&serve.db.url), "{out}");
    }
    let (code, out, _) = run(Command::new(env!("CARGO_BIN_EXE_rowcall-task")).args(["exec", "--help"])).await;
    assert!(code == Some(0) && out.contains("--heartbeat-interval") && out.contains("77"), "{out}");
    let (code, _, said) = run(&mut rowcall_task("token", "url", &[], &[])).await;
    assert!(code == Some(64) && said.contains("PROGRAM"), "{said}");
}

#[tokio::test]
async fn a_log_level_that_is_none_is_refused() {
    let serve = Serve::new().await;
    let (code, _, said) = run(serve.command().args(["--log-level", "loud", "serve", "--drain"])).await;
    assert!(code == Some(1) && said.contains("log.level") && said.contains("loud"), "{said}");
    let (code, ..) =
        run(serve.command().args(["--log-level", "warn,rowcall=debug", "serve", "--drain"])).await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn the_json_log_is_json_line_by_line() {
    let serve = Serve::new().await;
    serve.task("exit 1").await;
    serve.insert(2).await;
    let (code, _, log) = run(serve.command().args(["--log-format", "json", "serve", "--drain"])).await;
    assert_eq!(code, Some(0));
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let settled =
        |line: &&serde_json::Value| line["message"] == "settled" && line["outcome"] == "TASK_FAILED";
    assert_eq!(lines.iter().filter(settled).count(), 2, "{log}");
    let mut keys: Vec<_> = lines.iter().filter(settled).map(|line| line["key"].clone()).collect();
    keys.sort_by_key(ToString::to_string);
    assert_eq!(keys, [serde_json::json!({"id": 1}), serde_json::json!({"id": 2})]);
    let numbers = |line: &serde_json::Value| line["seconds"].is_number() && line["job"].is_number();
    assert!(lines.iter().filter(settled).all(numbers), "{log}");
    let started = lines.iter().find(|line| line["message"] == "started").unwrap();
    assert_eq!(started["runners"], serde_json::json!(["process"]));
}

#[tokio::test]
async fn no_token_and_no_password_is_in_the_most_talkative_log() {
    let serve = Serve::new().await;
    serve.task("echo $ROWCALL_TOKEN $ROWCALL_DATABASE_URL; exit 1").await;
    serve.insert(3).await;
    serve
        .db
        .run(
            "create table public.hashes (of_token bytea);
             create function public.note_hash() returns trigger language plpgsql security definer as $$
                 begin insert into public.hashes values (new.token_hash); return null; end $$;
             create trigger note_hash after insert on rowcall_internal.attempts for each row execute function public.note_hash()",
        )
        .await;
    let (code, _, log) = run(serve.command().args(["--log-level", "trace", "serve", "--drain"])).await;
    assert_eq!(code, Some(0));
    let hashes: Vec<Vec<u8>> = serve.db.one("select array_agg(of_token) from public.hashes").await;
    assert_eq!(hashes.len(), 3);
    let of_a_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for word in log.split(|c| !of_a_token(c)) {
        for place in 0..(word.len() + 1).saturating_sub(43) {
            // The attempt's number comes first; it is no secret.
            for attempt in 1..=3 {
                let token = format!("{attempt}.{}", &word[place..place + 43]);
                assert!(!hashes.contains(&Sha256::digest(token).to_vec()), "a token is in the log");
            }
        }
    }
    let password = serve.db.url.split(['@', ':']).nth(2).unwrap();
    assert!(password.len() > 8 && !log.contains(password), "the password is in the log");
    assert!(log.contains("TRACE") && log.contains("settled"), "{log}");
}

#[tokio::test]
async fn serve_waits_for_its_database() {
    let serve = Serve::new().await;
    let proxy = crate::support::Proxy::new(&serve.db.url).await;
    proxy.cut();
    let mut command = serve.command();
    command.env("DATABASE_URL", proxy.url(&serve.db.url)).arg("serve");
    let mut daemon = Daemon::spawn(&mut command);
    daemon.said("waiting for the database").await;
    proxy.mend();
    daemon.said("started").await;
    daemon.ends_well().await;
}

#[tokio::test]
async fn a_hangup_reads_the_settings_again_and_disturbs_no_task() {
    let serve = Serve::new().await;
    let (up, gate) = (Fifo::new(serve.place.path(), "up"), Fifo::new(serve.place.path(), "gate"));
    serve.task(&format!("echo > {}; read x < {}; echo finished", up.path(), gate.path())).await;
    // A program that the settings do not allow yet.
    let other = "insert into rowcall.parameters (name, on_status, runner, target) values ('other', 'OTHER', 'process', '/sbin/ldconfig')";
    serve.db.run(other).await;
    serve.insert(1).await;
    let file = serve.place.path().join("settings.toml");
    let write = |programs: &str| {
        std::fs::write(&file, format!("[runners.process]\nprograms = [{programs}]\n")).unwrap();
    };
    write(r#""/bin/", "/usr/bin/""#);
    let mut command = serve.command();
    command.env_remove("ROWCALL_RUNNERS__PROCESS__PROGRAMS").env("ROWCALL_CONFIG", &file);
    let mut daemon = Daemon::spawn(command.arg("serve"));
    up.read().await;
    serve.db.run("insert into rowcall.files (status) values ('OTHER')").await;
    serve.db.until("select state = 'blocked' from rowcall.jobs where task = 'other'").await;
    // What is wrong changes nothing.
    write("5");
    daemon.signal(Signal::SIGHUP);
    daemon.said("SIGHUP: the settings stay as they are").await;
    write(r#""/bin/", "/usr/bin/", "/sbin/""#);
    daemon.signal(Signal::SIGHUP);
    daemon.said("SIGHUP: the settings were read again").await;
    serve.db.until("select exists (select from rowcall.history where task = 'other')").await;
    serve.db.until("select dispatcher_id = (select max(id) from rowcall.dispatchers) from rowcall.attempts where task = 'task'").await;
    gate.open().await;
    serve.db.until("select count(*) = 1 from rowcall.files where status = 'PROCESSED' and id = 1").await;
    assert_eq!(serve.db.one::<i64>("select count(*) from rowcall.attempts where task = 'task'").await, 1);
    daemon.ends_well().await;
    assert_eq!(
        serve.db.one::<i64>("select count(*) from rowcall.dispatchers where stopped_at is null").await,
        0
    );
}

#[tokio::test]
async fn a_hangup_starts_no_more_than_there_is_room_for() {
    let serve = Serve::new().await;
    let gate = Fifo::new(serve.place.path(), "gate");
    serve.task(&format!("read x < {}", gate.path())).await;
    serve.insert(4).await;
    let mut command = serve.command();
    command.env("ROWCALL_RUNNERS__PROCESS__MAX_RUNNING", "1").arg("serve");
    let mut daemon = Daemon::spawn(&mut command);
    daemon.said("launched").await;
    for _ in 0..3 {
        daemon.signal(Signal::SIGHUP);
        daemon.said("adopted from a dispatcher that is gone").await;
    }
    assert_eq!(serve.db.one::<i64>("select count(*) from rowcall.attempts").await, 1);
    // Each that ends makes room for the next.
    for n in 1..=4 {
        gate.open().await;
        serve.db.until(&format!("select count(*) = {n} from rowcall.history")).await;
    }
    daemon.ends_well().await;
}
