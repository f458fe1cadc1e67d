//! Modules depend in one order, so that a reader can begin at the bottom.

use std::path::Path;

use crate::support::files_below;

/// Each module may use those before it.
const ORDER: [&str; 10] = [
    "crash",
    "settings",
    "job",
    "contract",
    "aws",
    "parameters",
    "database",
    "output",
    "runners",
    "dispatcher",
];

/// Modules that no other uses, and what each may use.
const APART: [(&str, &[&str]); 2] = [
    ("task", &["crash", "settings", "job", "contract", "aws", "parameters", "database", "output"]),
    ("import", &["crash", "settings", "job", "parameters", "database"]),
];

/// The top modules that a text names as `crate::module`.
fn used(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn may_use(module: &str) -> Vec<&'static str> {
    match ORDER.iter().position(|name| *name == module) {
        Some(place) => ORDER[..place].to_vec(),
        None => {
            APART.iter().find(|(name, _)| *name == module).map(|(_, may)| may.to_vec()).unwrap_or_default()
        }
    }
}

#[test]
fn modules_use_only_those_before_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let known: Vec<&str> = ORDER.into_iter().chain(APART.map(|(name, _)| name)).collect();
    let (mut wrong, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for path in files_below("src", "rs") {
        let relative = path.strip_prefix(&root).unwrap();
        let module =
            relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        // The programs may use everything.
        if ["main", "lib", "bin", "commands"].contains(&module) {
            continue;
        }
        assert!(
            known.contains(&module),
            "{module} has no place in the order of tests/modules.rs and src/lib.rs"
        );
        seen.insert(module.to_owned());
        let text = std::fs::read_to_string(&path).unwrap();
        for name in used(&text).filter(|name| known.contains(name) && *name != module) {
            if !may_use(module).contains(&name) {
                wrong.push(format!("{} uses {name}", relative.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(seen.len(), known.len(), "a module of the order is gone: {seen:?}");
}
