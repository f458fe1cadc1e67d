//! A task's process outlives the daemon that began it, and nothing of it outlives its attempt.

use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowcall::dispatcher::{Dispatcher, DispatcherError, Mode};
use rowcall::runners;
use rowcall::settings::Settings;

use crate::conformance::{Case, Process, Subject as _, heard, observed};
use crate::support::start_process;

type Processes = Case<Process>;

const ONCE: (&str, &str) = ("", "");

async fn end(dispatcher: Dispatcher) {
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

/// The supervisor's process id, as the attempt names it.
async fn supervisor(case: &Processes) -> Pid {
    case.db.until("select external_id is not null from rowcall.attempts where ended_at is null").await;
    let external: String =
        case.db.one("select external_id from rowcall.attempts where ended_at is null").await;
    Pid::from_raw(external.strip_prefix("pid ").unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_killed_supervisor_loses_the_attempt_but_not_the_job() {
    let case = Processes::new().await;
    let (up, held) = (case.fifo("up"), case.fifo("held"));
    let gone = held.closed();
    let dispatcher = case.dispatcher().await;
    let script = format!(
        "[ $ROWCALL_ATTEMPT = 2 ] && exit 0; exec > {}; sleep 1000 & echo up > {}; sleep 1000",
        held.path(),
        up.path()
    );
    case.insert(&script, &[], (", backoff", ", '10 milliseconds'")).await;
    up.read().await;
    kill(supervisor(&case).await, Signal::SIGKILL).unwrap();
    // What it left running is killed, children included.
    gone.await;
    let told = case.ended().await;
    assert_eq!(told.outcome, "SUCCEEDED");
    let first = "select concat_ws(' ', outcome, reason) from rowcall.attempts where number = 1";
    let first: String = case.db.one(first).await;
    assert!(first.starts_with("LOST its supervisor was killed"), "{first}");
    end(dispatcher).await;
}

#[tokio::test]
async fn a_lost_attempt_is_not_counted_against_max_attempts() {
    let case = Processes::new().await;
    let up = case.fifo("up");
    let dispatcher = case.dispatcher().await;
    let script = format!("echo up > {}; sleep 1000", up.path());
    case.insert(&script, &[], (", backoff, backoff_max", ", '1 hour', '1 hour'")).await;
    up.read().await;
    kill(supervisor(&case).await, Signal::SIGKILL).unwrap();
    case.db
        .until("select state = 'waiting' and failures = 0 and runner_failures = 1 from rowcall.jobs")
        .await;
    end(dispatcher).await;
}

#[tokio::test]
async fn a_program_outliving_its_daemon_is_adopted_with_its_exit_code() {
    let case = Processes::new().await;
    let (up, gate) = (case.fifo("up"), case.fifo("gate"));
    let count = case.subject.place().join("count");
    case.dispatcher_until_up(&format!("echo $$ >> {}; ", count.display()), &up, &gate).await;
    let next = case.dispatcher().await;
    case.db.until(&format!("select dispatcher_id = {} from rowcall.attempts", next.id())).await;
    gate.open().await;
    let told = case.ended().await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(7)));
    assert_eq!(std::fs::read_to_string(count).unwrap().lines().count(), 1);
    end(next).await;
}

#[tokio::test]
async fn what_ended_while_no_daemon_lived_is_known_to_the_next() {
    let case = Processes::new().await;
    let (up, gate, held) = (case.fifo("up"), case.fifo("gate"), case.fifo("held"));
    let gone = held.closed();
    let script = format!("exec 9> {}; ", held.path());
    case.dispatcher_until_up(&script, &up, &gate).await;
    gate.open().await;
    gone.await;
    let next = case.dispatcher().await;
    let told = case.ended().await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(7)));
    assert_eq!(case.db.one::<i64>("select count(*) from rowcall.attempts").await, 1);
    end(next).await;
}

impl Processes {
    /// A dispatcher that dies once the program is up; the program waits at the gate and exits with 7.
    async fn dispatcher_until_up(&self, first: &str, up: &crate::support::Fifo, gate: &crate::support::Fifo) {
        let dispatcher = self.dispatcher().await;
        let script = format!("{first}echo up > {}; read x < {}; exit 7", up.path(), gate.path());
        self.insert(&script, &[], ONCE).await;
        up.read().await;
        dispatcher.abandon();
    }

