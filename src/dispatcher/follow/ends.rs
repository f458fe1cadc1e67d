//! Hears ends as they come, and passes them on to the settler.
//!
//! The settler takes them a batch at a time, and a batch takes as long as its statements. What an end means at once does not wait for
//! that: its runner has room again, and its launch need not be written down by itself.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use crate::dispatcher::shared::Handle;
use crate::job::{AttemptId, End, How};

/// Passes ends on until the channel closes or everything stops.
pub async fn run(
    shared: Handle,
    mut heard: mpsc::UnboundedReceiver<(AttemptId, End)>,
    to_settler: mpsc::UnboundedSender<(AttemptId, End)>,
) {
    let limit = shared.settings.dispatcher.batch;
    let mut ends = Vec::new();
    loop {
        tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            n = heard.recv_many(&mut ends, limit) => if n == 0 { return },
        }
        for (id, end) in ends.drain(..) {
            if let Some((runner, task, had_slot)) = shared.in_flight.ended(id)
                && shared.runners.get(runner).is_some_and(|r| r.capabilities().stock > 0)
                && !matches!(end.how, How::NotStarted { .. })
            {
                let tasks = shared.parameters.tasks();
                shared.short_tasks.note(&task, had_slot, |name| tasks.iter().any(|task| task.name == name));
            }
            // The settler is gone when everything stops.
            let _ = to_settler.send((id, end));
        }
        if shared.signals.room_wanted.load(Ordering::Relaxed) {
            // There is room for others now, also if the rows of these are held for long.
            shared.signals.wake.notify_one();
        }
    }
}
