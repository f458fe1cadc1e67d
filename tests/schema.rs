//! A fresh schema as text: what a change of the tables or functions does to the database is a diff of one file.

use crate::support::TestDatabase;

/// `ROWCALL_WRITE_DOCS=1 cargo test` writes the file anew.
#[tokio::test]
async fn fresh_schema_is_the_golden_one() {
    let db = TestDatabase::new().await;
    let found: String = db.one(include_str!("schema/objects.sql")).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/golden.txt");
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let golden: Vec<_> = golden.lines().collect();
    let found: Vec<_> = found.lines().collect();
    let gone: Vec<_> = golden.iter().filter(|line| !found.contains(line)).collect();
    let new: Vec<_> = found.iter().filter(|line| !golden.contains(line)).collect();
    assert!(
        golden == found,
        "tests/schema/golden.txt is not current: ROWCALL_WRITE_DOCS=1 cargo test writes it\ngone: {gone:#?}\nnew: {new:#?}"
    );
}
