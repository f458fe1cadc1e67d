//! The last lines a container has printed.

use std::pin::pin;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt as _;

use super::container::environment;
use super::engine::Engine;
use crate::output::{Tail, secrets_among};

/// A log that does not come must not hold up the end of a task.
const PATIENCE: Duration = Duration::from_secs(30);

/// The end of a container's output, up to `limit` bytes, without the secrets that its environment gave it. None if it
/// printed nothing, or if it cannot be read; the reason is then in our own log.
pub async fn tail(engine: &Engine, container: &ContainerInspectResponse, limit: usize) -> Option<String> {
    let id = container.id.as_deref()?;
    let secrets: Vec<String> = secrets_among(environment(container));
    let mut tail = Tail::new(limit);
    // No line is shorter than a byte, so this many lines are enough. Bytes before them are not counted as dropped.
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&limit.to_string()).build();
    let reading = async {
        let docker = engine.client().map_err(|fault| fault.message)?;
        let mut pieces = pin!(docker.logs(id, Some(options)));
        while let Some(piece) = pieces.next().await {
            tail.push(&piece.map_err(|error| super::fault::Fault::from(error).message)?.into_bytes());
        }
        Ok::<_, String>(())
    };
    let read = tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap_or_else(|_| Err("it does not come to its end".to_owned()));
    if let Err(reason) = read {
        tracing::info!(container = id, reason, "the log of a container cannot be read to its end");
    }
    Some(tail.masked(&secrets)).filter(|text| !text.is_empty())
}
