//! Follows what runs: asks each runner about ends that it did not announce.

use std::sync::Arc;

use crate::crash::around;
use crate::database::{DatabaseError, mark_begun};
use crate::dispatcher::pace::again_and_again;
use crate::dispatcher::shared::{Handle, Shared};
use crate::runners::{Observation, Runner};

/// Looks at what one runner runs, again and again. A loop for each runner: one that answers slowly does not hold up the
/// others.
pub async fn run(shared: Handle, runner: Arc<dyn Runner>) {
    let interval = shared.settings.dispatcher.watch_interval;
    again_and_again(&shared.lifecycle.stopping, "watching", interval, || sweep(&shared, runner.as_ref()))
        .await;
}

async fn sweep(shared: &Shared, runner: &dyn Runner) -> Result<(), DatabaseError> {
    let (attempts, begun) = shared.in_flight.launched_on(runner.name());
    if attempts.is_empty() {
        return Ok(());
    }
    let observations = around("observe", runner.observe(&attempts)).await;
    shared.in_flight.observed(attempts.iter().map(|attempt| attempt.id));
    let mut beginning = Vec::new();
    for ((attempt, begun), observation) in attempts.iter().zip(begun).zip(observations) {
        match observation {
            Observation::Starting(stage) => shared.in_flight.at_stage(attempt.id, Some(stage)),
            Observation::Running if !begun => beginning.push(attempt.id),
            Observation::Running => {}
            Observation::Ended(end) => {
                let _ = shared.signals.ends.send((attempt.id, end));
            }
            Observation::Unknown(reason) => {
                shared.in_flight.at_stage(attempt.id, None);
                tracing::debug!(attempt = attempt.id.get(), reason, "cannot be observed now");
            }
        }
    }
    if !beginning.is_empty() {
        let marking = async { mark_begun(&shared.database.get().await?, &beginning).await };
        for id in shared.within(marking).await? {
            shared.in_flight.begun(id);
        }
    }
    Ok(())
}
