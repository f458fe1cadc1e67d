//! Every file of SQL that takes locks belongs to a class: a new one fails until it is known how it waits. A file that says SKIP LOCKED or NOWAIT is in
//! none of these lists, although it may hold another statement that waits; what is put together as a string is seen by its words only.

use std::collections::BTreeSet;

use crate::support::files_below;

/// Writes what its transaction has locked before by a statement that skips, or what it has made itself.
const HELD: [&str; 9] = [
    "end_attempts.sql",
    "finish_jobs.sql",
    "jobs_block.sql",
    "jobs_defer.sql",
    "jobs_obsolete.sql",
    "jobs_refuse.sql",
    "jobs_set_concurrency_key.sql",
    "settle_retry.sql",
    "start_jobs.sql",
];

/// Waits for one row or one lock, and holds nothing then; or waits for one of ours that no session holds for long.
const ONE: [&str; 18] = [
    "attempts_asked.sql",
    "attempts_unasked.sql",
    "claim_lock.sql",
    "copied_from.sql",
    "dispatcher_seen.sql",
    "dispatcher_stopped.sql",
    "hold_row.sql",
    "install_row_functions.sql",
    "migrations_lock.sql",
    "open_attempt.sql",
    "pause.sql",
    "resume.sql",
    "task_fail.sql",
    "task_progress.sql",
    "task_snooze.sql",
    "task_start.sql",
    "wake_lock_acquire.sql",
    // Parameters and settings of runners: the rows of an edit, which a person makes.
    "restore_parameters.sql",
];

/// Waits while it holds something of a lower rank: in the order of docs/architecture.md, and for less than a second in all.
const IN_ORDER: [&str; 8] = [
    // As its caller's trigger: for 80 ms.
    "ask_again_sql.sql",
    "cancel_job.sql",
    "install_triggers.sql",
    "keep_terms.sql",
    "retry_job.sql",
    "take_notes.sql",
    "unwatch.sql",
    "wanted_rows.sql",
];

/// Runs in a transaction that lets go of all and begins anew when a lock takes long, or while no dispatcher and no task is at work.
const PATIENT: [&str; 7] = [
    "change_row_keys.sql",
    "forget_dropped.sql",
    "forget_source.sql",
    "functions_drop.sql",
    "functions_forget.sql",
    "migration_forget.sql",
    "new_identity.sql",
];

/// Has the words as text, or makes the triggers of our own tables, which `rowcall migrate` does.
const NONE: [&str; 6] = [
    "parameters_changed.sql",
    "parameters_check.sql",
    "parameters_check_loop.sql",
    "parameters_check_settings.sql",
    "runner_defaults_check.sql",
    "settings_error.sql",
];

/// What takes a lock of rows, of a table, or of a name.
const LOCKS: [&str; 10] = [
    "for update",
    "for no key update",
    "lock table",
    "advisory_xact_lock",
    "update rowcall",
    "update %",
    "delete from",
    "on conflict",
    "create trigger",
    "drop trigger",
];

const SKIPS: [&str; 2] = ["skip locked", "nowait"];

#[test]
fn every_statement_that_locks_has_its_class() {
    let classes: BTreeSet<&str> =
        [&HELD[..], &ONE, &IN_ORDER, &PATIENT, &NONE].into_iter().flatten().copied().collect();
    let mut met = BTreeSet::new();
    for folder in ["sql/queries", "sql/functions"] {
        for path in files_below(folder, "sql") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
            let has = |words: &[&str]| words.iter().any(|words| code.iter().any(|line| line.contains(words)));
            if has(&LOCKS) && !has(&SKIPS) {
                assert!(
                    classes.contains(name.as_str()),
                    "{name} takes locks and skips none: how does it wait? Say so in {}",
                    file!()
                );
                met.insert(name);
            }
        }
    }
    let gone: Vec<&&str> = classes.iter().filter(|name| !met.contains(**name)).collect();
    assert!(gone.is_empty(), "these take no locks: {gone:?}");
}
