//! Images that come from a registry, and from one that wants to know who asks.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use rowcall::job::{AttemptId, End};
use rowcall::runners::docker::DockerRunner;
use rowcall::runners::{Attempt, LaunchError, Runner};
use serde_json::json;
use tokio::sync::mpsc;

use super::registry::Registry;
use super::{Containers, docker, with};
use crate::conformance::docker::image;
use crate::conformance::{Subject as _, asked};

/// A runner whose user has this in its docker settings.
fn runner(case: &Containers, config: &str) -> (Arc<dyn Runner>, mpsc::UnboundedReceiver<(AttemptId, End)>) {
    let directory = case.subject.place().join("docker");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.json"), config).unwrap();
    let environment = BTreeMap::from([
        ("DOCKER_CONFIG".to_owned(), directory.to_str().unwrap().to_owned()),
        ("PATH".to_owned(), case.subject.place().to_str().unwrap().to_owned()),
    ]);
    let mut settings = case.subject.settings("postgresql://nowhere").runners.docker;
    settings.images.push("*".to_owned());
    let (ends, ended) = mpsc::unbounded_channel();
    (Arc::new(DockerRunner::with_environment(&settings, ends, &environment).unwrap()), ended)
}

/// An attempt with an image of this registry; `place` is for the tidying.
fn attempt(case: &Containers, registry: &Registry, pull: &str) -> Attempt {
    with(case.attempt(""), |request| {
        request.target = registry.image();
        request.settings = json!({"pull": pull, "network": "none"});
        request.command = vec!["-c".to_owned(), format!(": {}; exit 8", case.subject.place().display())];
    })
}

