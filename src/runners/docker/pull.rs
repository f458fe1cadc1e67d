//! Getting images onto the engine, one pull of an image at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;

use super::credentials::Logins;
use super::engine::Engine;
use super::fault::{Fault, Kind};
use super::image_name::{host_and_rest, repository_and_tag};
use super::settings::Pull;
use crate::job::{AttemptId, Cause};
use crate::runners::LaunchError;

/// Between two lines about the same pull in the log.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

fn no_image(reason: String, retryable: bool) -> LaunchError {
    LaunchError::Refused { reason, retryable, cause: Cause::Image }
}

/// When a pull began, and how it ended.
type Latest = Option<(Instant, Result<(), LaunchError>)>;

/// What is under way, and what has come of it.
#[derive(Debug)]
pub struct Images {
    logins: Logins,
    patience: Duration,
    /// By image; the launch that holds the lock asks the engine and pulls, the others wait and take over the result.
    pulls: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Latest>>>>,
    /// Found for an attempt before its launch was called.
    found: Mutex<HashMap<AttemptId, Result<(), LaunchError>>>,
}

impl Images {
    pub fn new(logins: Logins, patience: Duration) -> Self {
        Self { logins, patience, pulls: Mutex::default(), found: Mutex::default() }
    }

    /// Gets the image of an attempt that waits for its launch; that is told what came of it.
    pub async fn prepare(&self, engine: &Engine, attempt: AttemptId, image: &str, pull: Pull) {
        let found = self.ensure(engine, image, pull).await;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt, found);
    }

    /// What was found for an attempt, or is found now.
    pub async fn of(
        &self,
        engine: &Engine,
        attempt: AttemptId,
        image: &str,
        pull: Pull,
    ) -> Result<(), LaunchError> {
        let found = self.forget(attempt);
        match found {
            Some(found) => found,
            None => self.ensure(engine, image, pull).await,
        }
    }

    /// Whether something was found for an attempt.
    pub fn is_prepared(&self, attempt: AttemptId) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&attempt)
    }

    /// This attempt will not be asked for any more.
    pub fn forget(&self, attempt: AttemptId) -> Option<Result<(), LaunchError>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt)
    }

    /// Asks the engine for an image, and pulls it where `pull` says so.
    pub async fn ensure(&self, engine: &Engine, image: &str, pull: Pull) -> Result<(), LaunchError> {
        let asked = Instant::now();
        let slot = Arc::clone(
            self.pulls.lock().unwrap_or_else(PoisonError::into_inner).entry(image.to_owned()).or_default(),
        );
        let mut latest = slot.lock().await;
        if let Some((began, result)) = &*latest
            && *began >= asked
        {
            return result.clone();
        }
        if pull != Pull::Always && is_there(engine, image).await? {
            return Ok(());
        }
        if pull == Pull::Never {
            let reason = format!("image {image} is not on the engine, and settings.pull is never");
            return Err(no_image(reason, false));
        }
        let began = Instant::now();
        let result = self.pull(engine, image).await;
        *latest = Some((began, result.clone()));
        result
    }

    async fn pull(&self, engine: &Engine, image: &str) -> Result<(), LaunchError> {
        let (host, _) = host_and_rest(image);
        let usual = engine.usual_registry().await.map_err(unstarted)?;
        let credentials = self
            .logins
            .find(host, &usual)
            .await
            .map_err(|e| no_image(format!("image {image} cannot be pulled: {e}"), true))?;
        let docker = engine.client().map_err(unstarted)?;
        let (repository, tag) = repository_and_tag(image);
        let options = CreateImageOptionsBuilder::new().from_image(repository).tag(tag).build();
        tracing::info!(image, with_credentials = credentials.is_some(), "pulling an image");
        let began = Instant::now();
        let mut progress = Progress::default();
        // The first answer comes when the registry has been asked, which may take longer than other calls.
        let docker = docker.with_timeout(self.patience);
        let mut steps = docker.create_image(Some(options), None, credentials);
        loop {
            let step = match tokio::time::timeout(self.patience, steps.next()).await {
                Ok(Some(Ok(step))) => step,
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    let fault = Fault::from(error);
                    if fault.kind == Kind::NotSent {
                        return Err(LaunchError::Away(fault.message));
                    }
                    let retryable = !stays(&fault.message);
                    return Err(no_image(format!("image {image} cannot be pulled: {fault}"), retryable));
                }
                Err(_) => {
                    let limit = humantime::format_duration(self.patience);
                    return Err(no_image(
                        format!("image {image}: the pull showed no progress for {limit}"),
                        true,
                    ));
                }
            };
            progress.add(step);
            if progress.is_due() {
                tracing::info!(image, done = progress.text(), "pulling an image");
            }
        }
        tracing::info!(image, seconds = began.elapsed().as_secs(), "pulled an image");
        Ok(())
    }
}

