//! Tidies: partitions of the history, jobs that no dispatcher would ever claim, what dead dispatchers left at runners.

use crate::crash::around;
use crate::database::{
    DatabaseError, attempts_over, block_unowned, end_attempts_without_job, forget_dispatchers, keep_history,
    release_owned,
};
use crate::dispatcher::pace::{IDLE_ROUNDS, Trouble, jittered};
use crate::dispatcher::shared::{Handle, Shared};
use crate::parameters::Task;
use crate::runners::Stray;

/// Tidies at once, then now and then. A step that fails keeps none of the others from being done; they are done one after
/// the other, so that together they take one connection.
pub async fn run(shared: Handle) {
    let mut troubles = [
        "blocking jobs without a dispatcher",
        "releasing jobs that an edit missed",
        "keeping the history",
        "forgetting dispatchers",
        "ending attempts without a job",
        "looking for what was left behind",
    ]
    .map(Trouble::new);
    let tidying = async {
        loop {
            let [blocking, releasing, history, forgetting, ending, strays] = &mut troubles;
            if !shared.signals.is_nothing_open() {
                blocking.note(block(&shared).await);
                releasing.note(release(&shared).await);
                ending.note(without_job(&shared).await);
            }
            history.note(keep(&shared).await);
            forgetting.note(dispatchers(&shared).await);
            strays.note(discard_strays(&shared).await);
            for _ in 0..IDLE_ROUNDS {
                tokio::time::sleep(jittered(shared.settings.dispatcher.janitor_interval)).await;
                if !shared.signals.is_nothing_open() {
                    break;
                }
            }
        }
    };
    tokio::select! {
        () = shared.lifecycle.stopping.cancelled() => {}
        () = tidying => {}
    }
}

async fn block(shared: &Shared) -> Result<(), DatabaseError> {
    let blocking = async { block_unowned(&shared.database.get().await?, shared.identity.id).await };
    let blocked = shared.within(blocking).await?;
    if blocked > 0 {
        tracing::warn!(jobs = blocked, "jobs blocked: no dispatcher would ever claim them");
    }
    Ok(())
}

async fn release(shared: &Shared) -> Result<(), DatabaseError> {
    let releasing = async { release_owned(&shared.database.get().await?).await };
    if shared.within(releasing).await? > 0 {
        // They have been due for long.
        shared.low_water.forget();
        shared.signals.wake.notify_one();
    }
    Ok(())
}

async fn keep(shared: &Shared) -> Result<(), DatabaseError> {
    let keep = shared.settings.history.keep;
    let keeping = async { keep_history(&shared.database.get().await?, keep).await };
    shared.within(keeping).await
}

async fn dispatchers(shared: &Shared) -> Result<(), DatabaseError> {
    let forgetting = async { forget_dispatchers(&shared.database.get().await?).await };
    shared.within(forgetting).await
}

async fn without_job(shared: &Shared) -> Result<(), DatabaseError> {
    let ending = async { end_attempts_without_job(&shared.database.get().await?).await };
    let ended = shared.within(ending).await?;
    if ended > 0 {
        tracing::warn!(attempts = ended, "attempts ended: their jobs are gone");
    }
    Ok(())
}

/// The runners are asked first and the database after: an attempt launched meanwhile is in the database already.
async fn discard_strays(shared: &Shared) -> Result<(), DatabaseError> {
    let (tasks, prefix) = (shared.parameters.tasks(), shared.identity.launch_key_prefix());
    for runner in shared.runners.iter() {
        let tasks: Vec<&Task> = tasks.iter().filter(|task| task.runner == runner.name()).collect();
        let strays = around("strays", runner.strays(&prefix, &tasks)).await;
        if strays.is_empty() {
            continue;
        }
        let named = |stray: &'_ Stray| shared.identity.attempt_of(&stray.launch_key);
        let keys: Vec<_> =
            strays.iter().filter_map(|stray| Some((stray.launch_key.as_str(), named(stray)?))).collect();
        let looking = async { attempts_over(&shared.database.get().await?, &keys).await };
        let over = shared.within(looking).await?;
        for stray in strays.iter().filter(|stray| over.contains(&stray.launch_key)) {
            around("discard", runner.discard(stray)).await;
        }
    }
    Ok(())
}
