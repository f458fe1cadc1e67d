//! `rowcall migrate` dies once at each of its steps, up and down: there is all of it or nothing, and the next one does the rest.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use futures_util::{StreamExt as _, stream};

use super::places;
use crate::support::{TestDatabase, rowcall};

/// At the same time.
const AT_ONCE: usize = 4;

const UP: [&str; 1] = ["migrate"];
const DOWN: [&str; 4] = ["migrate", "--down-to", "0", "--force"];

/// What there is, in words that are the same for each database.
async fn objects(db: &TestDatabase) -> String {
    if db.one::<bool>("select to_regnamespace('rowcall') is null").await {
        return String::new();
    }
    db.one(include_str!("../schema/objects.sql")).await
}

async fn run(db: &TestDatabase, arguments: &[&str], wish: &[(&str, &Path)], place: &str) -> ExitStatus {
    let mut command = rowcall(&db.url, wish[0].1.parent().unwrap());
    command.args(arguments).envs(wish.iter().copied());
    if !place.is_empty() {
        command.env("CRASH_AT", place);
    }
    command.output().await.unwrap().status
}

/// The places on the way.
async fn noted(db: &TestDatabase, arguments: &[&str]) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("places");
    assert!(run(db, arguments, &[("CRASH_LOG", &log)], "").await.success());
    std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

/// It dies at a place, and then goes all the way.
async fn dying_at(place: &str, db: TestDatabase, arguments: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let once = directory.path().join("once");
    let (before, whole) = (objects(&db).await, objects(&TestDatabase::new().await).await);
    let ended = run(&db, arguments, &[("CRASH_ONCE", &once)], place).await;
    assert_eq!(ended.signal(), Some(9), "it did not die {place}");
    let after = objects(&db).await;
    let done = if arguments == UP { &whole } else { "" };
    assert!(after == before || after == *done, "half of it is there after a death {place}");
    assert!(
        run(&db, arguments, &[("CRASH_ONCE", &once)], "").await.success(),
        "not done after a death {place}"
    );
    assert!(objects(&db).await == *done, "not the same after a death {place}");
}

#[tokio::test]
#[ignore = "needs the machine for itself: ./dev test"]
async fn a_death_at_any_step_of_migrate_leaves_all_or_nothing() {
    let (up, down) =
        (noted(&TestDatabase::empty().await, &UP).await, noted(&TestDatabase::new().await, &DOWN).await);
    let visited: BTreeSet<String> = up.union(&down).cloned().collect();
    let missing: Vec<String> = places::of_migrate().difference(&visited).cloned().collect();
    assert!(missing.is_empty(), "migrate comes to none of these: {missing:#?}");
    let ways = up.iter().map(|place| (place, true)).chain(down.iter().map(|place| (place, false)));
    stream::iter(ways)
        .for_each_concurrent(AT_ONCE, |(place, is_up)| async move {
            if is_up {
                dying_at(place, TestDatabase::empty().await, &UP).await;
            } else {
                dying_at(place, TestDatabase::new().await, &DOWN).await;
            }
        })
        .await;
}
