//! The model of launches keeps its promises, and each rule that is left out breaks one.

use super::launching::{KEPT, LONGER, Rules};
use super::{are_there, explored};

/// By which the steps are done that write.
const STATEMENTS: [&str; 8] = [
    "sql/queries/claims/claim.sql",
    "sql/functions/queue/start_jobs.sql",
    "sql/functions/api/tasks/task_start.sql",
    "sql/functions/api/tasks/task_succeed.sql",
    "sql/functions/queue/end_attempts.sql",
    "sql/functions/queue/finish_jobs.sql",
    "sql/queries/dispatchers/dispatcher_seen.sql",
    "sql/queries/attempts/attempts_rescue.sql",
];

#[test]
fn every_order_of_steps_keeps_the_promises() {
    are_there(&STATEMENTS);
    for rules in [KEPT, LONGER] {
        let (states, broken) = explored(rules);
        eprintln!("{states} states");
        assert!(states > 10_000, "{states} states");
        assert!(broken.is_empty(), "{broken:?}");
    }
}

#[test]
fn each_rule_that_is_left_out_breaks_a_promise() {
    let mutants: [(&str, Rules, &str); 8] = [
        ("late launches begin", Rules { late_launch_is_refused: false, ..KEPT }, "one launch per attempt"),
        ("new keys", Rules { key_is_kept: false, ..KEPT }, "one launch per attempt"),
        (
            "all are admitted",
            Rules { one_is_admitted: false, key_is_kept: false, ..KEPT },
            "one executor per attempt",
        ),
        ("no tokens", Rules { token_is_checked: false, ..KEPT }, "no stale write"),
        ("ends are not guarded", Rules { end_is_guarded: false, ..KEPT }, "one launch per attempt"),
        (
            "ends of others are settled",
            Rules { ends_are_the_holders: false, ..KEPT },
            "one launch per attempt",
        ),
        ("statuses are not compared", Rules { status_is_compared: false, ..KEPT }, "no stale write"),
        ("none is adopted", Rules { the_gone_are_replaced: false, ..KEPT }, "no job is stuck"),
    ];
    for (name, mutant, promise) in mutants {
        let (states, broken) = explored(mutant);
        eprintln!("{name}: {states} states, {broken:?}");
        assert!(broken.contains(&promise), "{name} does not break {promise:?}, but {broken:?}");
    }
}
