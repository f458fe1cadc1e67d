//! The project's own files, for tests that read them.

use std::path::{Path, PathBuf};

/// Every file with this extension below a directory of the project, such as `sql/queries`.
pub fn files_below(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), extension, &mut found);
    found
}

fn add(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            add(&path, extension, found);
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
}
