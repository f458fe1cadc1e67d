//! An edit of the parameters can be taken back, also a deletion.

use crate::support::{ADMIN, TestDatabase};

async fn edited() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.task(
        "loader",
        "REGISTERED",
        (
            "command, condition, settings, backoff, description",
            r#"'{a,"b c"}', '$.x > 1', '{"memory": 64}', '5 min', 'the first'"#,
        ),
    )
    .await;
    db.run(
        "update rowcall.parameters set command = '{z}', condition = null, settings = '{}', backoff = '1 s', target = 'other',
             description = null, on_status = 'NEW', retry_on = '{LOST}'",
    )
    .await;
    db
}

const ALL: &str = "select to_jsonb(p) - 'version' - 'updated_at' from rowcall.parameters p";

#[tokio::test]
async fn a_task_is_again_what_it_was_after_that_version() {
    let db = edited().await;
    let second: serde_json::Value = db.one(ALL).await;
    let admin = db.connect_as(ADMIN).await;
    let restored = async |version: i32| -> i32 {
        admin.query_one("select rowcall.restore_parameters('loader', $1)", &[&version]).await.unwrap().get(0)
    };
    assert_eq!(restored(1).await, 3);
    let now: serde_json::Value = db.one(ALL).await;
    let first: serde_json::Value = db
        .one("select new - 'version' - 'updated_at' from rowcall.parameters_history where version = 1")
        .await;
    assert_eq!(now, first);
    assert_eq!(now["condition"], r#"($."x" > 1)"#);
    assert_eq!(restored(2).await, 4);
    assert_eq!(db.one::<serde_json::Value>(ALL).await, second);
    // Who did it is in the history like any other edit.
    let by: String = db.one("select changed_by from rowcall.parameters_history where version = 4").await;
    assert_eq!(by, ADMIN);
    db.run("delete from rowcall.parameters").await;
    assert_eq!(restored(1).await, 6);
    assert_eq!(db.one::<serde_json::Value>(ALL).await, first);
}

#[tokio::test]
async fn columns_that_were_not_there_then_get_their_defaults() {
    let db = edited().await;
    db.run(
        "update rowcall.parameters_history set new = new - 'retry_on' - 'max_attempts' where version = 1;
            update rowcall.parameters set max_attempts = 9; select rowcall.restore_parameters('loader', 1)",
    )
    .await;
    let now: String = db.one("select concat(max_attempts, retry_on) from rowcall.parameters").await;
    assert_eq!(now, "3{TASK_FAILED,TIMED_OUT,RUNNER_FAILED,LOST}");
    db.run("delete from rowcall.parameters; select rowcall.restore_parameters('loader', 1)").await;
    let now: String = db.one("select concat(max_attempts, retry_on) from rowcall.parameters").await;
    assert_eq!(now, "3{TASK_FAILED,TIMED_OUT,RUNNER_FAILED,LOST}");
}

#[tokio::test]
async fn an_unrestorable_version_is_refused_naming_restorable_ones() {
    let db = edited().await;
    db.run("delete from rowcall.parameters").await;
    for (call, parts) in [
        (
            "'loader', 9",
            vec!["RC012 loader has no version 9", "There are: 3 (", ", deleted by postgres), 2 (", "1 ("],
        ),
        (
            "'loader', 3",
            vec!["version 3 of loader is its deletion", "rowcall.restore_parameters('loader', 2)"],
        ),
        ("'loadr', 1", vec!["no task was ever named loadr", "Did you mean loader?"]),
        ("'zzz', 1", vec!["no task was ever named zzz"]),
    ] {
        let refused = db.refused(&format!("select rowcall.restore_parameters({call})")).await;
        assert!(parts.iter().all(|part| refused.contains(part)), "{call}: {refused}");
    }
    // A check that was not there then holds now.
    db.run("update rowcall.parameters_history set new = jsonb_set(new, '{source_table}', '\"pg_class\"') where version = 2").await;
    let refused = db.refused("select rowcall.restore_parameters('loader', 2)").await;
    assert!(refused.contains("table pg_class is not watched"), "{refused}");
}

#[tokio::test]
async fn defaults_of_a_runner_are_kept_and_brought_back_too() {
    let db = TestDatabase::new().await;
    db.run("insert into rowcall.runner_defaults values ('ecs', '{\"cluster\": \"jobs\"}');
            update rowcall.runner_defaults set settings = '{\"cluster\": \"typo\"}'; delete from rowcall.runner_defaults").await;
    let kept: String = db
        .one("select string_agg(concat_ws(' ', version, operation, changed_by, new->'settings'->>'cluster'), '; ' order by version)
              from rowcall.parameters_history where name = 'runner_defaults.ecs'")
        .await;
    assert_eq!(kept, "1 INSERT postgres jobs; 2 UPDATE postgres typo; 3 DELETE postgres");
    assert_eq!(db.one::<i32>("select rowcall.restore_parameters('runner_defaults.ecs', 1)").await, 4);
    assert_eq!(db.one::<String>("select settings->>'cluster' from rowcall.runner_defaults").await, "jobs");
    assert_eq!(db.one::<i32>("select rowcall.restore_parameters('runner_defaults.ecs', 2)").await, 5);
    assert_eq!(db.one::<String>("select settings->>'cluster' from rowcall.runner_defaults").await, "typo");
    let refused = db.refused("select rowcall.restore_parameters('runner_defaults.ecs', 3)").await;
    assert!(refused.contains("version 3 of runner_defaults.ecs is its deletion"), "{refused}");
}

#[tokio::test]
async fn a_table_renamed_since_stays_with_its_task() {
    let db = TestDatabase::new().await;
    db.run("create table early (id int primary key, status text); select rowcall.watch('early')").await;
    db.task("load", "NEW", ("source_table, result_column", "'early', null")).await;
    db.run("update rowcall.parameters set priority = 7; alter table early rename to late; select rowcall.restore_parameters('load', 1)").await;
    let now: String =
        db.one("select concat(source_table::regclass::text, priority) from rowcall.parameters").await;
    assert_eq!(now, "late0");
    db.run("delete from rowcall.parameters").await;
    let refused = db.refused("select rowcall.restore_parameters('load', 1)").await;
    assert!(refused.starts_with("RC012") && refused.contains("is not there now"), "{refused}");
}
