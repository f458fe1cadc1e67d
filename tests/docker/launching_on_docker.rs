//! One launch, however often it is called, whoever died in the middle, and whoever else has taken its name.

use rowcall::dispatcher::Dispatcher;
use rowcall::job::How;
use rowcall::runners::boot_clock::BootInstant;
use rowcall::runners::{Attempt, Found, LaunchError, Observation, Runner};

use super::{Containers, ONCE, docker, inspect, with};
use crate::conformance::docker::{containers, image};
use crate::conformance::{Subject as _, asked, heard, observed};

/// A container under the attempt's launch key, as a dispatcher that died between two calls leaves it.
fn create(attempt: &Attempt, script: &str, labels: bool) -> String {
    let key = attempt.launch_key.as_str();
    let of = [
        format!("rowcall.key={key}"),
        format!("rowcall.job={}", attempt.job_id),
        "rowcall.instance=rowcall-test".to_owned(),
    ];
    let mut command = vec!["create", "--network", "none", "--volume", "/tmp:/tmp", "--name", key];
    if labels {
        command.extend(of.iter().flat_map(|label| ["--label", label]));
    }
    let image = image();
    command.extend([image.as_str(), "sh", "-c", script]);
    docker(&command)
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn what_was_created_and_not_started_is_started() {
    for in_doubt in [false, true] {
        let case = Containers::new().await;
        let (runner, mut ends) = case.subject.runner();
        let count = case.subject.place().join("count");
        let mut attempt = case.attempt("never");
        attempt.in_doubt = in_doubt;
        let id = create(&attempt, &format!("echo ran >> {}", count.display()), true);
        assert_eq!(runner.launch(&attempt, &[]).await.unwrap().external_id, id);
        assert_eq!(asked(&runner, &mut ends, &attempt).await.exit_code, Some(0));
        assert_eq!(std::fs::read_to_string(count).unwrap(), "ran\n");
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn what_has_ended_is_not_run_again() {
    for in_doubt in [false, true] {
        let case = Containers::new().await;
        let count = case.subject.place().join("count");
        let mut attempt = case.attempt(&format!("echo ran >> {}; exit 9", count.display()));
        let (runner, mut ends) = case.subject.runner();
        runner.launch(&attempt, &[]).await.unwrap();
        heard(&mut ends).await;
        // Its dispatcher dies before it could write that down.
        let (next, mut ends) = case.subject.runner();
        attempt.in_doubt = in_doubt;
        next.launch(&attempt, &[]).await.unwrap();
        assert_eq!(asked(&next, &mut ends, &attempt).await.exit_code, Some(9));
        assert_eq!(std::fs::read_to_string(count).unwrap(), "ran\n");
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_strangers_container_of_that_name_is_not_adopted_or_touched() {
    for in_doubt in [false, true] {
        let case = Containers::new().await;
        let (runner, _ends) = case.subject.runner();
        let mut attempt = case.attempt("exit 0");
        attempt.in_doubt = in_doubt;
        let id = create(&attempt, "exit 0", false);
        let refused = runner.launch(&attempt, &[]).await.unwrap_err();
        let LaunchError::Refused { reason, retryable: true, .. } = &refused else { panic!("{refused:?}") };
        assert!(reason.contains(&attempt.launch_key) && reason.contains("not of it"), "{reason}");
        assert_eq!(runner.find(&attempt).await, Ok(Found::Nothing));
        runner.stop(&attempt, "test").await.unwrap();
        runner.forget(&attempt).await;
        end_of(runner).await;
        assert_eq!(inspect(&attempt, "{{.Id}} {{.State.Status}}"), format!("{id} created"));
        docker(&["rm", &id]);
    }
}

/// Waits until a runner has removed what it is removing.
async fn end_of(runner: std::sync::Arc<dyn Runner>) {
    let stopping = tokio_util::sync::CancellationToken::new();
    stopping.cancel();
    runner.background(stopping).await;
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_launch_that_is_given_up_leaves_nothing_that_could_start() {
    let case = Containers::new().await;
    let (runner, _ends) = case.subject.runner();
    let attempt = case.attempt("never");
    create(&attempt, "exit 0", true);
    assert_eq!(runner.find(&attempt).await, Ok(Found::Nothing));
    assert_eq!(containers(&attempt), "");
    assert_eq!(runner.find(&attempt).await, Ok(Found::Nothing));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_launch_that_is_given_up_finds_what_runs() {
    let case = Containers::new().await;
    let (runner, _ends) = case.subject.runner();
    let attempt = case.attempt(&format!(": {}; sleep 1000", case.subject.place().display()));
    let launched = runner.launch(&attempt, &[]).await.unwrap();
    assert_eq!(runner.find(&attempt).await, Ok(Found::Running(launched.external_id)));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_program_that_cannot_start_is_refused_and_gone() {
    let case = Containers::new().await;
    let (runner, _ends) = case.subject.runner();
    let attempt = with(case.attempt(""), |request| {
        request.command = vec!["/no-such-program".to_owned()];
        request.settings["init"] = false.into();
    });
    let refused = runner.launch(&attempt, &[]).await.unwrap_err();
    assert!(matches!(refused, LaunchError::Refused { retryable: false, .. }), "{refused:?}");
    runner.forget(&attempt).await;
    end_of(runner).await;
    assert_eq!(containers(&attempt), "");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn what_the_engine_calls_wrong_is_refused_in_its_words() {
    let case = Containers::new().await;
    let (runner, _ends) = case.subject.runner();
    for (settings, words) in [
        (
            serde_json::json!({"pull": "never", "mounts": [{"source": "/tmp/no/such/place", "target": "/x"}]}),
            "/tmp/no/such/place",
        ),
        (serde_json::json!({"pull": "never", "network": "no-such-network"}), "no-such-network"),
        (serde_json::json!({"pull": "never", "cpu": 1024 * 1024}), "CPUs"),
    ] {
        let attempt = with(case.attempt("exit 0"), |request| request.settings = settings);
        let refused = runner.launch(&attempt, &[]).await.unwrap_err();
        let LaunchError::Refused { reason, retryable: false, .. } = &refused else { panic!("{refused:?}") };
        assert!(reason.contains(words), "{reason}");
        docker(&["rm", "--force", &attempt.launch_key]);
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn what_another_engine_was_given_is_not_launched_here() {
    let case = Containers::new().await;
    let (runner, mut ends) = case.subject.runner();
    let elsewhere = |request: &mut rowcall::parameters::LaunchSpec| {
        request.settings["engine"] = "tcp://elsewhere.example:2375".into();
    };
    let mut attempt = with(case.attempt("exit 0"), elsewhere);
    attempt.in_doubt = true;
    let refused = runner.launch(&attempt, &[]).await.unwrap_err();
    assert!(
        matches!(&refused, LaunchError::Lost(why) if why.contains("tcp://elsewhere.example:2375")),
        "{refused:?}"
    );
    let end = asked(&runner, &mut ends, &attempt).await;
    assert_eq!(end.how, How::Lost);
    assert!(end.reason.unwrap().contains("tcp://elsewhere.example:2375"));
    // Nothing here says nothing about there.
    assert!(runner.find(&attempt).await.unwrap_err().contains("tcp://elsewhere.example:2375"));
    assert!(runner.stop(&attempt, "test").await.unwrap_err().contains("tcp://elsewhere.example:2375"));
    assert_eq!(containers(&attempt), "");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn no_image_outside_the_rules_is_asked_for() {
    let case = Containers::new().await;
    let (runner, _ends) = case.subject.runner();
    let mut attempt = with(case.attempt("exit 0"), |request| request.target = "other:1".to_owned());
    attempt.in_doubt = true;
    runner.keep_pace(&attempt).await;
    let refused = runner.may_launch(&attempt.request).unwrap_err();
    assert!(refused.contains("other:1") && refused.contains("runners.docker.images"), "{refused}");
    let waits = runner.launch(&attempt, &[]).await.unwrap_err();
    assert_eq!(waits, LaunchError::Busy("its image has still to be looked for".to_owned()));
    assert_eq!(containers(&attempt), "");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_settled_attempt_leaves_no_container() {
    let case = Containers::new().await;
    let dispatcher = case.dispatcher().await;
    case.insert("exit 0", &[], ONCE).await;
    case.ended().await;
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
    let key: String = case.db.one("select launch_key from rowcall.attempts").await;
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("label=rowcall.key={key}")]), "");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn what_outlived_its_attempt_is_removed_and_nothing_else() {
    let case = Containers::new().await;
    let dispatcher = case.dispatcher().await;
    case.insert("exit 0", &[], ONCE).await;
    case.ended().await;
    end(dispatcher).await;
    let key: String = case.db.one("select launch_key from rowcall.attempts").await;
    let attempt = |launch_key: String| Attempt { launch_key, ..case.attempt("") };
    let (instance, _) = key.rsplit_once('-').and_then(|(rest, _)| rest.rsplit_once('-')).unwrap();
    let labelled = |key: &str, instance: &str| {
        let labels = [format!("rowcall.key={key}"), format!("rowcall.instance={instance}")];
        let image = image();
        let command = [
            "run",
            "--detach",
            "--init",
            "--network",
            "none",
            "--name",
            key,
            "--label",
            &labels[0],
            "--label",
            &labels[1],
            &image,
            "sleep",
            "1000",
        ];
        assert!(!docker(&command).is_empty());
        attempt(key.to_owned())
    };
    let over = labelled(&key, instance);
    // Of an attempt that this database does not know, and of another installation.
    let unknown = labelled(&format!("{instance}-999999-00000000"), instance);
    let another = format!("rowcall-{:08x}", rand::random::<u32>());
    let other = labelled(&format!("{another}-1-00000000"), &another);
    let _removed = Removed([&over, &unknown, &other].map(|attempt| attempt.launch_key.clone()));
    let dispatcher = case.dispatcher().await;
    until_gone(&over).await;
    end(dispatcher).await;
    for kept in [&unknown, &other] {
        assert_eq!(inspect(kept, "{{.State.Status}}"), "running");
    }
}

/// Containers that are removed, however their test ends.
struct Removed([String; 3]);

impl Drop for Removed {
    fn drop(&mut self) {
        let [first, second, third] = &self.0;
        docker(&["rm", "--force", first, second, third]);
    }
}

async fn end(dispatcher: Dispatcher) {
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

/// Until the engine says that a container is destroyed.
async fn until_gone(attempt: &Attempt) {
    let waiting = async {
        while !containers(attempt).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.expect("it is still there");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn the_next_dispatcher_adopts_what_a_dead_one_launched() {
    let case = Containers::new().await;
    let (up, gate) = (case.fifo("up"), case.fifo("gate"));
    let count = case.subject.place().join("count");
    let dispatcher = case.dispatcher().await;
    let script =
        format!("echo ran >> {}; echo up > {}; read x < {}; exit 7", count.display(), up.path(), gate.path());
    case.insert(&script, &[], ONCE).await;
    up.read().await;
    dispatcher.abandon();
    // It had started the container, and died before it could write that down.
    case.db
        .run("update rowcall_internal.attempts set launched_at = null, begun_at = null, external_id = null")
        .await;
    let next = case.dispatcher().await;
    case.db
        .until(&format!(
            "select dispatcher_id = {} and external_id is not null from rowcall.attempts",
            next.id()
        ))
        .await;
    gate.open().await;
    let told = case.ended().await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(7)));
    assert_eq!(std::fs::read_to_string(count).unwrap(), "ran\n");
    end(next).await;
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn the_token_is_in_the_container_and_in_no_log() {
    let case = Containers::new().await;
    let place = case.subject.place();
    let mut command = crate::support::rowcall(&case.db.url, &place.join("state"));
    command.args(["--log-level", "trace", "serve"]).envs([
        ("ROWCALL_RUNNERS__PROCESS__ENABLED", "false"),
        ("ROWCALL_RUNNERS__DOCKER__ENABLED", "true"),
        ("ROWCALL_RUNNERS__DOCKER__IMAGES", "rowcall-test-*"),
        ("ROWCALL_RUNNERS__DOCKER__MOUNTS", "/tmp"),
    ]);
    let log = crate::support::log_to(&mut command, place);
    let mut daemon = command.spawn().unwrap();
    let said = case.fifo("said");
    case.insert(&format!("echo $ROWCALL_TOKEN > {}; exit 1", said.path()), &[], ONCE).await;
    let token = said.read().await;
    case.ended().await;
    let pid = nix::unistd::Pid::from_raw(daemon.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    daemon.wait().await.unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(token.trim().split_once('.').unwrap().1.len(), 43);
    assert!(log.contains("launched"), "{log}");
    assert!(!log.contains(token.trim()));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_stop_of_what_is_gone_is_done() {
    let case = Containers::new().await;
    let (runner, _ends) = case.subject.runner();
    let attempt = case.attempt("exit 0");
    runner.stop(&attempt, "test").await.unwrap();
    assert!(matches!(observed(&runner, &attempt).await, Observation::Ended(end) if end.how == How::Lost));
}

/// One dispatcher stands still just before its call; another adopts the attempt, runs it and settles it; then the first goes on.
#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_launch_after_an_adopted_attempt_is_over_starts_nothing() {
    let case = Containers::new().await;
    let ran = case.subject.place().join("ran");
    let late = case.attempt(&format!("echo once >> {}", ran.display()));
    let adopted = Attempt { in_doubt: true, ..late.clone() };
    let (runner, mut ends) = case.subject.runner();
    runner.launch(&late, &[]).await.unwrap();
    heard(&mut ends).await;
    runner.forget(&adopted).await;
    // The janitor's look comes in between.
    assert!(
        runner.strays("rowcall-test-", &[]).await.iter().all(|stray| stray.launch_key != late.launch_key)
    );
    runner.launch(&late, &[]).await.unwrap();
    assert_eq!(asked(&runner, &mut ends, &late).await.exit_code, Some(0));
    assert_eq!(std::fs::read_to_string(ran).unwrap(), "once\n");
}

/// One dispatcher stands still between making the container and starting it, for longer than its lease.
#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_container_is_not_started_when_the_lease_is_over() {
    let case = Containers::new().await;
    let ran = case.subject.place().join("ran");
    let late = Attempt {
        launch_until: Some(BootInstant::from_nanos(1)),
        ..case.attempt(&format!("echo once >> {}", ran.display()))
    };
    let (runner, mut ends) = case.subject.runner();
    let refused = runner.launch(&late, &[]).await.unwrap_err();
    assert!(matches!(refused, LaunchError::Ambiguous(_)), "{refused:?}");
    assert!(!ran.exists());
    // The next one finds it made, and starts it; then the first goes on.
    let adopted = Attempt { in_doubt: true, launch_until: None, ..late.clone() };
    runner.launch(&adopted, &[]).await.unwrap();
    heard(&mut ends).await;
    let _ = runner.launch(&Attempt { in_doubt: true, ..late }, &[]).await;
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "once\n");
}
