//! An engine that goes away and comes back: a trouble of the runner's, never the task's.

use std::sync::Arc;
use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::job::How;
use rowcall::runners::docker::DockerRunner;
use rowcall::runners::{Ends, LaunchError, Observation, Runner, Runners};
use rowcall::settings::Settings;
use tokio::sync::mpsc;

use super::cable::Cable;
use super::{Containers, ONCE, docker};
use crate::conformance::docker::{containers, runner};
use crate::conformance::{Subject as _, asked, observed};

/// Settings with the engine at the other end of a cable.
fn settings(case: &Containers, cable: &Cable) -> Settings {
    let mut settings = case.subject.settings(&case.db.url);
    settings.runners.docker.host = cable.host();
    settings.runners.docker.call_timeout = Duration::from_secs(5);
    settings
}

async fn start(settings: Settings) -> Dispatcher {
    let make = |settings: &Settings, ends: &Ends| {
        Ok(Runners::default().with(Arc::new(runner(settings, ends.clone()))))
    };
    Dispatcher::start(settings, Mode::Serve, make).await.unwrap()
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_running_task_does_not_notice_an_engine_out_of_reach() {
    let case = Containers::new().await;
    let (up, gate) = (case.fifo("up"), case.fifo("gate"));
    let cable = Cable::new().await;
    let dispatcher = start(settings(&case, &cable)).await;
    case.insert(&format!("echo up > {}; read x < {}; exit 3", up.path(), gate.path()), &[], ONCE).await;
    up.read().await;
    case.db.until("select launched_at is not null from rowcall.attempts").await;
    cable.cut();
    // It ends while nobody can see it.
    gate.open().await;
    case.db.run("insert into rowcall.files default values").await;
    case.db.until("select count(*) = 2 from rowcall.attempts").await;
    assert_eq!(
        case.db.one::<i64>("select count(*) from rowcall.attempts where ended_at is not null").await,
        0
    );
    cable.mend();
    case.db.until("select count(*) = 1 from rowcall.history").await;
    let first = "select concat_ws(' ', outcome, exit_code) from rowcall.attempts where ended_at is not null";
    assert_eq!(case.db.one::<String>(first).await, "TASK_FAILED 3");
    // The second one waits at the same gate, for its launch was only held up.
    up.read().await;
    gate.open().await;
    case.db.until("select count(*) = 2 from rowcall.history").await;
    assert_eq!(case.db.one::<i64>("select count(*) from rowcall.attempts").await, 2);
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn an_end_waits_until_the_engine_says_whether_it_was_stopped() {
    let case = Containers::new().await;
    let (up, cable) = (case.fifo("up"), Cable::new().await);
    // Nobody listens to its events.
    let (ends, _ended) = mpsc::unbounded_channel();
    let runner: Arc<dyn Runner> = Arc::new(runner(&settings(&case, &cable), ends));
    let script = format!("trap 'exit 0' TERM; echo up > {}; sleep 1000 & wait", up.path());
    let attempt = case.attempt(&script);
    runner.launch(&attempt, &[]).await.unwrap();
    up.read().await;
    docker(&["stop", &attempt.launch_key]);
    for call in ["/events?", "/networks/bridge"] {
        cable.swallow(call);
        let seen = observed(&runner, &attempt).await;
        assert!(
            matches!(&seen, Observation::Unknown(why) if why.contains("who ended it")),
            "{call}: {seen:?}"
        );
    }
    let Observation::Ended(end) = observed(&runner, &attempt).await else { panic!("it has ended") };
    assert_eq!((end.how, end.exit_code), (How::Interrupted { retryable: false }, Some(0)));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn nothing_is_known_of_an_engine_that_is_away() {
    let case = Containers::new().await;
    let cable = Cable::new().await;
    let (ends, mut ended) = mpsc::unbounded_channel();
    let runner: Arc<dyn Runner> = Arc::new(runner(&settings(&case, &cable), ends));
    let attempt = case.attempt(&format!(": {}; exit 5", case.subject.place().display()));
    runner.launch(&attempt, &[]).await.unwrap();
    cable.cut();
    assert!(matches!(observed(&runner, &attempt).await, Observation::Unknown(_)));
    assert!(runner.stop(&attempt, "test").await.is_err());
    assert!(runner.find(&attempt).await.is_err());
    assert!(runner.strays("rowcall-test-", &[]).await.is_empty());
    cable.mend();
    assert_eq!(asked(&runner, &mut ended, &attempt).await.exit_code, Some(5));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_launch_whose_answer_is_lost_is_repeated_and_runs_once() {
    for call in ["/containers/create", "/start"] {
        let case = Containers::new().await;
        let cable = Cable::new().await;
        let count = case.subject.place().join("count");
        cable.swallow(call);
        let dispatcher = start(settings(&case, &cable)).await;
        case.insert(&format!("echo ran >> {}; exit 3", count.display()), &[], ONCE).await;
        let told = case.ended().await;
        assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(3)), "{call}");
        assert_eq!(std::fs::read_to_string(count).unwrap(), "ran\n", "{call}");
        assert_eq!(case.db.one::<i64>("select count(*) from rowcall.attempts").await, 1);
        dispatcher.drain();
        dispatcher.finish().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn without_an_engine_a_launch_waits() {
    let case = Containers::new().await;
    for host in ["unix:///tmp/no-such-engine.sock", "tcp://127.0.0.1:1"] {
        let mut settings = case.subject.settings(&case.db.url).runners.docker;
        host.clone_into(&mut settings.host);
        let (ends, _ended) = mpsc::unbounded_channel();
        let runner = DockerRunner::new(&settings, ends).unwrap();
        // A daemon may start before its engine does.
        runner.ready().await.unwrap();
        let attempt = case.attempt("exit 0");
        let error = runner.launch(&attempt, &[]).await.unwrap_err();
        assert!(matches!(error, LaunchError::Away(_)), "{host}: {error:?}");
        assert_eq!(containers(&attempt), "");
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_daemon_does_not_start_with_a_host_it_cannot_speak_to() {
    let case = Containers::new().await;
    let mut settings = case.subject.settings(&case.db.url);
    "ssh://me@build".clone_into(&mut settings.runners.docker.host);
    let error =
        Dispatcher::start(settings, Mode::Serve, rowcall::runners::enabled).await.unwrap_err().to_string();
    assert!(error.contains("runners.docker.host") && error.contains("tcp://host:port"), "{error}");
}
