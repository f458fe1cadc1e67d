//! Frozen requests outlive the program that wrote them: every version ever written is read, and one that cannot be read
//! ends its attempt in words.

use std::path::Path;

use rowcall::job::End;
use rowcall::parameters::{Frozen, VERSION};
use serde_json::{Value, json};

use crate::support::{Running, TestDatabase};

fn golden_files() -> Vec<(u64, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen");
    let golden = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        let version = name.strip_prefix('v').unwrap().strip_suffix(".json").unwrap().parse().unwrap();
        (version, serde_json::from_slice(&std::fs::read(entry.path()).unwrap()).unwrap())
    };
    std::fs::read_dir(directory).unwrap().map(|entry| golden(entry.unwrap())).collect()
}

#[test]
fn every_version_of_a_frozen_request_is_read() {
    let golden = golden_files();
    assert_eq!(golden.iter().map(|(version, _)| *version).max(), Some(VERSION));
    assert_eq!(golden.len() as u64, VERSION, "one golden file for each version");
    for (version, requests) in golden {
        let requests = requests.as_object().unwrap();
        assert_eq!(requests.len(), 4, "one for each runner");
        for (runner, request) in requests {
            assert_eq!(request["version"], version);
            let frozen = Frozen::read(request).unwrap_or_else(|e| panic!("v{version} {runner}: {e}"));
            assert_eq!(frozen.launch.runner.as_str(), *runner);
        }
    }
}

#[test]
fn a_changed_form_of_a_frozen_request_is_a_new_version() {
    let (_, requests) = golden_files().into_iter().find(|(version, _)| *version == VERSION).unwrap();
    for (runner, request) in requests.as_object().unwrap() {
        let written = serde_json::to_value(Frozen::read(request).unwrap()).unwrap();
        assert_eq!(
            written, *request,
            "{runner}: the form of Frozen has changed. Raise VERSION in src/parameters/frozen.rs, teach Frozen::read the \
             old form, leave tests/frozen/v{VERSION}.json as it is and write the next one beside it"
        );
    }
}

#[test]
fn the_two_parts_of_a_request_make_it_whole() {
    let (_, requests) = golden_files().into_iter().find(|(version, _)| *version == VERSION).unwrap();
    for (runner, request) in requests.as_object().unwrap() {
        let frozen = Frozen::read(request).unwrap();
        for renders_settings in [false, true] {
            let mut whole = frozen.terms(renders_settings);
            Frozen::read(&whole)
                .unwrap_or_else(|e| panic!("{runner}: the settler reads the terms alone: {e}"));
            for (member, value) in frozen
                .rendered(renders_settings)
                .iter()
                .flat_map(|r| r.as_object().unwrap())
                .map(|(m, v)| (m, v.clone()))
            {
                whole["launch"][member] = value;
            }
            assert_eq!(whole, *request, "{runner}");
        }
    }
}

#[test]
fn an_incomplete_frozen_request_names_what_is_missing() {
    let (_, requests) = golden_files().pop().unwrap();
    let whole = &requests["ecs"];
    let members = ["launch", "policy", "write_back"];
    for (part, member) in members
        .iter()
        .flat_map(|part| whole[part].as_object().unwrap().keys().map(move |member| (*part, member.clone())))
    {
        let mut request = whole.clone();
        request[part].as_object_mut().unwrap().remove(&member).unwrap();
        let error = Frozen::read(&request).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(&member), "{part}.{member}: {error}");
    }
    let mut more = whole.clone();
    more["launch"]["colour"] = "blue".into();
    assert!(Frozen::read(&more).unwrap_err().to_string().contains("colour"));
    assert_eq!(Frozen::read(&json!({})).unwrap_err().to_string(), "it has no version");
}

const NEWER: &str = "update rowcall_internal.terms set terms = terms || '{\"version\": 99}'";
const BROKEN: &str = "update rowcall_internal.terms set terms = '{\"version\": 1, \"launch\": {}}'";
const ENDED: &str =
    "select concat_ws(' ', h.outcome, f.status, h.message) from rowcall.history h, rowcall.files f";

