//! How containers end, in the words that a row's author reads.

use rowcall::job::How;
use rowcall::runners::Observation;

use super::{Containers, ONCE, docker, with};
use crate::conformance::docker::image;
use crate::conformance::{Subject as _, asked, heard, observed};
use crate::support::TestDatabase;

/// `docker` to the container that runs for the one attempt there is.
async fn to_the_container(db: &TestDatabase, command: &[&str]) {
    let key: String = db.one("select launch_key from rowcall.attempts").await;
    assert!(!docker(&[command, &[key.as_str()]].concat()).is_empty());
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn out_of_memory_is_told() {
    let case = Containers::new().await;
    let told = case.run("tail /dev/zero", &[], (", settings", r#", '{"memory": 16}'"#)).await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(137)));
    assert!(told.reason.starts_with("out of memory (exit code 137)"), "{}", told.reason);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_command_that_is_not_there_is_told_and_not_tried_again() {
    let case = Containers::new().await;
    let dispatcher = case.dispatcher().await;
    case.parameters(&image(), &["/no-such-program".to_owned()], ONCE).await;
    case.db.run("insert into rowcall.files default values").await;
    let told = case.ended().await;
    assert_eq!(told.outcome, "RUNNER_FAILED");
    assert!(
        told.reason.contains("/no-such-program") && told.reason.to_lowercase().contains("no such file"),
        "{}",
        told.reason
    );
    let left = "select count(*) from rowcall.attempts";
    assert_eq!(case.db.one::<i64>(left).await, 1);
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn an_image_that_is_not_there_is_told() {
    let case = Containers::new().await;
    let dispatcher = case.dispatcher().await;
    case.parameters("rowcall-test-none:1", &[], ONCE).await;
    case.db.run("insert into rowcall.files default values").await;
    let told = case.ended().await;
    assert_eq!(
        (told.outcome.as_str(), told.reason.as_str()),
        ("RUNNER_FAILED", "image rowcall-test-none:1 is not on the engine, and settings.pull is never")
    );
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn an_image_of_one_static_program_runs() {
    let case = Containers::new().await;
    let dispatcher = case.dispatcher().await;
    let image = std::env::var("ROWCALL_TEST_SCRATCH_IMAGE").expect("./dev test sets it");
    let more = (
        ", settings",
        r#", '{"mounts": null, "read_only": true, "user": "1234:1234", "tmpfs": ["/scratch"]}'"#,
    );
    let script = "/busybox id -u; /busybox touch /scratch/x && echo may; /busybox touch /x || exit 6";
    case.parameters(&image, &["sh", "-c", script].map(str::to_owned), more).await;
    case.db.run("insert into rowcall.files default values").await;
    let told = case.ended().await;
    assert_eq!((told.outcome.as_str(), told.exit_code), ("TASK_FAILED", Some(6)));
    assert!(told.output.contains("1234\nmay\n") && told.output.contains("Read-only"), "{}", told.output);
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn docker_stop_and_docker_kill_are_somebodys_wish() {
    for command in [&["stop"][..], &["kill"], &["kill", "--signal", "TERM"]] {
        let case = Containers::new().await;
        let up = case.fifo("up");
        let dispatcher = case.dispatcher().await;
        // With exit code 0, which is no success of a program that was told to go.
        let script = format!("trap 'exit 0' TERM; echo up > {}; sleep 1000 & wait", up.path());
        case.insert(&script, &[], ONCE).await;
        up.read().await;
        to_the_container(&case.db, command).await;
        let told = case.ended().await;
        assert_eq!(told.outcome, "RUNNER_FAILED", "{command:?}");
        assert!(told.reason.starts_with("stopped outside of Rowcall (exit code "), "{}", told.reason);
        dispatcher.drain();
        dispatcher.finish().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_removed_container_is_lost_and_its_job_is_not() {
    let case = Containers::new().await;
    let up = case.fifo("up");
    let dispatcher = case.dispatcher().await;
    let script = format!("[ $ROWCALL_ATTEMPT = 2 ] && exit 0; echo up > {}; sleep 1000", up.path());
    case.insert(&script, &[], (", backoff", ", '10 milliseconds'")).await;
    up.read().await;
    case.db.until("select launched_at is not null from rowcall.attempts").await;
    to_the_container(&case.db, &["rm", "--force"]).await;
    assert_eq!(case.ended().await.outcome, "SUCCEEDED");
    let first = "select concat_ws(' ', outcome, reason) from rowcall.attempts where number = 1";
    let first: String = case.db.one(first).await;
    assert!(
        first.starts_with("LOST its container is gone: it was removed")
            || first.starts_with("RUNNER_FAILED stopped outside of Rowcall"),
        "{first}"
    );
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn an_end_that_was_removed_before_anybody_looked_is_lost() {
    let case = Containers::new().await;
    let (runner, mut ends) = case.subject.runner();
    let mut attempt = case.attempt(": ; exit 0");
    attempt.external_id = Some(runner.launch(&attempt, &[]).await.unwrap().external_id);
    heard(&mut ends).await;
    docker(&["rm", "--force", &attempt.launch_key]);
    let (next, mut ends) = case.subject.runner();
    let end = asked(&next, &mut ends, &attempt).await;
    assert_eq!(end.how, How::Lost, "{end:?}");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn an_end_is_announced_before_anybody_asks() {
    let case = Containers::new().await;
    let (runner, mut ends) = case.subject.runner();
    let attempt = case.attempt(&format!(": {}; exit 3", case.subject.place().display()));
    runner.launch(&attempt, &[]).await.unwrap();
    let (id, end) = heard(&mut ends).await;
    assert_eq!((id, end.exit_code), (attempt.id, Some(3)));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_paused_container_still_runs() {
    let case = Containers::new().await;
    let (runner, _ends) = case.subject.runner();
    let attempt = case.attempt(&format!(": {}; sleep 1000", case.subject.place().display()));
    runner.launch(&attempt, &[]).await.unwrap();
    docker(&["pause", &attempt.launch_key]);
    assert_eq!(observed(&runner, &attempt).await, Observation::Running);
    docker(&["unpause", &attempt.launch_key]);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn printed_secrets_are_masked() {
    let case = Containers::new().await;
    let script = "echo $ROWCALL_TOKEN; echo at $ROWCALL_DATABASE_URL; p=${ROWCALL_DATABASE_URL%@*}; echo ${p##*:}; \
                  echo key $API_KEY; echo token=$ROWCALL_TOKEN; exit 1";
    // The key comes from where a check of the edit does not look for one.
    let more = r#", '{"API_KEY": "{{ values.word }}"}', '{"word": "0123456789abcdef"}'"#;
    let told = case.run(script, &[], (", environment, \"values\"", more)).await;
    assert_eq!(told.output, "[masked]\nat [masked]\n[masked]\nkey [masked]\ntoken=[masked]\n");
    let message: String = case.db.one("select attributes->>'message' from rowcall.files").await;
    assert_eq!(message, "exit code 1: token=[masked]");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn limits_and_places_are_the_settings() {
    let case = Containers::new().await;
    let (runner, mut ends) = case.subject.runner();
    let place = case.subject.place().display().to_string();
    let attempt = with(
        case.attempt(&format!(
            ": {place}; pwd; echo $0 $1; hostname -i; cat /etc/hosts; echo $(cat /proc/1/comm)"
        )),
        |request| {
            request.settings = serde_json::json!({
                "cpu": 512, "memory": "64", "pids_limit": 50, "working_dir": "/bin", "pull": "never", "init": false,
                "network": "bridge", "extra_hosts": ["database.example:10.1.2.3"], "stop_timeout": 7,
                "mounts": [{"source": "/tmp", "target": "/tmp", "read_only": true}]
            });
        },
    );
    runner.launch(&attempt, &[]).await.unwrap();
    let (_, end) = heard(&mut ends).await;
    let output = end.output.unwrap();
    assert!(output.starts_with("/bin\n") && output.contains("10.1.2.3\tdatabase.example"), "{output}");
    assert!(output.ends_with("\nsh\n"), "process 1 is the program itself: {output}");
    let limits = "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} \
                  {{.HostConfig.Privileged}} {{.HostConfig.RestartPolicy.Name}} {{.Config.StopTimeout}} {{(index .Mounts 0).RW}}";
    assert_eq!(super::inspect(&attempt, limits), "500000000 67108864 67108864 50 false no 7 false");
}
