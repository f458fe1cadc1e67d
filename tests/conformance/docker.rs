//! The suite's subject on Docker: scripts in real containers that see a directory of this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rowcall::dispatcher::{Dispatcher, Mode};
use rowcall::job::{AttemptId, End, RunnerName};
use rowcall::runners::docker::DockerRunner;
use rowcall::runners::{Attempt, Ends, Runner, Runners};
use rowcall::settings::Settings;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Subject;
use crate::support::settings;

pub struct Docker {
    place: tempfile::TempDir,
    /// Of runners that no dispatcher listens for.
    listening: CancellationToken,
}

impl Drop for Docker {
    /// Nobody forgets what a runner without a dispatcher has launched.
    fn drop(&mut self) {
        self.listening.cancel();
        let all = ["ps", "--all", "--no-trunc", "--filter", "label=rowcall.instance=rowcall-test"];
        let listed = docker(&[&all[..], &["--format", "{{.ID}} {{.Command}}"]].concat());
        let place = self.place.path().to_str().unwrap();
        for line in listed.lines().filter(|line| line.contains(place)) {
            docker(&["rm", "--force", "--volumes", line.split(' ').next().unwrap()]);
        }
    }
}

/// What docker says to a command; nothing if it fails.
pub fn docker(arguments: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The containers of an attempt.
pub fn containers(attempt: &Attempt) -> String {
    docker(&["ps", "--all", "--quiet", "--filter", &format!("label=rowcall.key={}", attempt.launch_key)])
}

/// Set by `./dev test`: busybox, and nothing else.
pub fn image() -> String {
    std::env::var("ROWCALL_TEST_IMAGE").expect("./dev test sets it")
}

impl Subject for Docker {
    const NAME: RunnerName = RunnerName::Docker;
    const DEFAULTS: &'static str =
        r#"{"mounts": [{"source": "/tmp", "target": "/tmp"}], "network": "none", "pull": "never"}"#;
    /// The engine reads them from two pipes.
    const ONE_STREAM: bool = false;

    async fn new() -> Self {
        Self { place: tempfile::tempdir_in("/tmp").unwrap(), listening: CancellationToken::new() }
    }

    fn place(&self) -> &Path {
        self.place.path()
    }

    fn script(&self, script: &str, arguments: &[&str]) -> (String, Vec<String>) {
        let command = ["/bin/sh", "-c", script, "sh"];
        (image(), command.iter().chain(arguments).map(ToString::to_string).collect())
    }

    fn forbidden(&self) -> Vec<(String, &'static str)> {
        let rule = "runners.docker.images";
        vec![("other:1".to_owned(), rule), ("rowcall-test.example/busybox:1".to_owned(), rule)]
    }

    fn settings(&self, url: &str) -> Settings {
        let mut settings = settings(url);
        let docker = &mut settings.runners.docker;
        docker.enabled = true;
        docker.images = vec!["rowcall-test-*".to_owned()];
        docker.mounts = vec!["/tmp".to_owned()];
        docker.networks = ["host", "no-such-network"].map(str::to_owned).to_vec();
        docker.stop_grace = Duration::from_millis(300);
        docker.output_limit = 10_000;
        settings
    }

    async fn dispatcher(&self, settings: Settings) -> Dispatcher {
        let make = |settings: &Settings, ends: &Ends| {
            Ok(Runners::default().with(Arc::new(runner(settings, ends.clone()))))
        };
        Dispatcher::start(settings, Mode::Serve, make).await.unwrap()
    }

    fn runner(&self) -> (Arc<dyn Runner>, mpsc::UnboundedReceiver<(AttemptId, End)>) {
        let (ends, ended) = mpsc::unbounded_channel();
        let runner = Arc::new(runner(&self.settings("postgresql://nowhere"), ends));
        let (background, listening) = (Arc::clone(&runner), self.listening.clone());
        tokio::spawn(async move { background.background(listening).await });
        (runner, ended)
    }

    fn remembers(&self, attempt: &Attempt) -> bool {
        !containers(attempt).is_empty()
    }
}

pub fn runner(settings: &Settings, ends: Ends) -> DockerRunner {
    DockerRunner::new(&settings.runners.docker, ends).unwrap()
}