fn login(registry: &Registry, password: &str) -> String {
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("me:{password}"));
    json!({"auths": { registry.host(): {"auth": auth} }}).to_string()
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_missing_image_is_pulled_once() {
    let (case, registry) = (Containers::new().await, Registry::start(None).await);
    let (runner, mut ends) = runner(&case, "{}");
    let attempts: Vec<Attempt> = (0..4).map(|_| attempt(&case, &registry, "missing")).collect();
    futures_util::future::join_all(attempts.iter().map(|attempt| runner.keep_pace(attempt))).await;
    for attempt in &attempts {
        runner.launch(attempt, &[]).await.unwrap();
        assert_eq!(asked(&runner, &mut ends, attempt).await.exit_code, Some(8));
    }
    assert_eq!(registry.fetched(), 2);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn always_asks_the_registry_each_time_and_never_does_not() {
    let (case, registry) = (Containers::new().await, Registry::start(None).await);
    let (runner, mut ends) = runner(&case, "{}");
    let mut before = 0;
    for _ in 0..2 {
        let attempt = attempt(&case, &registry, "always");
        runner.keep_pace(&attempt).await;
        runner.launch(&attempt, &[]).await.unwrap();
        assert_eq!(asked(&runner, &mut ends, &attempt).await.exit_code, Some(8));
        assert!(registry.asked() > before);
        before = registry.asked();
    }
    let attempt = attempt(&case, &registry, "never");
    runner.launch(&attempt, &[]).await.unwrap();
    assert_eq!(asked(&runner, &mut ends, &attempt).await.exit_code, Some(8));
    assert_eq!(registry.asked(), before);
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_registry_is_shown_what_docker_login_has_left() {
    // In base64 this is different in the alphabet that engines read.
    let password = "p~~?>>~?secret";
    let (case, registry) = (Containers::new().await, Registry::start(Some(password)).await);
    let (runner, mut ends) = runner(&case, &login(&registry, password));
    let attempt = attempt(&case, &registry, "missing");
    assert_eq!(runner.probe(&attempt.request).await.as_deref(), Ok("the image can be pulled"));
    runner.launch(&attempt, &[]).await.unwrap();
    assert_eq!(asked(&runner, &mut ends, &attempt).await.exit_code, Some(8));
    let found = runner.probe(&attempt.request).await.unwrap();
    assert!(found.starts_with("the image is on the engine"), "{found}");
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_launch_in_doubt_pulls_in_turn_and_only_if_it_is_not_there() {
    let (case, registry) = (Containers::new().await, Registry::start(None).await);
    let (runner, mut ends) = runner(&case, "{}");
    let in_doubt = || Attempt { in_doubt: true, ..attempt(&case, &registry, "always") };
    let there = in_doubt();
    let labels = [format!("rowcall.key={}", there.launch_key), format!("rowcall.job={}", there.job_id)];
    let labels = ["--label", &labels[0], "--label", &labels[1], "--label", "rowcall.instance=rowcall-test"];
    let script = format!(": {}; exit 8", case.subject.place().display());
    let program = [&image(), "sh", "-c", &script];
    docker(&[&["create", "--network", "none", "--name", &there.launch_key], &labels[..], &program].concat());
    runner.keep_pace(&there).await;
    runner.launch(&there, &[]).await.unwrap();
    assert_eq!(asked(&runner, &mut ends, &there).await.exit_code, Some(8));
    assert_eq!(registry.fetched(), 0);

    let gone = in_doubt();
    let waits = runner.launch(&gone, &[]).await.unwrap_err();
    assert!(matches!(waits, LaunchError::Busy(_)), "{waits:?}");
    assert_eq!(registry.fetched(), 0);
    runner.keep_pace(&gone).await;
    assert_eq!(registry.fetched(), 2);
    runner.launch(&gone, &[]).await.unwrap();
    assert_eq!(asked(&runner, &mut ends, &gone).await.exit_code, Some(8));
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_credential_helper_is_asked() {
    let (case, registry) = (Containers::new().await, Registry::start(Some("from-the-helper")).await);
    let config = json!({"credHelpers": { registry.host(): helper(case.subject.place(), &registry.host()) }});
    let (runner, _ends) = runner(&case, &config.to_string());
    let attempt = attempt(&case, &registry, "missing");
    runner.launch(&attempt, &[]).await.unwrap();
}

/// A helper in the runner's PATH that knows this host; its name.
fn helper(place: &Path, host: &str) -> String {
    let file = place.join("docker-credential-test");
    let script = format!(
        "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {host}' ] || exit 1\n\
         echo '{{\"ServerURL\": \"{host}\", \"Username\": \"me\", \"Secret\": \"from-the-helper\"}}'\n"
    );
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    "test".to_owned()
}

#[tokio::test]
#[ignore = "needs Docker: ./dev test"]
async fn a_registrys_no_is_final_and_its_silence_is_not() {
    let (case, registry) = (Containers::new().await, Registry::start(Some("right")).await);
    let (runner, _ends) = runner(&case, &login(&registry, "wrong-password"));
    let refusal = async |attempt: &Attempt| match runner.launch(attempt, &[]).await.unwrap_err() {
        LaunchError::Refused { reason, retryable, .. } => (reason, retryable),
        other => panic!("{other:?}"),
    };
    let (reason, retryable) = refusal(&attempt(&case, &registry, "missing")).await;
    assert!(reason.contains(&registry.image()) && !reason.contains("wrong-password"), "{reason}");
    assert!(!retryable, "{reason}");

    registry.break_down(true);
    let (reason, retryable) = refusal(&attempt(&case, &registry, "missing")).await;
    assert!(retryable, "{reason}");

    registry.break_down(false);
    let open = Registry::start(None).await;
    let unknown =
        with(attempt(&case, &open, "missing"), |request| request.target = format!("{}/none:1", open.host()));
    let (reason, retryable) = refusal(&unknown).await;
    assert!(!retryable && reason.contains("/none"), "{reason}");
    assert!(runner.probe(&unknown.request).await.unwrap_err().contains("/none:1"));
    assert_eq!(docker(&["images", "--quiet", &open.image()]), "");
}
