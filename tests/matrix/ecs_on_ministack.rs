//! Real containers.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::operation::list_tasks::builders::ListTasksFluentBuilder;
use aws_sdk_ecs::types::DesiredStatus::{Running, Stopped};
use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::runners::aws::Aws;
use rowcall::runners::ecs::{EcsRunner, Timing};
use rowcall::runners::{Ends, Runners};
use rowcall::settings::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Expected, Told, settings_for};
use crate::support::standins::{Definition, Ministack, Remembers};
use crate::support::{Fifo, TestDatabase};

/// Runs until something happens to it; the second attempt has nothing to do.
const SLEEPS: &str = r#"test $ROWCALL_ATTEMPT = 2 && exit 0; echo up > "$1/up"; sleep 1000"#;

/// A database, a definition with one task for it, and a directory that its containers see.
pub struct Ecs<'a> {
    pub db: TestDatabase,
    pub ministack: &'a Ministack,
    place: tempfile::TempDir,
    definition: Definition,
    name: String,
}

impl<'a> Ecs<'a> {
    async fn new(ministack: &'a Ministack, definition: Definition) -> Self {
        Self::with_database(ministack, async |_| definition).await
    }

    /// With a definition that knows the database.
    pub async fn with_database(
        ministack: &'a Ministack,
        definition: impl AsyncFnOnce(&TestDatabase) -> Definition,
    ) -> Self {
        let (db, place) = (TestDatabase::new().await, tempfile::tempdir().unwrap());
        let definition = definition(&db).await.sees(place.path()).stop_timeout(1);
        let name = definition.clone().register(ministack, "matrix").await;
        Self { db, ministack, place, definition, name }
    }

    /// One attempt more than the first, and further columns.
    pub async fn parameters(&self, command: &[&str], (columns, values): (&str, &str)) {
        let sql = format!(
            r#"insert into rowcall.parameters (name, on_status, max_attempts, backoff, runner, target, settings, command{columns})
               values ('task', 'REGISTERED', 2, '10 milliseconds', 'ecs', $1,
               '{{"cluster": "jobs", "container": "main", "launch_type": "EC2"}}', $2{values})"#
        );
        self.db.client.execute(&sql, &[&self.name, &command]).await.unwrap();
    }

    /// A shell script that has the directory as its first argument.
    async fn script(&self, script: &str, more: (&str, &str)) {
        self.parameters(&["sh", "-c", script, "sh", self.place.path().to_str().unwrap()], more).await;
    }

    pub async fn dispatcher(&self) -> Dispatcher {
        let mut settings = settings_for(&self.db, self.ministack.url());
        let ecs = &mut settings.runners.ecs;
        ecs.enabled = true;
        ecs.subnets = vec!["subnet-*".to_owned()];
        ecs.clusters = vec![Ministack::CLUSTER.to_owned()];
        ecs.task_definitions = vec!["matrix-*".to_owned()];
        let make =
            |settings: &Settings, ends: &Ends| Ok(Runners::default().with(Arc::new(runner(settings, ends))));
        Dispatcher::start(settings, Mode::Serve, make).await.unwrap()
    }

    pub async fn insert(&self) {
        self.db.run("insert into rowcall.files default values").await;
    }

    /// The whole way for a row inserted now; `meanwhile` happens to its first task as soon as that runs.
    async fn run(&self, expected: Expected, meanwhile: impl AsyncFnOnce(&str)) {
        let up = Fifo::new(self.place.path(), "up");
        let dispatcher = self.dispatcher().await;
        self.insert().await;
        up.read().await;
        self.db.until("exists (select from rowcall.attempts where begun_at is not null)").await;
        let arn: String = self.db.one("select external_id from rowcall.attempts").await;
        meanwhile(&arn).await;
        self.must_end(expected).await;
        stop(dispatcher).await;
    }

    /// The same for a task that nothing happens to.
    async fn runs(&self, expected: Expected) {
        let dispatcher = self.dispatcher().await;
        self.insert().await;
        self.must_end(expected).await;
        stop(dispatcher).await;
    }

    async fn must_end(&self, expected: Expected) {
        let told = Told::of(&self.db).await;
        told.must_be(&expected);
        self.nothing_is_left(&told).await;
    }

    /// Every attempt has one task, which has stopped, and no task is nobody's. (A server that has forgotten its tasks
    /// has none.)
    pub async fn nothing_is_left(&self, told: &Told) {
        let mut tasks = Vec::new();
        for attempt in &told.attempts {
            let own = self.listed(|call| call.started_by(&attempt.launch_key)).await;
            assert!(own.iter().all(|arn| attempt.external_id.as_ref() == Some(arn)), "{own:?} {told:#?}");
            assert_eq!(own.len(), usize::from(attempt.outcome != "LOST"), "{told:#?}");
            tasks.extend(own);
        }
        tasks.sort_unstable();
        let family = self.name.split(':').next().unwrap();
        assert_eq!(self.listed(|call| call.family(family)).await, tasks, "{told:#?}");
        let containers = self.ministack.containers();
        for arn in &tasks {
            assert_eq!(self.status(arn).await.as_deref(), Some("STOPPED"), "{told:#?}");
            assert!(containers.of_task(arn).await.len() <= 1, "{told:#?}");
        }
        for arn in told.attempts.iter().filter_map(|attempt| attempt.external_id.as_deref()) {
            assert_eq!(containers.running_of_task(arn).await, Vec::<String>::new(), "{told:#?}");
        }
    }

