//! Where this container runs, by the word of its host: on ECS, which task it is.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::contract::variable;

/// Set by the ECS agent and by Fargate (platform 1.4.0 or later), to something like `http://169.254.170.2/v4/…`.
pub const METADATA: &str = "ECS_CONTAINER_METADATA_URI_V4";
/// The endpoint is on this machine and answers within milliseconds; if it does not, nothing waits for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// An answer names all containers of the task with their labels, and is far below this.
const LONGEST: u64 = 1 << 20;

/// The ARN of this container's ECS task. None elsewhere, and where the answer cannot be had or read: a launch
/// whose answer was lost is then found by other means.
pub async fn task_arn() -> Option<String> {
    let url = variable(METADATA)?;
    let answer = tokio::time::timeout(PATIENCE, get(&url)).await.ok()??;
    let answer: Value = serde_json::from_slice(&answer).ok()?;
    answer["TaskARN"].as_str().map(str::to_owned)
}

/// The body of `<url>/task`. In HTTP 1.0, where a body is what comes until the connection ends.
async fn get(url: &str) -> Option<Vec<u8>> {
    let place = url.strip_prefix("http://")?.trim_end_matches('/');
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path}/task HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await.ok()?;
    let end_of_head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(answer.split_off(end_of_head + 4))
}
