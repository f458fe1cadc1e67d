//! Files of directories: what comes, what goes, what stays.

use serde_json::json;

use super::{Attempt, entry, files, text, tree, write};

const IN_AND_OUT: [&str; 6] =
    ["--input-dir", "PLACE/in", "--output-dir", "PLACE/out", "--output-to", "PLACE/store/{task}-{job}"];

/// Tells on standard error what is in the input directory, and makes two files from it.
const PROGRAM: &str = r#"cd "$ROWCALL_INPUT_DIR"; find . -type f | sort | tr '\n' ' ' >&2
    cd "$ROWCALL_OUTPUT_DIR"; printf made > x; mkdir -p deep; cat "$ROWCALL_INPUT_DIR/a.nc" > "deep/y z""#;

#[tokio::test]
async fn what_the_row_names_comes_and_what_the_program_makes_goes() {
    let attempt = Attempt::new(
        json!({"u": "file://DATA/a.nc", "parts": [{"u": "file://DATA/b.txt"}, "file://DATA/a.nc"]}),
    )
    .await;
    let done = attempt.run(&IN_AND_OUT, &format!("{PROGRAM}; echo '{{\"n\": 1}}'")).await;
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), "./a.nc ./b.txt "));
    assert_eq!(attempt.tree("store/task-1"), files(&[("deep/y z", "aa"), ("x", "made")]));
    let store = attempt.path("store/task-1");
    let url = |name: &str| format!("file://{}/{name}", store.display());
    let list = json!([entry("deep/y z", "aa", &url("deep/y%20z")), entry("x", "made", &url("x"))]);
    assert_eq!(attempt.result().await, json!({"n": 1, "files": list}));
    let row: String =
        attempt.db.one("select attributes->'result'->'files'->1->>'name' from rowcall.files").await;
    assert_eq!(row, "x");
    // Nothing stays behind, and the row's own files are where they were.
    assert!(!attempt.path("in").exists() && !attempt.path("out").exists());
    assert_eq!(attempt.tree("data").len(), 3);
}

#[tokio::test]
async fn a_pattern_chooses_and_makes_plain_paths_count() {
    let attempt = Attempt::new(
        json!({"a": "DATA/a.nc", "b": "DATA/b.txt", "all": "file://DATA/sub/", "site": "/api.nc/v1"}),
    )
    .await;
    let options = ["--input-dir", "PLACE/in", "--input-pattern", r"/data/.*\.nc$"];
    let done = attempt.run(&options, r#"cd "$ROWCALL_INPUT_DIR"; echo *"#).await;
    assert_eq!((text(&done.stdout), text(&done.stderr)), ("a.nc c.nc\n", ""));
    assert_eq!(attempt.report().await, "succeeded");
}

#[tokio::test]
async fn a_folder_comes_with_the_folders_in_it() {
    let attempt = Attempt::new(json!({"all": "file://DATA/"})).await;
    std::os::unix::fs::symlink("/etc", attempt.path("data/link")).unwrap();
    let done = attempt.run(&["--input-dir", "in"], r"cd in; find . -type f | sort | tr '\n' ' '").await;
    assert_eq!(text(&done.stdout), "./a.nc ./b.txt ./sub/c.nc ", "{}", text(&done.stderr));
    assert!(!attempt.path("in").exists());
}

#[tokio::test]
async fn only_places_that_were_chosen_are_looked_at() {
    let attempt = Attempt::new(json!({"u": "file://DATA/a.nc", "mask": ["file://DATA/b.txt", 1]})).await;
    let done = attempt.run(&["--input-dir", "in", "--input-from", "row.attributes.mask"], "echo in/*").await;
    assert_eq!(text(&done.stdout), "in/b.txt\n", "{}", text(&done.stderr));
}

#[tokio::test]
async fn an_earlier_result_in_the_row_is_no_input() {
    let result = json!({"files": [{"name": "a.nc", "url": "file://DATA/a.nc"}]});
    let attempt = Attempt::new(json!({"u": "file://DATA/b.txt", "result": result})).await;
    let done = attempt.run(&["--input-dir", "in"], "echo in/*").await;
    assert_eq!(text(&done.stdout), "in/b.txt\n", "{}", text(&done.stderr));
}

#[tokio::test]
async fn without_a_place_to_store_them_files_stay_and_are_listed() {
    let attempt = Attempt::new(json!({})).await;
    let done = attempt.run(&["--output-dir", "out"], "printf 1 > out/x; ln -s x out/link").await;
    assert_eq!(done.status.code(), Some(0));
    assert!(
        text(&done.stderr).contains("out/link is a link or no file, and left out"),
        "{}",
        text(&done.stderr)
    );
    let url = format!("file://{}", attempt.path("out/x").display());
    assert_eq!(attempt.result().await, json!({"files": [entry("x", "1", &url)]}));
    assert!(attempt.path("out/x").exists() && attempt.path("out/link").exists());
}

#[tokio::test]
async fn a_later_try_replaces_what_an_earlier_one_has_stored() {
    let attempt = Attempt::new(json!({})).await;
    write(&attempt.path("store/x"), "of an earlier try");
    write(&attempt.path("store/other"), "of somebody else");
    let done =
        attempt.run(&["--output-dir", "out", "--output-to", "PLACE/store"], "printf new > out/x").await;
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), ""));
    assert_eq!(attempt.tree("store"), files(&[("other", "of somebody else"), ("x", "new")]));
}

#[tokio::test]
async fn a_program_that_fails_stores_nothing() {
    let attempt = Attempt::new(json!({"u": "file://DATA/a.nc"})).await;
    let done = attempt.run(&IN_AND_OUT, &format!("{PROGRAM}; exit 3")).await;
    assert_eq!(done.status.code(), Some(3));
    assert!(attempt.report().await.starts_with("failed retry true exit code 3"));
    // The next try finds its directories as this one did.
    assert!(!attempt.path("store").exists() && !attempt.path("in").exists() && !attempt.path("out").exists());
}

#[tokio::test]
async fn what_was_in_the_directories_before_stays() {
    let attempt = Attempt::new(json!({"u": "file://DATA/a.nc"})).await;
    write(&attempt.path("in/mine"), "mine");
    std::fs::create_dir(attempt.path("out")).unwrap();
    let done = attempt.run(&IN_AND_OUT, &format!("{PROGRAM}; echo > ../in/scratch")).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(attempt.tree("in"), files(&[("mine", "mine"), ("scratch", "\n")]));
    assert!(attempt.path("out").exists() && tree(&attempt.path("out")).is_empty());
}

#[tokio::test]
async fn options_may_come_from_the_environment_that_parameters_set() {
    let attempt = Attempt::new(json!({"u": "DATA/a.nc"})).await;
    let set = r#"update rowcall.parameters set environment = '{"ROWCALL_INPUT_PATTERN": "nc$", "ROWCALL_OUTPUT_TO": "/x"}'"#;
    attempt.db.run(set).await;
    let mut command = attempt.command(&["--input-dir", "in", "--output-dir", "out"], "cp in/* out");
    command.env("ROWCALL_INPUT_PATTERN", "nc$").env("ROWCALL_OUTPUT_TO", attempt.path("store/{attempt}"));
    let done = command.output().await.unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(attempt.tree("store"), files(&[("1/a.nc", "aa")]));
}