    /// Tasks that run and tasks that have stopped.
    async fn listed(&self, which: impl Fn(ListTasksFluentBuilder) -> ListTasksFluentBuilder) -> Vec<String> {
        let mut arns = Vec::new();
        for status in [Running, Stopped] {
            let call = self.ministack.ecs().list_tasks().cluster(Ministack::CLUSTER).desired_status(status);
            arns.extend_from_slice(which(call).send().await.unwrap().task_arns());
        }
        arns.sort_unstable();
        arns
    }

    async fn stop_task(&self, arn: &str, reason: &str) {
        let call = self.ministack.ecs().stop_task().cluster(Ministack::CLUSTER);
        call.task(arn).reason(reason).send().await.unwrap();
    }

    async fn status(&self, arn: &str) -> Option<String> {
        let call = self.ministack.ecs().describe_tasks().cluster(Ministack::CLUSTER).tasks(arn);
        call.send().await.unwrap().tasks().first()?.last_status().map(str::to_owned)
    }
}

fn runner(settings: &Settings, ends: &Ends) -> EcsRunner {
    let aws = Arc::new(Aws::with_credentials(&settings.aws, "AKIDEXAMPLE", "secret"));
    let quick = Timing {
        soonest: Duration::from_millis(50),
        latest: Duration::from_millis(200),
        second_look: Duration::from_millis(50),
        gone_after: Duration::from_secs(1),
        appears_within: Duration::from_secs(1),
        log_delay: Duration::from_millis(200),
        ..Timing::default()
    };
    let url = &settings.tasks.database_url;
    EcsRunner::new(&settings.runners.ecs, aws, ends.clone(), url).with_timing(quick)
}

