//! The places that there must be, as the source has them: a new one without a visit fails.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::files_below;

/// What the story does not come to, and why: statements, calls of runners, and functions that commit.
const EXEMPT: [(&str, &str); 18] = [
    ("attempts_asked.sql", "only where a launch cannot be repeated: Lambda"),
    ("attempts_unasked.sql", "only where a launch cannot be repeated: Lambda"),
    ("attempts_launched_late.sql", "only where an end comes before its launch is written down"),
    ("attempts_begun.sql", "a process has begun when it is launched"),
    ("attempts_give_back.sql", "only where a full runner has claimed ahead"),
    ("settled_elsewhere.sql", "only where a full runner has claimed ahead, or a launch comes late"),
    ("can_change.sql", "only where the server says that one of its limits is met"),
    ("claim_few_counted.sql", "the last part of claim_few.sql"),
    ("claim_plan.sql", "the last part of claim.sql"),
    ("claimed_jobs.sql", "a part of each claim"),
    ("claimed_rows.sql", "a part of each claim"),
    ("dispatchers_are_known.sql", "`rowcall migrate` asks"),
    ("dispatchers_running.sql", "`rowcall migrate` asks"),
    ("release_all.sql", "only after a dispatcher was frozen for longer than its lease"),
    ("find", "only where the answer to a launch was lost"),
    ("functions_drop.sql", "a part of the step that applies functions"),
    ("lock_holders.sql", "only where other sessions hold locks"),
    ("set_aside", "only where a trigger of users fails at the commit of a claim"),
];

/// The folders of sql/queries whose statements the daemon and the tasks run.
const FOLDERS: [&str; 9] =
    ["attempts", "claims", "dispatchers", "jobs", "reporter", "schema", "settling", "source_rows", "tasks"];

/// What changes a file.
const WRITES: [&str; 8] = [
    "write_all_at(",
    "write_rest(",
    "write_first_line(",
    "set_len(",
    "remove_file(",
    "remove_dir_all(",
    "fs::write(",
    "rename(",
];

/// Functions that write between two places of their callers, one that removes what has been of no use for a day; and what only S3 and a copy
/// that has failed bring.
const OF_OTHERS: [&str; 7] =
    ["write_first_line", "write_short", "of", "sweep", "fetch", "begin_again", "store"];

/// Where files of attempts are written: by the supervisor, and by `rowcall-task`.
const WRITERS: [&str; 2] = ["src/runners/process", "src/task"];

/// The strings in quotes after each of these beginnings.
fn quoted<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split('"').next())
}

/// All of them.
pub fn wanted() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wanted = BTreeSet::new();
    let mut both = |what: &str| {
        if !is_exempt(what) {
            wanted.extend(["before", "after"].map(|when| format!("{when} {what}")));
        }
    };
    for folder in FOLDERS {
        for path in files_below(&format!("sql/queries/{folder}"), "sql") {
            let name = path.file_name().unwrap().to_str().unwrap();
            both(name);
        }
    }
    for path in files_below("src", "rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if name.starts_with("src/dispatcher/") {
            let mut function = "";
            for (line, text) in text.lines().enumerate() {
                if let Some((_, rest)) = text.split_once("fn ") {
                    function = rest.split(['(', '<']).next().unwrap();
                }
                let commits = text.contains(".commit()") || text.contains(".commit_after_users()");
                if commits && !is_exempt(function) {
                    both(&format!("commit at {name}:{}", line + 1));
                }
            }
            quoted(&text, "around(\"").for_each(&mut both);
        }
    }
    for path in WRITERS.into_iter().flat_map(|folder| files_below(folder, "rs")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let program = text.split("#[cfg(test)]").next().unwrap();
        for function in program.split("fn ").skip(1) {
            let name = function.split('(').next().unwrap();
            let writes = WRITES.iter().any(|write| function.contains(write));
            assert!(
                !writes || function.contains("at(\"before\"") || OF_OTHERS.contains(&name),
                "{name} writes without a place"
            );
        }
        for when in ["before", "after"] {
            let begin = format!("at(\"{when}\", \"");
            wanted.extend(quoted(&text, &begin).map(|what| format!("{when} {what}")));
        }
    }
    wanted
}

/// The steps of `rowcall migrate`, up and down.
pub fn of_migrate() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::fs::read_to_string(root.join("src/database/migrations.rs")).unwrap();
    let names: BTreeSet<String> = files_below("sql/queries/migrations", "sql")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .chain(quoted(&program, "around(\"").map(str::to_owned))
        .filter(|name| !is_exempt(name))
        .collect();
    names.iter().flat_map(|name| ["before", "after"].map(|when| format!("{when} {name}"))).collect()
}

/// Whether the story need not come to it.
pub fn is_exempt(what: &str) -> bool {
    EXEMPT.iter().any(|(exempt, _)| *exempt == what)
}
