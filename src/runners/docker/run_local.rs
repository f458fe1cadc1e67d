//! A task's image with directories of this machine, the way its developer tests it: no database, no token, no guard
//! rails.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{LogsOptionsBuilder, StopContainerOptionsBuilder};
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::credentials::Logins;
use super::engine::{Endpoint, Engine};
use super::fault::Fault;
use super::image_name::check_target;
use super::pull::Images;
use super::settings::Pull;
use crate::contract::{LOCAL_INPUT, LOCAL_OUTPUT};

/// Of one call to the engine.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// A pull without progress.
const PULL_PATIENCE: Duration = Duration::from_mins(5);

/// From SIGTERM to SIGKILL, in seconds, as in `runners.docker.stop_grace`.
const STOP_GRACE: i32 = 10;

/// From the end of the program's log to its own.
const LAST_WAIT: Duration = Duration::from_mins(1);

/// Of whom was told twice to stop: what shells say of Ctrl-C.
const KILLED: i32 = 130;

/// What to run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The image.
    pub image: String,
    /// What the program reads.
    pub input: PathBuf,
    /// What the program writes.
    pub output: PathBuf,
    /// Where it finds the first.
    pub input_in_container: String,
    /// Where it finds the second.
    pub output_in_container: String,
    /// Arguments; without any, the image's own.
    pub command: Vec<String>,
    /// Variables.
    pub environment: Vec<(String, String)>,
    /// User in the container; by default the caller's, and for `image` the image's own.
    pub user: Option<String>,
    /// Network, if not the engine's default.
    pub network: Option<String>,
    /// `missing`, `always` or `never`.
    pub pull: String,
}

/// Runs it, with what it prints on our standard error; its exit code. Told to stop, it ends the program first; told to
/// kill, it waits for nothing, and the code is 130. No container stays behind.
pub async fn run(
    run: &Run,
    environment: &BTreeMap<String, String>,
    stop: &CancellationToken,
    kill: &CancellationToken,
) -> anyhow::Result<i32> {
    check_target(&run.image).map_err(anyhow::Error::msg)?;
    let endpoint = Endpoint::find("", environment).map_err(anyhow::Error::msg)?;
    if !endpoint.is_local() {
        bail!("the engine {} is elsewhere, and does not see the directories of this machine", endpoint.url);
    }
    let engine = Engine::new(endpoint, CALL_TIMEOUT);
    let images = Images::new(Logins::of(environment), PULL_PATIENCE);
    let info = engine.call("asking the engine", |docker| async move { docker.info().await }).await;
    let info = info.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let is_rootless = info.security_options.iter().flatten().any(|option| option.contains("rootless"));
    let body = body(run, is_rootless)?;
    let pull = Pull::of_word(&run.pull);
    tokio::select! {
        () = stop.cancelled() => bail!("stopped before it began"),
        there = images.ensure(&engine, &run.image, pull) => there?,
    }
    let create = |docker: bollard::Docker| async move { docker.create_container(None, body).await };
    let created = engine.call("creating a container", create).await;
    let id = created.map_err(|fault| anyhow::anyhow!("{fault}"))?.id;
    let ended = tokio::select! {
        ended = follow(&engine, &id, stop) => ended,
        () = kill.cancelled() => Ok(KILLED),
    };
    let removed = engine.remove(&id).await;
    let code = ended?;
    removed.map_err(|fault| anyhow::anyhow!("the container {id} is left: {fault}"))?;
    Ok(code)
}

/// The user of a container whose output must belong to the caller. In the container of an engine without root, root is the
/// caller.
fn user(asked: Option<&str>, (uid, gid): (u32, u32), is_rootless: bool) -> Option<String> {
    match asked {
        Some("image") => None,
        Some(user) => Some(user.to_owned()),
        None if uid == 0 => None,
        None if is_rootless => Some("0:0".to_owned()),
        None => Some(format!("{uid}:{gid}")),
    }
}

