//! "ECS Task State Change" events from an SQS queue: a hint to look at a task now. They come late, twice, in any
//! order or not at all, so nothing is decided by them.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::EcsRunner;
use crate::aws::fault::fault;

/// SQS's longest poll, in seconds.
const LONG_POLL: i32 = 20;

/// Messages a call may bring; SQS's limit.
const MESSAGES: i32 = 10;

/// Between two tries while the queue cannot be read.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
struct Event {
    detail: Detail,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    task_arn: String,
    #[serde(default)]
    version: i64,
}

/// Takes hints until told to stop.
pub async fn listen(runner: &EcsRunner, stopping: &CancellationToken) {
    let mut broken = false;
    loop {
        let received = tokio::select! {
            () = stopping.cancelled() => return,
            received = receive(runner) => received,
        };
        match received {
            Ok(()) => broken = false,
            Err(reason) => {
                if !broken {
                    tracing::warn!(
                        reason,
                        "runners.ecs.event_queue cannot be read; tasks are followed by asking only"
                    );
                }
                broken = true;
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(PAUSE.mul_f64(rand::random_range(0.75..1.25))) => {}
                }
            }
        }
    }
}

async fn receive(runner: &EcsRunner) -> Result<(), String> {
    let url = &runner.settings.event_queue;
    let config = runner.aws.config(None).await?;
    // Longer than the poll, whatever a call may take otherwise.
    let limits =
        TimeoutConfig::builder().operation_timeout(2 * Duration::from_secs(LONG_POLL as u64)).build();
    let sqs = aws_sdk_sqs::Client::new(&config.into_builder().timeout_config(limits).build());
    let received = sqs
        .receive_message()
        .queue_url(url)
        .wait_time_seconds(LONG_POLL)
        .max_number_of_messages(MESSAGES)
        .send()
        .await
        .map_err(|e| fault(&e).to_string())?;
    for message in received.messages() {
        // No reader of this queue needs a message that is not such an event.
        if let Ok(event) = serde_json::from_str::<Event>(message.body().unwrap_or_default()) {
            runner.follow.hint(&event.detail.task_arn, event.detail.version);
        }
        if let Some(handle) = message.receipt_handle() {
            // Told again, it would be ignored.
            let _ = sqs.delete_message().queue_url(url).receipt_handle(handle).send().await;
        }
    }
    Ok(())
}
