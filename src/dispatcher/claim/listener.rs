//! Hears wake-ups. What it hears carries nothing: the claimer looks for itself.
//!
//! LISTEN can die in silence (a proxy that swallows it, a half-open connection), so it is proven end to end:
//! a notification to ourselves, sent over another connection, must arrive. While that works polling may be
//! rare; while it does not, polling is frequent.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::database::{DatabaseError, Notifications, Subscription, notify};
use crate::dispatcher::pace::{Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};

/// Edits of parameters, and pauses and cancels of operators: what is claimed and not launched may not be wanted any more. The second is
/// no channel of a status, which has single underscores.
const UNWANTED: [&str; 2] = ["rowcall_parameters", "rowcall__stop"];

/// Anything else that dispatchers should look at.
const CONTROL: &str = "rowcall_control";

/// A dispatcher has ended in good order and left attempts that run. One that was idle would look for them once a minute.
pub const LEFT: &str = "rowcall__left";

/// How long a notification to ourselves may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Listens, and connects again whenever that ends.
pub async fn run(shared: Handle) {
    if !shared.database.can_listen() {
        tracing::warn!(
            poll_interval_without_listen =
                shared.settings.dispatcher.poll_interval_without_listen.as_secs_f64(),
            "a pooler shares sessions among connections, so no notification comes, and jobs are found by looking; set \
             database.listen_url to an address past it, or dispatcher.listen = false"
        );
        return;
    }
    let mut trouble = Trouble::new("listening");
    loop {
        let ended = tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            ended = listen(&shared, &mut trouble) => ended,
        };
        shared.signals.listening.store(false, Ordering::Relaxed);
        // What was missed meanwhile is found by looking.
        shared.signals.wake.notify_one();
        let wait = match ended {
            Ok(reason) => trouble.wait(&reason),
            Err(error) => trouble.wait(&error),
        };
        tokio::select! {
            () = shared.lifecycle.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Listens until the connection ends or a probe fails; says which.
async fn listen(shared: &Shared, trouble: &mut Trouble) -> Result<&'static str, DatabaseError> {
    let given_up = shared.database.given_up();
    tokio::pin!(given_up);
    let (mut subscription, notifications) = Subscription::open(&shared.database).await?;
    let probe = format!("rowcall_probe_{}", shared.identity.id);
    let mut known = channels(shared, &probe);
    shared.database.within(PROBE_LIMIT, subscription.listen(&known)).await?;
    loop {
        if !probe_arrives(shared, &notifications, &probe).await? {
            return Ok("a notification to ourselves did not arrive (a transaction pooler?)");
        }
        trouble.over();
        if !shared.signals.listening.swap(true, Ordering::Relaxed) {
            // Listening now: this look finds all jobs that were committed before. What else was said is not known.
            shared.signals.wake.notify_one();
            shared.signals.stock_unwanted.notify_one();
        }
        let probe_again = tokio::time::sleep(jittered(shared.settings.dispatcher.probe_interval));
        tokio::pin!(probe_again);
        loop {
            let heard = tokio::select! {
                () = &mut probe_again => break,
                () = &mut given_up => return Ok("connections to the database hang"),
                heard = notifications.next() => heard,
                () = shared.parameters.changed() => Some(BTreeSet::new()),
            };
            let Some(heard) = heard else { return Ok("the connection ended") };
            let wanted = channels(shared, &probe);
            if wanted != known {
                shared.database.within(PROBE_LIMIT, subscription.listen(&wanted)).await?;
                known = wanted;
            }
            if heard.iter().any(|channel| *channel != probe) || heard.is_empty() {
                shared.signals.wake.notify_one();
            }
            pass_on(shared, &heard);
        }
    }
}

/// What was claimed ahead goes back if one of these says so, and what was left is adopted.
fn pass_on(shared: &Shared, heard: &BTreeSet<String>) {
    if heard.contains(LEFT) {
        shared.signals.attempts_open.notify_one();
    }
    if heard.iter().any(|channel| UNWANTED.contains(&channel.as_str())) {
        shared.signals.stock_unwanted.notify_one();
    }
}

/// Where the triggers of all tasks announce their jobs.
fn channels(shared: &Shared, probe: &str) -> BTreeSet<String> {
    let tasks = shared.parameters.tasks();
    let statuses = tasks.iter().map(|task| task.channel.clone());
    let others = UNWANTED.into_iter().chain([CONTROL, LEFT, probe]).map(str::to_owned);
    statuses.chain(others).collect()
}

/// Sends ourselves a notification over another connection and waits for it.
async fn probe_arrives(
    shared: &Shared,
    notifications: &Notifications,
    probe: &str,
) -> Result<bool, DatabaseError> {
    let sending = async { notify(&shared.database.get().await?, probe).await };
    shared.database.within(PROBE_LIMIT, sending).await?;
    let arrives = async {
        while let Some(heard) = notifications.next().await {
            if heard.iter().any(|channel| channel != probe) {
                shared.signals.wake.notify_one();
            }
            pass_on(shared, &heard);
            if heard.contains(probe) {
                return true;
            }
        }
        false
    };
    Ok(tokio::time::timeout(PROBE_LIMIT, arrives).await.unwrap_or(false))
}
