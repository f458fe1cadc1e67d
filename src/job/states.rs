//! The ways of a job from state to state, as data: docs/architecture.md shows the diagram that is printed from them. The
//! changes themselves are made by statements; a new one gets its line here.

use super::JobState;

/// One way from a state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state it leaves; none for a job that was not there.
    pub from: Option<JobState>,
    /// The state it enters; none for a job that is settled.
    pub to: Option<JobState>,
    /// What happens to the job.
    pub when: &'static str,
    /// What makes the change: a folder or file of `src/dispatcher/`, the trigger of a source table, or a person's call.
    pub by: &'static str,
    /// The file below `sql/` that has the statement.
    pub statement: &'static str,
}

const PENDING: Option<JobState> = Some(JobState::Pending);
const WAITING: Option<JobState> = Some(JobState::Waiting);
const BLOCKED: Option<JobState> = Some(JobState::Blocked);
const RUNNING: Option<JobState> = Some(JobState::Running);

const UNWATCHED: &str = "CANCELLED, its table is not watched any more";
const REKEYED: &str = "one with the job of its row's new key";
const COPIED: &str = "the database is a copy";

/// All of them, in the order in which a job meets them.
pub const TRANSITIONS: &[Transition] = &[
    way(None, PENDING, "its row comes in on_status", "trigger", "functions/trigger/on_insert_body.sql"),
    way(None, PENDING, "its row enters on_status", "trigger", "functions/trigger/enqueue_sql.sql"),
    way(None, PENDING, "run or retry", "a person", "functions/queue/request_job.sql"),
    way(None, PENDING, "rescan", "a person", "functions/api/operate/rescan.sql"),
    way(PENDING, RUNNING, "claimed", "claim", "functions/queue/start_jobs.sql"),
    way(PENDING, WAITING, "another session or owner has its row", "claim", "queries/jobs/jobs_defer.sql"),
    way(PENDING, BLOCKED, "it cannot start as things are", "claim", "queries/jobs/jobs_block.sql"),
    way(
        PENDING,
        WAITING,
        "its dispatcher refuses it, another may not",
        "claim",
        "queries/jobs/jobs_refuse.sql",
    ),
    way(PENDING, BLOCKED, "every dispatcher refuses it", "claim", "queries/jobs/jobs_refuse.sql"),
    way(PENDING, BLOCKED, "no dispatcher offers its runner", "keep", "queries/jobs/block_unowned.sql"),
    way(PENDING, None, "OBSOLETE, its row moved on", "claim", "queries/jobs/jobs_obsolete.sql"),
    way(WAITING, PENDING, "its time has come", "claim", "queries/jobs/promote_waiting.sql"),
    way(WAITING, PENDING, "its row asks anew", "trigger", "functions/trigger/ask_again_sql.sql"),
    way(WAITING, PENDING, "retry", "a person", "functions/queue/retry_job.sql"),
    way(BLOCKED, PENDING, "its row is written", "trigger", "functions/trigger/on_update_body.sql"),
    way(BLOCKED, PENDING, "parameters edited", "a person", "functions/checks/parameters_changed.sql"),
    way(
        BLOCKED,
        PENDING,
        "retry or release_blocked",
        "a person",
        "functions/api/operate/release_blocked.sql",
    ),
    way(
        BLOCKED,
        PENDING,
        "its table is watched again",
        "a person",
        "functions/api/sources/register_source.sql",
    ),
    way(BLOCKED, PENDING, "a dispatcher starts", "start", "queries/dispatchers/dispatcher_register.sql"),
    way(BLOCKED, PENDING, "a dispatcher is back", "keep", "queries/jobs/release_all.sql"),
    way(BLOCKED, PENDING, "an edit had missed it", "keep", "queries/jobs/release_owned.sql"),
    way(RUNNING, WAITING, "tried again, or snoozed", "settle", "queries/settling/settle_retry.sql"),
    way(
        RUNNING,
        PENDING,
        "given back before its launch",
        "launch",
        "queries/attempts/attempts_give_back.sql",
    ),
    way(RUNNING, PENDING, "over, and its row asked again", "settle", "functions/queue/finish_jobs.sql"),
    way(RUNNING, None, "over", "settle", "functions/queue/finish_jobs.sql"),
    way(PENDING, None, "CANCELLED", "a person", "functions/queue/cancel_job.sql"),
    way(WAITING, None, "CANCELLED", "a person", "functions/queue/cancel_job.sql"),
    way(BLOCKED, None, "CANCELLED", "a person", "functions/queue/cancel_job.sql"),
    way(PENDING, None, UNWATCHED, "a person", "functions/api/sources/forget_source.sql"),
    way(WAITING, None, UNWATCHED, "a person", "functions/api/sources/forget_source.sql"),
    way(BLOCKED, None, UNWATCHED, "a person", "functions/api/sources/forget_source.sql"),
    way(PENDING, None, REKEYED, "a person", "functions/keys/change_row_keys.sql"),
    way(WAITING, None, REKEYED, "a person", "functions/keys/change_row_keys.sql"),
    way(BLOCKED, None, REKEYED, "a person", "functions/keys/change_row_keys.sql"),
    way(PENDING, None, COPIED, "a person", "functions/api/operate/new_identity.sql"),
    way(WAITING, None, COPIED, "a person", "functions/api/operate/new_identity.sql"),
    way(BLOCKED, None, COPIED, "a person", "functions/api/operate/new_identity.sql"),
    way(RUNNING, None, COPIED, "a person", "functions/api/operate/new_identity.sql"),
];

const fn way(
    from: Option<JobState>,
    to: Option<JobState>,
    when: &'static str,
    by: &'static str,
    statement: &'static str,
) -> Transition {
    Transition { from, to, when, by, statement }
}

/// The diagram of all ways, as Mermaid reads it: one arrow for all ways between the same two states.
#[must_use]
pub fn state_diagram() -> String {
    let state = |state: Option<JobState>| state.map_or("[*]", JobState::as_str);
    let mut arrows: Vec<(String, Vec<String>)> = Vec::new();
    for way in TRANSITIONS {
        let arrow = format!("{} --> {}", state(way.from), state(way.to));
        let label = format!("{} ({})", way.when, way.by);
        match arrows.iter_mut().find(|(known, _)| *known == arrow) {
            Some((_, labels)) => labels.push(label),
            None => arrows.push((arrow, vec![label])),
        }
    }
    let mut diagram = "stateDiagram-v2\n".to_owned();
    for (arrow, labels) in arrows {
        diagram.extend(["    ", arrow.as_str(), ": ", labels.join("<br/>").as_str(), "\n"]);
    }
    diagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_entered_and_left() {
        for state in JobState::ALL {
            let state = Some(*state);
            assert!(TRANSITIONS.iter().any(|way| way.to == state && way.from != state), "{state:?}");
            assert!(TRANSITIONS.iter().any(|way| way.from == state && way.to != state), "{state:?}");
        }
    }
}
