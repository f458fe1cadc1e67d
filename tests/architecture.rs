//! docs/architecture.md and CONTRIBUTING.md are kept true: the diagram is that of the program, and what they name exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rowcall::job::{TRANSITIONS, state_diagram};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// What a page says between a line that begins a part and the next line that ends one.
fn part<'a>(page: &'a str, begin: &str) -> (&'a str, &'a str, &'a str) {
    let (before, rest) = page.split_once(begin).unwrap();
    let (part, after) = rest.split_once("<!-- end -->\n").unwrap();
    (before, part, after)
}

/// Every file with this extension below a directory, and its text.
fn texts_below(directory: &Path, extension: &str, texts: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            texts_below(&path, extension, texts);
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = std::fs::read_to_string(&path).unwrap();
            texts.push((path, text));
        }
    }
}

/// The names of all functions of the tests and of the program.
fn functions() -> BTreeSet<String> {
    let mut texts = Vec::new();
    for directory in ["src", "tests"] {
        texts_below(&Path::new(ROOT).join(directory), "rs", &mut texts);
    }
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    texts.iter().flat_map(|(_, text)| text.split("fn ").skip(1).map(name).collect::<Vec<_>>()).collect()
}

/// What a text has between single backticks, or between the fences of a block.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `ROWCALL_WRITE_DOCS=1 cargo test` writes the diagram anew.
#[test]
fn the_state_diagram_is_printed_from_the_program() {
    let begin = "<!-- printed by src/job/states.rs: begin -->\n";
    let page = page("docs/architecture.md");
    let (before, _, after) = part(&page, begin);
    let current = format!("{before}{begin}\n```mermaid\n{}```\n\n<!-- end -->\n{after}", state_diagram());
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(Path::new(ROOT).join("docs/architecture.md"), &current).unwrap();
    }
    assert!(
        page == current,
        "docs/architecture.md is not current: ROWCALL_WRITE_DOCS=1 cargo test writes it"
    );
}

#[test]
fn every_change_of_state_has_its_statement() {
    for way in TRANSITIONS {
        assert!(Path::new(ROOT).join("sql").join(way.statement).is_file(), "{way:?}");
    }
}

#[test]
fn every_statement_that_changes_a_state_is_a_way() {
    let sql = Path::new(ROOT).join("sql");
    let mut texts = Vec::new();
    texts_below(&sql, "sql", &mut texts);
    // By release_blocked(); and the text for a row that asks anew, which is in others.
    let indirect = [
        "functions/checks/parameters_changed.sql",
        "queries/dispatchers/dispatcher_register.sql",
        "queries/jobs/release_all.sql",
        "queries/jobs/release_owned.sql",
        "functions/trigger/ask_again_sql.sql",
    ];
    let mut changing: BTreeSet<String> = indirect.map(str::to_owned).into();
    for (file, text) in texts {
        let sets_state = text.split("update rowcall_internal.jobs").skip(1).any(|rest| {
            let columns = rest.split([';']).next().unwrap_or_default();
            let columns = columns.split('\n').map(|line| line.split("--").next().unwrap_or_default());
            let columns = columns.collect::<Vec<_>>().join(" ");
            let end = [" from ", " where "].iter().filter_map(|word| columns.find(word)).min();
            columns[..end.unwrap_or(columns.len())].contains("state =")
        });
        let others = ["insert into rowcall_internal.jobs", "delete from rowcall_internal.jobs"];
        if sets_state || others.iter().any(|statement| text.contains(statement)) {
            changing.insert(file.strip_prefix(&sql).unwrap().display().to_string());
        }
    }
    let known: BTreeSet<String> = TRANSITIONS.iter().map(|way| way.statement.to_owned()).collect();
    assert_eq!(changing, known);
}

#[test]
fn every_promise_has_tests_that_exist() {
    let page = page("docs/architecture.md");
    let (_, table, _) = part(&page, "<!-- read by tests/architecture.rs: begin -->\n");
    let known = functions();
    let mut promises = 0;
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| # |")) {
        // A line ends in " |", so that its last cell is the last but one of the split.
        let cell = line.rsplit('|').nth(1).unwrap();
        let tests: Vec<&str> = quoted(cell).collect();
        assert!(!tests.is_empty(), "no test is named for: {line}");
        for test in tests {
            assert!(known.contains(test), "no test is named {test}, of: {line}");
        }
        promises += 1;
    }
    assert_eq!(promises, 17);
}

#[test]
fn files_named_in_the_guides_exist() {
    for guide in ["docs/architecture.md", "CONTRIBUTING.md"] {
        let text = page(guide);
        let path = |word: &&str| {
            let below = ["src/", "sql/", "tests/", "docs/", "config/", "benches/", "deploy/", "examples/"];
            below.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '\n', '*', '<', '{'])
        };
        // NAME is what the reader puts there.
        let gone: Vec<&str> = quoted(&text)
            .filter(path)
            .filter(|word| !word.contains("NAME") && !Path::new(ROOT).join(word).exists())
            .collect();
        assert_eq!(gone, Vec::<&str>::new(), "{guide}");
    }
}