/// What a question came to by which nothing is started: whatever its answer, it may be asked again.
fn unstarted(fault: Fault) -> LaunchError {
    match fault.kind {
        Kind::NotSent | Kind::Unclear => LaunchError::Away(fault.message),
        Kind::Answer(_) | Kind::Unreadable => LaunchError::Busy(fault.message),
    }
}

async fn is_there(engine: &Engine, image: &str) -> Result<bool, LaunchError> {
    match engine.call("looking for an image", |docker| async move { docker.inspect_image(image).await }).await
    {
        Ok(_) => Ok(true),
        Err(fault) if fault.is_missing() => Ok(false),
        Err(fault) => Err(unstarted(fault)),
    }
}

/// Whether trying again is pointless: the registry was asked, and has answered.
pub fn stays(message: &str) -> bool {
    let message = message.to_lowercase();
    let answers = [
        "not found",
        "manifest unknown",
        "no matching manifest",
        "access denied",
        "denied:",
        "unauthorized",
        "no basic auth credentials",
        "invalid reference",
        "name unknown",
        "does not exist",
    ];
    // A proxy or name server that is away says "not found", too, of something else.
    answers.iter().any(|answer| message.contains(answer))
        && !message.contains("lookup ")
        && !message.contains("dial tcp")
}

/// How far a pull is, from what the engine says of its layers.
#[derive(Default)]
struct Progress {
    layers: HashMap<String, (i64, i64)>,
    told: Option<Instant>,
}

impl Progress {
    fn add(&mut self, step: CreateImageInfo) {
        self.told.get_or_insert_with(Instant::now);
        let Some(layer) = step.id else { return };
        let entry = self.layers.entry(layer).or_default();
        let detail = step.progress_detail.unwrap_or_default();
        match (step.status.as_deref(), detail.current, detail.total) {
            (Some("Downloading"), Some(current), total) => {
                *entry = (current, total.unwrap_or(entry.1).max(current));
            }
            (Some("Download complete" | "Pull complete"), ..) => entry.0 = entry.1,
            _ => {}
        }
    }

    fn is_due(&mut self) -> bool {
        let due = self.told.is_some_and(|at| at.elapsed() >= PROGRESS_EVERY);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }

    fn text(&self) -> String {
        let mib = |bytes: i64| bytes as f64 / f64::from(1 << 20);
        let (current, total) =
            self.layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        format!("{:.1} of {:.1} MiB", mib(current), mib(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ProgressDetail;

    #[test]
    fn what_a_registry_has_answered_stays() {
        for message in [
            "manifest for loader:9 not found: manifest unknown: manifest unknown",
            "pull access denied for loader, repository does not exist or may require 'docker login'",
            "Get https://r.example/v2/: unauthorized: authentication required",
        ] {
            assert!(stays(message), "{message}");
        }
        for message in [
            "Get https://r.example/v2/: dial tcp: lookup r.example: no such host",
            "Get https://r.example/v2/: dial tcp 10.0.0.1:443: connect: connection refused",
            "received unexpected HTTP status: 503 Service Unavailable",
            "toomanyrequests: You have reached your pull rate limit",
        ] {
            assert!(!stays(message), "{message}");
        }
    }

    #[test]
    fn progress_is_the_sum_of_the_layers() {
        let step = |id: &str, status: &str, current, total| CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(ProgressDetail { current, total }),
            ..CreateImageInfo::default()
        };
        let mut progress = Progress::default();
        progress.add(step("a", "Downloading", Some(1 << 20), Some(4 << 20)));
        progress.add(step("b", "Downloading", Some(1 << 19), Some(1 << 20)));
        progress.add(step("b", "Pull complete", None, None));
        assert_eq!(progress.text(), "2.0 of 5.0 MiB");
        assert!(!progress.is_due());
    }
}
