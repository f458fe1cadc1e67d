//! Files in and out: `rowcall-task exec --input-dir … --output-dir …`.

mod locally;
mod mounts_on_docker;
mod paths;
mod refused;
mod s3_on_ministack;
mod s3_scripted;
mod stopping;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::support::{Launched, Running, TestDatabase, rowcall_task};

/// An attempt whose row names files, and directories for its program.
struct Attempt {
    db: TestDatabase,
    launched: Launched,
    place: tempfile::TempDir,
    _running: Running,
}

impl Attempt {
    /// For a row with these attributes; `DATA` in them is a directory with the files `a.nc`, `b.txt`, and `sub/c.nc`.
    async fn new(attributes: Value) -> Self {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in [("data/a.nc", "aa"), ("data/b.txt", "b"), ("data/sub/c.nc", "ccc")] {
            write(&place.path().join(name), text);
        }
        let data = place.path().join("data");
        let attributes = attributes.to_string().replace("DATA", data.to_str().unwrap());
        let db = TestDatabase::new().await;
        db.task("task", "REGISTERED", ("", "")).await;
        let mut running = Running::start(&db).await;
        db.run(&format!("insert into rowcall.files (attributes) values ('{attributes}')")).await;
        let launched = running.launch().await;
        db.until("select launched_at is not null from rowcall.attempts").await;
        Self { db, launched, place, _running: running }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// All files below a directory of this attempt, with their content.
    fn tree(&self, name: &str) -> Vec<(String, String)> {
        tree(&self.path(name))
    }

    fn command(&self, options: &[&str], script: &str) -> Command {
        let options: Vec<String> =
            options.iter().map(|o| o.replace("PLACE", self.place.path().to_str().unwrap())).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut command = rowcall_task(&self.launched.token, &self.db.url, &options, &["sh", "-euc", script]);
        command.current_dir(self.place.path());
        command
    }

    fn spawn(&self, options: &[&str], script: &str) -> Child {
        self.command(options, script).spawn().unwrap()
    }

    async fn run(&self, options: &[&str], script: &str) -> Output {
        self.command(options, script).output().await.unwrap()
    }

    /// What the database heard: report, retry, message.
    async fn report(&self) -> String {
        self.db.one("select concat_ws(' ', report, 'retry ' || retry, message) from rowcall.attempts").await
    }

    async fn result(&self) -> Value {
        self.db.one("select coalesce(result, 'null') from rowcall.attempts").await
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// All files below a directory; directories that are empty end in a slash.
fn tree(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = tree(&entry.path());
            if below.is_empty() {
                found.push((format!("{name}/"), String::new()));
            }
            found.extend(below.into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            found.push((name, text));
        }
    }
    found.sort();
    found
}

/// As `tree` tells it.
fn files(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// An entry of the list, by `sha256sum`'s word.
fn entry(name: &str, content: &str, url: &str) -> Value {
    let script = format!("printf '%s' '{content}' | sha256sum | cut -d ' ' -f 1");
    let sum = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    json!({"name": name, "bytes": content.len(), "sha256": text(&sum.stdout).trim(), "url": url})
}