    fn on_host(&self, host: &str, state_dir: &str) -> Settings {
        let mut settings = self.subject.settings(&self.db.url);
        host.clone_into(&mut settings.dispatcher.host);
        settings.runners.process.state_dir = self.subject.place().join(state_dir);
        settings
    }
}

#[tokio::test]
async fn another_machine_waits_before_it_declares_a_process_lost() {
    let case = Processes::new().await;
    let up = case.fifo("up");
    let here = start_process(case.on_host("here", "here"), Mode::Serve).await;
    let script = format!("[ $ROWCALL_ATTEMPT = 2 ] && exit 0; echo up > {}; sleep 1000", up.path());
    case.insert(&script, &[], (", backoff", ", '10 milliseconds'")).await;
    up.read().await;
    case.db.until("select launched_at is not null from rowcall.attempts").await;
    let pid = supervisor(&case).await;
    let id = here.id();
    here.abandon();

    let there = start_process(case.on_host("there", "there"), Mode::Serve).await;
    case.db.until("exists (select from rowcall.history)").await;
    let waited =
        "select extract(epoch from a.ended_at - d.seen_at)::float8 from rowcall.attempts a, rowcall.dispatchers d
        where a.number = 1 and d.id = ";
    let waited: f64 = case.db.one(&format!("{waited}{id}")).await;
    assert!(waited >= 2.0, "lost_after is 2 s, and it was declared lost after {waited}");
    let outcomes: Vec<String> =
        case.db.one("select array_agg(outcome::text order by number) from rowcall.attempts").await;
    assert_eq!(outcomes, ["LOST", "SUCCEEDED"]);
    end(there).await;
    kill_group_of(pid);
}

#[tokio::test]
async fn another_machine_never_repeats_a_launch_without_an_answer() {
    let case = Processes::new().await;
    let up = case.fifo("up");
    let count = case.subject.place().join("count");
    let here = start_process(case.on_host("here", "here"), Mode::Serve).await;
    let script = format!(
        "echo $ROWCALL_ATTEMPT >> {}; [ $ROWCALL_ATTEMPT = 2 ] && exit 0; echo up > {}; sleep 1000",
        count.display(),
        up.path()
    );
    case.insert(&script, &[], (", backoff", ", '10 milliseconds'")).await;
    up.read().await;
    let pid = supervisor(&case).await;
    here.abandon();
    case.db.run("update rowcall_internal.attempts set launched_at = null, external_id = null").await;

    let there = start_process(case.on_host("there", "there"), Mode::Serve).await;
    case.db.until("exists (select from rowcall.history)").await;
    // A second program under the first one's token could not be told from it.
    assert_eq!(std::fs::read_to_string(count).unwrap(), "1\n2\n");
    end(there).await;
    kill_group_of(pid);
}

/// Ends what the test began and no dispatcher follows any more.
fn kill_group_of(supervisor: Pid) {
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    for child in children.split_whitespace() {
        let _ = nix::sys::signal::killpg(Pid::from_raw(child.parse().unwrap()), Signal::SIGKILL);
    }
}

