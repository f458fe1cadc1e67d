//! What is refused, before the program starts or before anything is stored, and in which words.

use serde_json::{Value, json};

use super::{Attempt, files, text, write};

/// Runs a program that must not start, and expects this report.
async fn not_started(attempt: &Attempt, options: &[&str], report: &str) {
    let done = attempt.run(options, "echo started").await;
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""), "{}", text(&done.stderr));
    let told = attempt.report().await;
    assert!(told.starts_with("failed ") && told.contains(report), "{told}");
    assert!(text(&done.stderr).contains(report), "{}", text(&done.stderr));
}

#[tokio::test]
async fn wrong_options_are_told_before_the_attempt_begins() {
    let attempt = Attempt::new(json!({})).await;
    for (options, words) in [
        (&["--input-dir", "in", "--input-pattern", "("][..], "--input-pattern"),
        (&["--input-pattern", "x"], "--input-dir"),
        (&["--output-to", "s3://b/x"], "--output-dir"),
        (&["--output-dir", "out", "--output-to", "b/x"], "s3://bucket/prefix/"),
        (
            &["--output-dir", "out", "--output-to", "s3://b/{row.id}"],
            "a placeholder must be {job}, {attempt} or {task}, and is {row.id}",
        ),
        (&["--input-dir", "x", "--output-dir", "x/y"], "apart from each other"),
        (&["--input-dir", "x", "--output-dir", "./x"], "apart from each other"),
        (&["--input-dir", "/"], "the root itself"),
        (&["--input-dir", "in", "--input-from", "attributes.path"], "begins with row"),
    ] {
        let done = attempt.run(options, "echo started").await;
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(64), ""), "{options:?}");
        assert!(text(&done.stderr).contains(words), "{options:?}: {}", text(&done.stderr));
    }
    // The attempt is still to be had.
    assert_eq!(attempt.run(&[], "true").await.status.code(), Some(0));
}

#[tokio::test]
async fn a_row_without_files_is_a_failure_unless_that_is_allowed() {
    let attempt = Attempt::new(json!({"path": "DATA/a.nc"})).await;
    not_started(&attempt, &["--input-dir", "in"], "row does not name a file (s3://bucket/key").await;

    let attempt = Attempt::new(json!({"path": "DATA/a.nc"})).await;
    let options = ["--input-dir", "in", "--input-pattern", "csv$"];
    not_started(&attempt, &options, "row does not name a file that matches csv$").await;

    let attempt = Attempt::new(json!({"path": "DATA/a.nc"})).await;
    let done = attempt.run(&["--input-dir", "in", "--input-optional"], "ls -A in; echo {}").await;
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "{}\n"), "{}", text(&done.stderr));
}

#[tokio::test]
async fn what_cannot_be_fetched_is_named() {
    for (attributes, report) in [
        (json!({"u": "file://DATA/none"}), "data/none cannot be read: No such file"),
        (json!({"u": "file://DATA/sub"}), "data/sub is not a file; a folder is named as file://"),
        (json!({"u": "file:///proc/self/environ"}), "/proc/self/environ is the system's own"),
        (json!({"u": "file:///dev/"}), "/dev/ is the system's own"),
        (
            json!({"u": ["file://DATA/a.nc", "file://DATA/sub/../../data/sub/../a.nc"]}),
            "have the same name a.nc",
        ),
        (json!({"u": "file://DATA/sub/.."}), "the file name \"..\" has a step . or .."),
        (json!({"u": "s3://bucket"}), "row.attributes.u: s3://bucket is a whole bucket"),
        (json!({"u": "file://host/a"}), "row.attributes.u: file://host/a names a file of another machine"),
    ] {
        let attempt = Attempt::new(attributes).await;
        let done = attempt.run(&["--input-dir", "in"], "echo started").await;
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""), "{report}");
        let told = attempt.report().await;
        assert!(told.starts_with("failed retry false ") && told.contains(report), "{told}");
        assert!(!attempt.path("in").exists(), "{report}");
    }
}

#[tokio::test]
async fn nothing_that_is_there_is_replaced() {
    let attempt = Attempt::new(json!({"u": ["file://DATA/b.txt", "file://DATA/a.nc"]})).await;
    write(&attempt.path("in/a.nc"), "mine");
    not_started(&attempt, &["--input-dir", "in"], "in/a.nc is there already").await;
    assert_eq!(attempt.tree("in"), files(&[("a.nc", "mine")]));

    let attempt = Attempt::new(json!({"u": "file://DATA/"})).await;
    std::fs::create_dir_all(attempt.path("elsewhere")).unwrap();
    std::fs::create_dir(attempt.path("in")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", attempt.path("in/sub")).unwrap();
    not_started(&attempt, &["--input-dir", "in"], "in/sub leads out of the input directory").await;
    assert!(attempt.tree("elsewhere").is_empty() && attempt.path("in/sub").is_symlink());

    let attempt = Attempt::new(json!({})).await;
    write(&attempt.path("out/old"), "mine");
    let report = "out is not empty: what is in it would count as made";
    not_started(&attempt, &["--output-dir", "out"], report).await;
    assert_eq!(attempt.tree("out"), files(&[("old", "mine")]));
}

#[tokio::test]
async fn a_store_inside_the_output_directory_is_refused() {
    let attempt = Attempt::new(json!({})).await;
    let options = ["--output-dir", "PLACE/out", "--output-to", "PLACE/out/{job}"];
    not_started(&attempt, &options, "must be apart from each other").await;
}

#[tokio::test]
async fn a_result_without_room_for_the_list_stores_nothing() {
    let many = "i=0; while [ $i -lt 8000 ]; do : > out/$i; i=$((i+1)); done";
    for (script, report) in [
        ("echo '{\"files\": 3}'", "the program's result has a key `files`"),
        ("echo '[1]' > $ROWCALL_RESULT_FILE", "the program's result is not an object"),
        (many, "the result with the list of 8001 files has 1"),
        ("printf x > \"out/$(printf '\\377')\"", "has a name that is not UTF-8 text"),
    ] {
        let attempt = Attempt::new(json!({})).await;
        let options = ["--output-dir", "out", "--output-to", "PLACE/store"];
        let done = attempt.run(&options, &format!("echo > out/x; {script}")).await;
        assert_eq!(done.status.code(), Some(65), "{report}");
        let told = attempt.report().await;
        assert!(told.starts_with("failed retry false ") && told.contains(report), "{told}");
        assert_eq!(attempt.result().await, Value::Null);
        assert!(!attempt.path("store").exists() && !attempt.path("out").exists());
    }
}
