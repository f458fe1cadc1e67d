//! The demo's task in a container. A URL with a password does not go into overrides, so it comes as a secret.

use super::Told;
use super::ecs_on_ministack::{Ecs, stop};
use crate::support::TestDatabase;
use crate::support::standins::{Definition, Ministack};

/// Airports in `examples/data/airports.csv`.
const AIRPORTS: i64 = 3376;

async fn run(command: &[&str], attributes: &str) -> (Told, TestDatabase) {
    let ministack = Ministack::shared().await;
    let ecs = Ecs::with_database(ministack, async |db| {
        Definition::loader().secret("ROWCALL_DATABASE_URL", &ministack.secret(&db.url).await)
    })
    .await;
    ecs.parameters(command, (", completion", ", 'report'")).await;
    let dispatcher = ecs.dispatcher().await;
    ecs.db.run(&format!("insert into rowcall.files (attributes) values ('{attributes}')")).await;
    let told = Told::of(&ecs.db).await;
    ecs.nothing_is_left(&told).await;
    stop(dispatcher).await;
    (told, ecs.db)
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_program_that_speaks_sql_loads_its_file_and_reports() {
    let (told, db) = run(&["file_loader"], r#"{"path": "/data/airports.csv"}"#).await;
    assert_eq!((told.job.0.as_str(), told.job.1, told.row.0.as_str()), ("SUCCEEDED", 1, "PROCESSED"));
    assert_eq!(told.result["record_count"], AIRPORTS, "{told:#?}");
    assert_eq!(db.one::<i64>("select count(*) from public.airports").await, AIRPORTS);
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_program_that_speaks_sql_reports_its_failure() {
    let (told, _db) = run(&["file_loader"], r#"{"path": "/data/nowhere.csv"}"#).await;
    assert_eq!((told.job.0.as_str(), told.job.1, told.row.0.as_str()), ("TASK_FAILED", 2, "ERROR"));
    assert!(told.row.2.starts_with("cannot open /data/nowhere.csv: No such file"), "{told:#?}");
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_program_that_knows_nothing_reports_through_rowcall_task() {
    let script = r#"awk 'NR > 1 { n++ } END { printf "{\"airports\": %d}\n", n }' "$1""#;
    let command = ["rowcall-task", "exec", "--", "sh", "-c", script, "sh", "{{ row.attributes.path }}"];
    let (told, _db) = run(&command, r#"{"path": "/data/airports.csv"}"#).await;
    assert_eq!((told.job.0.as_str(), told.job.1, told.row.0.as_str()), ("SUCCEEDED", 1, "PROCESSED"));
    assert_eq!(told.result, serde_json::json!({ "airports": AIRPORTS }));
    let failing = ["rowcall-task", "exec", "--no-retry", "5", "--", "sh", "-c", "echo broken header; exit 5"];
    let (told, _db) = run(&failing, "{}").await;
    assert_eq!((told.job.0.as_str(), told.job.1, told.row.0.as_str()), ("TASK_FAILED", 1, "ERROR"));
    assert_eq!(told.row.2, "exit code 5: broken header");
}