pub async fn stop(dispatcher: Dispatcher) {
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

/// A script, and how it ends.
async fn ends(script: &str, more: (&str, &str), expected: Expected) {
    let ecs = Ecs::new(Ministack::shared().await, Definition::busybox()).await;
    ecs.script(script, more).await;
    ecs.runs(expected).await;
}

/// A definition whose task does not start.
async fn never_starts(definition: Definition, command: &[&str], expected: Expected) {
    let ecs = Ecs::new(Ministack::shared().await, definition).await;
    ecs.parameters(command, ("", "")).await;
    ecs.runs(expected).await;
}

/// What happens to a task that sleeps, and how it ends then.
async fn meanwhile(expected: Expected, more: (&str, &str), happens: impl AsyncFnOnce(&Ecs<'_>, &str)) {
    let ecs = Ecs::new(Ministack::shared().await, Definition::busybox()).await;
    ecs.script(SLEEPS, more).await;
    ecs.run(expected, async |arn| happens(&ecs, arn).await).await;
}

const PLAIN: (&str, &str) = ("", "");

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn exit_0_is_success() {
    ends("exit 0", PLAIN, Expected::ends("SUCCEEDED", Some(0), "")).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn exit_3_is_a_failure_and_tried_again() {
    let script = "test $ROWCALL_ATTEMPT = 2 && exit 0; echo no such bucket; exit 3";
    ends(script, PLAIN, Expected::retried("TASK_FAILED", Some(3), "exit code 3: no such bucket")).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn the_last_failure_is_the_rows() {
    ends("exit 3", PLAIN, Expected::given_up("TASK_FAILED", Some(3), "exit code 3")).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn exit_137_is_told_as_the_signal_it_stands_for() {
    let script = "test $ROWCALL_ATTEMPT = 2 && exit 0; exit 137";
    ends(
        script,
        PLAIN,
        Expected::retried("TASK_FAILED", Some(137), "killed by signal 9 SIGKILL (exit code 137)"),
    )
    .await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn what_is_killed_has_failed_and_is_tried_again() {
    let expected = Expected::retried("TASK_FAILED", Some(137), "killed by signal 9 SIGKILL (exit code 137)");
    meanwhile(expected, PLAIN, async |ecs, arn| ecs.ministack.containers().kill(arn, "KILL").await).await;
}

/// ECS would say OutOfMemoryError; the stand-in says no more than the exit code.
#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_task_killed_for_its_memory_has_failed_and_is_tried_again() {
    let ecs = Ecs::new(Ministack::shared().await, Definition::busybox()).await;
    let gate = Fifo::new(ecs.place.path(), "gate");
    let script = r#"test $ROWCALL_ATTEMPT = 2 && exit 0; echo up > "$1/up"; read x < "$1/gate"
        exec dd if=/dev/zero of=/dev/null bs=64M count=1"#;
    ecs.script(script, PLAIN).await;
    let expected = Expected::retried("TASK_FAILED", Some(137), "killed by signal 9 SIGKILL (exit code 137)");
    ecs.run(expected, async |arn| {
        ecs.ministack.containers().limit_memory(arn, "8m").await;
        gate.open().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn an_image_that_is_not_there_is_final() {
    let image = format!("{}/none:1", empty_registry().await);
    let expected = Expected::ends("RUNNER_FAILED", None, "not found: manifest unknown");
    never_starts(Definition::of(image), &["true"], expected).await;
}

/// Nobody listens on the discard port.
#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_registry_that_does_not_answer_is_asked_again() {
    let expected = Expected::given_up("RUNNER_FAILED", None, "connection refused");
    never_starts(Definition::of("127.0.0.1:9/none:1"), &["true"], expected).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_command_that_is_not_there_is_final() {
    let expected = Expected::ends("RUNNER_FAILED", None, "no such file or directory");
    never_starts(Definition::busybox(), &["/no-such-program"], expected).await;
}

/// ECS would say why; the stand-in does not, and so it may pass.
#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_secret_missing_for_unknown_reasons_is_asked_for_again() {
    let secret = Ministack::shared().await.secret("it").await.replace("secret-", "none-");
    let expected = Expected::given_up("RUNNER_FAILED", None, "unable to retrieve secret");
    never_starts(Definition::busybox().secret("WORD", &secret), &["true"], expected).await;
}

/// An image registry that knows no image; its address.
async fn empty_registry() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n")
                && let Ok(byte) = stream.read_u8().await
            {
                request.push(byte);
            }
            let unknown = r#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": {"Tag": "1"}}]}"#;
            let exists = String::from_utf8_lossy(&request).split(' ').nth(1) == Some("/v2/");
            let (status, body) = if exists { ("200 OK", "{}") } else { ("404 Not Found", unknown) };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\
                 Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn what_sleeps_past_its_timeout_is_stopped_and_tried_again() {
    // Process 1 has no handler for SIGTERM.
    let expected = Expected::retried("TIMED_OUT", Some(137), "ran longer than its timeout of 00:00:01");
    ends("test $ROWCALL_ATTEMPT = 2 && exit 0; sleep 1000", (", timeout", ", '1 second'"), expected).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_good_end_after_a_stop_for_its_timeout_is_still_a_timeout() {
    let script = "test $ROWCALL_ATTEMPT = 2 && exit 0; trap 'exit 0' TERM; sleep 1000 & wait";
    let expected = Expected::retried("TIMED_OUT", Some(0), "ran longer than its timeout of 00:00:01");
    ends(script, (", timeout", ", '1 second'"), expected).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn what_somebody_stops_is_not_tried_again() {
    let expected =
        Expected::ends("RUNNER_FAILED", Some(137), "stopped outside of Rowcall (exit code 137): not today");
    meanwhile(expected, PLAIN, async |ecs, arn| ecs.stop_task(arn, "not today").await).await;
}

/// The stand-in says RUNNING of it for ever, so only its timeout ends it.
#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_container_that_is_gone_is_cleared_by_its_timeout() {
    let expected = Expected::retried("TIMED_OUT", None, "ran longer than its timeout of 00:00:02");
    meanwhile(expected, (", timeout", ", '2 seconds'"), async |ecs, arn| {
        ecs.ministack.containers().remove(arn).await;
        assert_eq!(ecs.status(arn).await.as_deref(), Some("RUNNING"));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_container_that_is_gone_is_cleared_by_somebodys_stop() {
    let expected = Expected::ends("RUNNER_FAILED", None, "stopped outside of Rowcall: it hangs");
    meanwhile(expected, PLAIN, async |ecs, arn| {
        ecs.ministack.containers().remove(arn).await;
        assert_eq!(ecs.status(arn).await.as_deref(), Some("RUNNING"));
        ecs.stop_task(arn, "it hangs").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_restarted_ecs_silent_about_an_end_means_another_attempt() {
    let ministack = Ministack::start().await;
    let ecs = Ecs::new(&ministack, Definition::busybox()).await;
    ecs.script(SLEEPS, PLAIN).await;
    let expected =
        Expected::retried("RUNNER_FAILED", None, "ended without an exit code: ECS gives no reason");
    ecs.run(expected, async |_| ministack.restart(Remembers::Tasks).await).await;
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_task_forgotten_by_a_restarted_ecs_is_lost_and_tried_again() {
    let ministack = Ministack::start().await;
    let ecs = Ecs::new(&ministack, Definition::busybox()).await;
    ecs.script(SLEEPS, PLAIN).await;
    let expected = Expected::retried("LOST", None, "ECS no longer knows the task");
    ecs.run(expected, async |_| {
        ministack.restart(Remembers::Nothing).await;
        let family = ecs.name.split(':').next().unwrap();
        ecs.definition.clone().register_as(&ministack, family).await;
    })
    .await;
}
