//! An import may be repeated: what it made is kept up to date, what somebody changed is theirs.

use super::Locaria;

const APPLY: [&str; 2] = ["--apply", "--replace-trigger"];

async fn max_running(locaria: &Locaria) -> i32 {
    locaria.db.one("select max_running from rowcall.parameters where name = 'file_loader'").await
}

async fn target(locaria: &Locaria) -> String {
    locaria.db.one("select target from rowcall.parameters where name = 'file_loader'").await
}

/// Locaria deploys another version of its loader.
async fn deploy(locaria: &Locaria, version: i32) {
    locaria
        .db
        .run(&format!(
            "update locaria_core.parameters set parameter = jsonb_set(parameter, '{{file_loader,task}}',
                 '\"arn:aws:ecs:eu-west-1:123456789012:task-definition/file-loader:{version}\"')
             where parameter_name = 'fargate_config'"
        ))
        .await;
}

#[tokio::test]
async fn an_imported_task_follows_locaria_and_keeps_the_dbas_changes() {
    let locaria = Locaria::imported().await;
    let again = locaria.done(&APPLY).await;
    assert!(
        again.contains("file_loader, from fargate_config.file_loader: there already, unchanged"),
        "{again}"
    );
    assert!(again.contains("There is nothing to do.") && !again.contains("Done:"), "{again}");
    assert_eq!(locaria.db.one::<i64>("select count(*) from rowcall.parameters_history").await, 2);

    // Columns of which the import says nothing belong to the DBA, as do their words in the description.
    locaria
        .db
        .run(
            "update rowcall.parameters set max_attempts = 9, timeout = '1 hour', enabled = false,
                 description = 'Ask the data team. ' || description
             where name = 'file_loader'",
        )
        .await;
    deploy(&locaria, 2).await;
    let said = locaria.done(&APPLY).await;
    assert!(said.contains("file_loader, from fargate_config.file_loader: brought up to date"), "{said}");
    assert!(
        said.contains(
            "file-loader:1\" becomes \"arn:aws:ecs:eu-west-1:123456789012:task-definition/file-loader:2"
        ),
        "{said}"
    );
    assert!(said.contains("brought the task file_loader up to date"), "{said}");
    assert!(target(&locaria).await.ends_with("file-loader:2"));
    let kept: String = locaria
        .db
        .one("select format('%s %s %s %s', max_attempts, timeout, enabled, description) from rowcall.parameters where name = 'file_loader'")
        .await;
    assert!(
        kept.starts_with("9 01:00:00 f Ask the data team. Imported from locaria_core.parameters, "),
        "{kept}"
    );
    deploy(&locaria, 3).await;
    assert!(locaria.done(&APPLY).await.contains("brought up to date"), "the import still knows its own row");
}

#[tokio::test]
async fn what_a_dba_changed_is_named_and_left_unless_told_otherwise() {
    let locaria = Locaria::imported().await;
    locaria.db.run("update rowcall.parameters set max_running = 5 where name = 'file_loader'").await;
    deploy(&locaria, 2).await;
    let said = locaria.done(&APPLY).await;
    assert!(said.contains("left as it is: changed since the last import (postgres, "), "{said}");
    assert!(said.contains("max_running is 5, Locaria says 1"), "{said}");
    assert!(said.contains("There is nothing to do."), "{said}");
    assert_eq!((max_running(&locaria).await, target(&locaria).await.ends_with(":1")), (5, true));

    let said = locaria.done(&["--apply", "--overwrite"]).await;
    assert!(said.contains("max_running: 5 becomes 1"), "{said}");
    assert_eq!((max_running(&locaria).await, target(&locaria).await.ends_with(":2")), (1, true));
    deploy(&locaria, 3).await;
    locaria.done(&APPLY).await;
    assert!(target(&locaria).await.ends_with(":3"), "it is the import's again");
}

#[tokio::test]
async fn a_row_that_somebody_made_by_hand_is_not_taken() {
    let locaria = Locaria::new().await;
    locaria.db.task("file_loader", "REGISTERED", ("", "")).await;
    let said = locaria.done(&APPLY).await;
    assert!(said.contains("left as it is: a row of this name is there, and not by an import"), "{said}");
    assert!(said.contains("runner is \"docker\", Locaria says \"ecs\""), "{said}");
    assert_eq!(target(&locaria).await, "fake");
    assert_eq!(locaria.db.one::<i64>("select count(*) from rowcall.parameters").await, 2);
    locaria.done(&["--apply", "--overwrite"]).await;
    assert!(target(&locaria).await.ends_with("file-loader:1"));
}