fn body(run: &Run, is_rootless: bool) -> anyhow::Result<ContainerCreateBody> {
    let mount = |source: &Path, target: &str, read_only| {
        let source = std::fs::canonicalize(source).with_context(|| source.display().to_string())?;
        if !source.is_dir() {
            bail!("{} is not a directory", source.display());
        }
        if !target.starts_with('/') {
            bail!("{target:?} must be a full path in the container");
        }
        Ok(Mount {
            typ: Some(MountType::BIND),
            source: Some(source.to_string_lossy().into_owned()),
            target: Some(target.to_owned()),
            read_only: Some(read_only),
            ..Mount::default()
        })
    };
    std::fs::create_dir_all(&run.output).with_context(|| run.output.display().to_string())?;
    let own = [(LOCAL_INPUT, &run.input_in_container), (LOCAL_OUTPUT, &run.output_in_container)];
    let own = own.iter().map(|(name, value)| format!("{name}={value}"));
    let given = run.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let host = HostConfig {
        init: Some(true),
        network_mode: run.network.clone(),
        mounts: Some(vec![
            mount(&run.input, &run.input_in_container, true)?,
            mount(&run.output, &run.output_in_container, false)?,
        ]),
        ..HostConfig::default()
    };
    let caller = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    Ok(ContainerCreateBody {
        image: Some(run.image.clone()),
        cmd: Some(run.command.clone()).filter(|command| !command.is_empty()),
        env: Some(given.chain(own).collect()),
        user: user(run.user.as_deref(), caller, is_rootless),
        labels: Some(HashMap::from([("rowcall.local".to_owned(), run.image.clone())])),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    })
}

/// Starts a container, passes on what it prints until it ends, and returns its exit code.
async fn follow(engine: &Engine, id: &str, stop: &CancellationToken) -> anyhow::Result<i32> {
    let start = |docker: bollard::Docker| async move { docker.start_container(id, None).await };
    engine.call("starting the container", start).await.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let docker = engine.client().map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
    // The engine sends the head of its answer with the first line.
    let mut lines = pin!(docker.clone().with_timeout(Duration::from_hours(24 * 365)).logs(id, Some(options)));
    let ending = async {
        while let Some(line) = lines.next().await {
            // The reader may be gone: the program runs on all the same.
            drop(std::io::stderr().write_all(&line.context("following the container")?.into_bytes()));
        }
        // Its log ends a moment before it does; how it ended is told with more words below.
        let _ = tokio::time::timeout(LAST_WAIT, pin!(docker.wait_container(id, None)).next()).await;
        Ok::<_, anyhow::Error>(())
    };
    let mut ending = pin!(ending);
    tokio::select! {
        ended = &mut ending => ended?,
        stopped = stopped(&docker, id, stop) => {
            stopped?;
            ending.await?;
        }
    }
    let container = engine.inspect(id).await.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let state = container
        .and_then(|container| container.state)
        .context("the container was removed before its exit code was read")?;
    if state.running == Some(true) {
        bail!("its log ended before the program did");
    }
    if state.oom_killed == Some(true) {
        // The terminal may be gone.
        let _ = writeln!(std::io::stderr(), "rowcall run-local: out of memory");
    }
    Ok(state.exit_code.unwrap_or_default() as i32)
}

/// Stops a container once that is wanted. One that ends by itself meanwhile is as good.
async fn stopped(docker: &bollard::Docker, id: &str, stop: &CancellationToken) -> anyhow::Result<()> {
    stop.cancelled().await;
    let options = StopContainerOptionsBuilder::new().t(STOP_GRACE).build();
    match docker
        .clone()
        .with_timeout(CALL_TIMEOUT)
        .stop_container(id, Some(options))
        .await
        .map_err(Fault::from)
    {
        Err(fault) if !fault.is_missing() => bail!("the container cannot be stopped, and is killed: {fault}"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_belongs_to_the_caller_unless_asked_otherwise() {
        assert_eq!(user(None, (1000, 100), false).as_deref(), Some("1000:100"));
        assert_eq!(user(None, (1000, 100), true).as_deref(), Some("0:0"));
        assert_eq!(user(None, (0, 0), false), None);
        assert_eq!(user(Some("image"), (1000, 100), false), None);
        assert_eq!(user(Some("7"), (1000, 100), true).as_deref(), Some("7"));
    }
}