/// A row whose attempt runs and is then made unreadable.
async fn running(db: &TestDatabase, unreadable: &str) -> Running {
    db.task("task", "REGISTERED", ("backoff", "'10 milliseconds'")).await;
    let mut running = Running::start(db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
    db.run(unreadable).await;
    running.end(&launched, End::exited(0));
    running
}

#[tokio::test]
async fn the_settler_ends_an_unreadable_attempt_in_words() {
    let db = TestDatabase::new().await;
    let running = running(&db, NEWER).await;
    db.until("exists (select from rowcall.history)").await;
    let words = "its frozen request cannot be read: it has version 99, and this dispatcher reads version 1";
    assert_eq!(db.one::<String>(ENDED).await, format!("LOST ERROR {words}"));
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_row_is_left_alone_where_its_write_back_cannot_be_read() {
    let db = TestDatabase::new().await;
    let running = running(&db, BROKEN).await;
    db.until("exists (select from rowcall.history)").await;
    let ended: String = db.one(ENDED).await;
    assert!(ended.starts_with("LOST PROCESSING its frozen request cannot be read: launch"), "{ended}");
    running.stop().await;
}

#[tokio::test]
async fn the_rescuer_ends_an_unreadable_attempt_in_words() {
    for launched in [true, false] {
        let db = TestDatabase::new().await;
        db.task("task", "REGISTERED", ("backoff", "'10 milliseconds'")).await;
        let mut first = Running::start(&db).await;
        db.run("insert into rowcall.files default values").await;
        first.launch().await;
        db.until("exists (select from rowcall.attempts where launched_at is not null)").await;
        first.dispatcher.abandon();
        db.run(NEWER).await;
        if !launched {
            db.run("update rowcall_internal.attempts set launched_at = null, begun_at = null, external_id = null")
                .await;
        }
        let mut next = Running::start(&db).await;
        db.until("exists (select from rowcall.history)").await;
        let ended: String = db.one(ENDED).await;
        assert!(
            ended.starts_with("LOST ERROR its frozen request cannot be read: it has version 99"),
            "{ended}"
        );
        assert!(!next.launched_more(), "what cannot be read is not launched");
        next.stop().await;
    }
}

#[tokio::test]
async fn requests_keep_once_what_they_have_in_common() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("command, environment", r#"array['{{ row.id }}'], '{"MODE": "fast"}'"#))
        .await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
    for _ in 0..3 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("(select count(*) = 3 from rowcall.history where outcome = 'SUCCEEDED')").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall_internal.terms").await, 1);
    let whole = "select string_agg(concat_ws(' ', request->'launch'->'command', request->'launch'->'environment',
                     request->'launch'->>'target', request->'policy'->>'max_attempts'), ', ' order by id) from rowcall.attempts";
    let of = |row: i32| format!(r#"["{row}"] {{"MODE": "fast"}} fake 3"#);
    assert_eq!(db.one::<String>(whole).await, [1, 2, 3].map(of).join(", "));
    running.stop().await;
}

#[tokio::test]
async fn terms_that_the_server_has_lost_are_written_again() {
    for rows in [1, 40] {
        let db = TestDatabase::new().await;
        db.task("task", "REGISTERED", ("", "")).await;
        let mut running = Running::start(&db).await;
        for round in 0..2 {
            db.run(&format!(
                "insert into rowcall.files (id) select {round} * 100 + g from generate_series(1, {rows}) g"
            ))
            .await;
            for _ in 0..rows {
                let launched = running.launch().await;
                running.end(&launched, End::exited(0));
            }
            let done = (round + 1) * rows;
            db.until(&format!("(select count(*) = {done} from rowcall.history where outcome = 'SUCCEEDED')"))
                .await;
            db.run("delete from rowcall_internal.terms").await;
        }
        running.stop().await;
    }
}