#[tokio::test]
async fn an_unwritable_state_directory_is_an_error_at_the_start() {
    let case = Processes::new().await;
    let file = case.subject.place().join("file");
    std::fs::write(&file, "").unwrap();
    let mut settings = case.subject.settings(&case.db.url);
    settings.runners.process.state_dir = file.clone();
    let error = Dispatcher::start(settings, Mode::Serve, runners::enabled).await.unwrap_err();
    assert!(matches!(error, DispatcherError::Runner(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("runners.process.state_dir") && text.contains(file.to_str().unwrap()), "{text}");
    // Nobody shall wait for a dispatcher that never began.
    assert_eq!(case.db.one::<i64>("select count(*) from rowcall.dispatchers").await, 0);
}

#[tokio::test]
async fn an_attempts_directory_is_private_and_goes_after_the_settling() {
    let case = Processes::new().await;
    let (up, gate) = (case.fifo("up"), case.fifo("gate"));
    let dispatcher = case.dispatcher().await;
    let script = format!("pwd; touch file; echo up > {}; read x < {}", up.path(), gate.path());
    case.insert(&script, &[], ONCE).await;
    up.read().await;
    let key: String = case.db.one("select launch_key from rowcall.attempts").await;
    let directory = case.subject.place().join("state").join(&key);
    let file = directory.with_extension("attempt");
    for (path, mode) in [(&directory, 0o700), (&file, 0o600)] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    assert!(directory.join("file").exists(), "a fresh directory is where the program starts");
    gate.open().await;
    let told = case.ended().await;
    assert_eq!(told.output.trim_end(), directory.to_str().unwrap());
    end(dispatcher).await;
    assert!(!directory.exists() && !file.exists());
}

#[tokio::test]
async fn a_working_directory_can_be_set() {
    let case = Processes::new().await;
    let mut settings = case.subject.settings(&case.db.url);
    settings.runners.process.working_directory = "/usr".into();
    let dispatcher = start_process(settings, Mode::Serve).await;
    case.insert("pwd", &[], ONCE).await;
    assert_eq!(case.ended().await.output, "/usr\n");
    end(dispatcher).await;
}

#[tokio::test]
async fn printed_secrets_are_masked() {
    let case = Processes::new().await;
    let script = "echo $ROWCALL_TOKEN; echo at $ROWCALL_DATABASE_URL; p=${ROWCALL_DATABASE_URL%@*}; echo ${p##*:}; \
                  echo token=$ROWCALL_TOKEN; exit 1";
    let told = case.run(script, &[], ONCE).await;
    assert_eq!(told.output, "[masked]\nat [masked]\n[masked]\ntoken=[masked]\n");
    let message: String = case.db.one("select attributes->>'message' from rowcall.files").await;
    assert_eq!(message, "exit code 1: token=[masked]");
}

#[tokio::test]
async fn a_secret_cut_by_the_output_limit_is_masked_too() {
    let case = Processes::new().await;
    // 10,000 bytes are kept: the cut falls into the middle of the URL.
    let script = "echo $ROWCALL_DATABASE_URL; head -c 9970 /dev/zero | tr '\\0' x; exit 1";
    let told = case.run(script, &[], ONCE).await;
    let tail = &case.db.url[case.db.url.len() - 20..];
    assert!(!told.output.contains(tail), "{}", &told.output[..200]);
    assert!(told.output.ends_with("xxx"));
}

#[tokio::test]
async fn the_token_is_in_nobodys_arguments() {
    let case = Processes::new().await;
    let (up, gate) = (case.fifo("up"), case.fifo("gate"));
    let dispatcher = case.dispatcher().await;
    let script = format!("echo $ROWCALL_TOKEN $$ > {}; read x < {}", up.path(), gate.path());
    case.insert(&script, &[], ONCE).await;
    let said = up.read().await;
    let (token, program) = said.trim().split_once(' ').unwrap();
    let arguments = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let supervisor = supervisor(&case).await.to_string();
    assert_eq!(token.split_once('.').unwrap().1.len(), 43);
    assert!(arguments(program).contains("echo") && !arguments(program).contains(token));
    assert!(arguments(&supervisor).contains("supervise") && !arguments(&supervisor).contains(token));
    gate.open().await;
    case.ended().await;
    end(dispatcher).await;
}

#[tokio::test]
async fn a_program_of_a_forgotten_attempt_does_not_run_on() {
    let case = Processes::new().await;
    let (up, held) = (case.fifo("up"), case.fifo("held"));
    let gone = held.closed();
    let (runner, mut ends) = case.subject.runner();
    let attempt = case.attempt(&format!("exec > {}; echo up > {}; sleep 1000", held.path(), up.path()));
    runner.launch(&attempt, &[]).await.unwrap();
    up.read().await;
    runner.forget(&attempt).await;
    gone.await;
    let _ = heard(&mut ends).await;
    assert!(!case.subject.remembers(&attempt), "{:?}", observed(&runner, &attempt).await);
}

/// A dispatcher may stand still just before it starts a supervisor, for longer than others wait for it.
#[test]
fn a_program_that_is_launched_too_late_does_not_begin() {
    let place = tempfile::tempdir().unwrap();
    for (until, begins) in [("1", false), ("18446744073709551615", true), ("-", true)] {
        let (dir, begun) = (place.path().join(until), place.path().join(format!("begun-{until}")));
        std::fs::write(dir.with_extension("attempt"), "").unwrap();
        let mut supervisor = std::process::Command::new(env!("CARGO_BIN_EXE_rowcall-supervisor"));
        supervisor
            .arg("supervise")
            .args([&dir, place.path()])
            .args(["1000", until, "/usr/bin/touch"])
            .arg(&begun);
        assert!(supervisor.status().unwrap().success(), "{until}");
        assert_eq!(begun.exists(), begins, "{until}");
        // What has not begun may still be launched by another.
        assert_eq!(std::fs::read(dir.with_extension("attempt")).unwrap().is_empty(), !begins, "{until}");
    }
}
