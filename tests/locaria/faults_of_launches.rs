//! Faults L3, L13, L14, L15 and L17: starts that nobody saw fail, the password of everything, and what could not be asked.

use std::time::Duration;

use rowcall::job::{AttemptId, End};
use rowcall::runners::LaunchError;

use super::{Locaria, OldContainer, family};
use crate::ecs::{Ecs, quick};
use crate::support::aws::{Fault, ScriptedAws};
use crate::support::{TASKS, settings};

/// L3: a start that failed left a row in `logs`, the file in REGISTERED, and nobody tried again.
#[tokio::test]
async fn a_failed_start_is_tried_again_and_finally_seen_on_the_row() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run("update locaria_core.parameters set parameter = jsonb_set(parameter, '{file_loader,arn}', '\"broken\"') where parameter_name = 'fargate_config'")
        .await;
    locaria.db.run("insert into locaria_core.files (id) values (1)").await;
    let logged: String = locaria
        .db
        .one("select log_message->>'sql_error' from locaria_core.logs where log_message ? 'error'")
        .await;
    assert_eq!(
        (logged.as_str(), locaria.status(1).await.as_str()),
        ("no answer from Lambda", "REGISTERED"),
        "Locaria"
    );

    locaria.done(&["--apply", "--replace-trigger"]).await;
    locaria.db.run("update rowcall.parameters set backoff = '1 ms', backoff_max = '1 ms'").await;
    let mut running = locaria.dispatcher().await;
    running.world.answer(|attempt| match attempt.number {
        1 | 2 => Err(LaunchError::refused("RESOURCE:CPU", true)),
        _ => Ok(()),
    });
    locaria.db.run("insert into locaria_core.files (id, attributes) values (2, '{}')").await;
    let launched = running.launch().await;
    assert_eq!(launched.attempt.number, 3);
    assert_eq!(OldContainer::started(&locaria, "REGISTERED").await.rows(), [1, 2]);
    OldContainer::started(&locaria, "REGISTERED").await.loads_all().await;
    running.end(&launched, End::exited(0));
    locaria.settled().await;

    running.world.answer(|_| Err(LaunchError::refused("no such cluster", false)));
    locaria.db.run("insert into locaria_core.files (id) values (3)").await;
    locaria.settled().await;
    let row: String =
        locaria.db.one("select status || ' ' || attributes::text from locaria_core.files where id = 3").await;
    assert_eq!(row, r#"FARGATE_ERROR {"message": "no such cluster", "outcome": "RUNNER_FAILED"}"#);
    running.stop().await;
}

/// L13: the answer of RunTask was not looked at; "OK" was said before there was one. The daemon here has exactly the
/// settings that the plan asks for.
#[tokio::test]
async fn a_run_task_that_answers_with_failures_is_no_start() {
    let locaria = Locaria::new().await;
    let plan = locaria.printed(&["--apply", "--replace-trigger"]).await;
    locaria.db.run("update rowcall.parameters set backoff = '1 ms', backoff_max = '1 ms'").await;
    let aws = ScriptedAws::start().await;
    aws.define("file-loader", serde_json::json!({}));
    aws.auto_run(true);
    let mut settings = settings(&locaria.db.url);
    settings.tasks.database_url = "postgresql://rowcall_task@db.example/app".into();
    settings.aws.region = "eu-west-1".into();
    settings.aws.endpoint = aws.url().into();
    let said = |key: &str| -> Vec<String> {
        let line = plan.lines().find_map(|line| line.trim().strip_prefix(&format!("{key} = "))).unwrap();
        serde_json::from_str(line.split("  #").next().unwrap()).unwrap()
    };
    settings.runners.ecs.clusters = said("clusters");
    settings.runners.ecs.task_definitions = said("task_definitions");
    settings.runners.ecs.regions = said("regions");
    settings.runners.ecs.subnets = said("subnets");
    settings.runners.ecs.security_groups = said("security_groups");
    settings.runners.ecs.allow_public_ip = plan.contains("allow_public_ip = true");
    let ecs = Ecs { db: locaria.db, aws, timing: quick(), settings };
    let dispatcher = ecs.dispatcher().await;
    ecs.aws.script("RunTask", [Fault::failures("RESOURCE:CPU")]);
    ecs.db.run("insert into locaria_core.files (id, attributes) values (1, '{}')").await;
    let arn = ecs.task(0).await;
    let first: String =
        ecs.db.one("select outcome || ': ' || reason from rowcall.attempts where number = 1").await;
    assert!(first.starts_with("RUNNER_FAILED: ") && first.contains("RESOURCE:CPU"), "{first}");
    let call = ecs.aws.calls("RunTask")[1].json();
    assert_eq!(
        (&call["cluster"], &call["launchType"], &call["taskDefinition"]),
        (
            &"jobs".into(),
            &"FARGATE".into(),
            &"arn:aws:ecs:eu-west-1:123456789012:task-definition/file-loader:1".into()
        )
    );
    assert_eq!(
        call["networkConfiguration"]["awsvpcConfiguration"],
        serde_json::json!({"subnets": ["subnet-0a", "subnet-0b"], "securityGroups": ["sg-01"], "assignPublicIp": "ENABLED"})
    );
    ecs.begun(&arn).await;
    ecs.db.run("update locaria_core.files set status = 'FARGATE_PROCESSED'").await;
    ecs.succeeds(&arn).await;

    ecs.aws.script("RunTask", [Fault::failures("ATTRIBUTE")]);
    ecs.db.run("insert into locaria_core.files (id) values (2)").await;
    ecs.db.until("select status = 'FARGATE_ERROR' from locaria_core.files where id = 2").await;
    let row: String = ecs.db.one("select attributes->>'message' from locaria_core.files where id = 2").await;
    assert!(row.contains("ATTRIBUTE"), "{row}");
    assert_eq!(ecs.tasks(), 1);
    ecs.stop(dispatcher).await;
}

/// L14: every container had the password of the master account.
#[tokio::test]
async fn a_container_needs_no_right_but_to_end_its_own_row() {
    let locaria = Locaria::imported().await;
    locaria
        .db
        .run(
            // The statement of the page.
            include_str!("../../docs/locaria.md")
                .split_once("```sql\n   UPDATE")
                .map(|(_, rest)| format!("update {}", rest.split_once("```").unwrap().0))
                .unwrap()
                .as_str(),
        )
        .await;
    let mut running = locaria.dispatcher().await;
    locaria
        .db
        .run(r#"insert into locaria_core.files (id, attributes) values (1, '{"path": "a.csv"}'), (2, '{"path": "b.csv"}')"#)
        .await;
    let mut both = [running.launch().await, running.launch().await];
    let of_row_1: AttemptId =
        locaria.db.one("select id from rowcall.attempts where row_key = '{\"id\": 1}'").await;
    both.sort_by_key(|launched| launched.attempt.id != of_row_1);
    assert_eq!(
        locaria.statuses().await,
        ["FARGATE_PROCESSING", "FARGATE_PROCESSING"],
        "two at once, each with its row"
    );

    let container = locaria.db.connect_as(TASKS).await;
    let path: String = container
        .query_one("select row_data->'attributes'->>'path' from rowcall.task_start($1)", &[&both[0].token])
        .await
        .unwrap()
        .get(0);
    assert_eq!(path, "a.csv");
    for forbidden in [
        "select * from locaria_core.files",
        "update locaria_core.files set status = 'X'",
        "select * from locaria_core.parameters",
        "select * from rowcall.parameters",
        "select * from rowcall.attempts",
        "create table locaria_core.x ()",
    ] {
        let error = container.batch_execute(forbidden).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("42501"), "{forbidden}");
    }
    container
        .query_one("select rowcall.task_succeed($1, '{\"record_count\": 7}')", &[&both[0].token])
        .await
        .unwrap();
    assert_eq!(locaria.statuses().await, ["FARGATE_PROCESSED", "FARGATE_PROCESSING"]);
    running.end(&both[0], End::exited(0));
    running.end(&both[1], End::exited(0));
    locaria.settled().await;
    assert_eq!(locaria.statuses().await, ["FARGATE_PROCESSED", "FARGATE_PROCESSED"]);
    running.stop().await;
}

/// L14 for a container that is not changed over: two rights on one table, and it works as before.
#[tokio::test]
async fn an_old_container_needs_no_master_password_either() {
    let locaria = Locaria::imported().await;
    let mut running = locaria.dispatcher().await;
    locaria
        .db
        .run(&format!(
            "grant usage on schema locaria_core to {TASKS}; grant select, update on locaria_core.files to {TASKS};
             insert into locaria_core.files (id, attributes) values (1, '{{}}')"
        ))
        .await;
    let launched = running.launch().await;
    let container = locaria.db.connect_as(TASKS).await;
    let rows =
        container.query("select id from locaria_core.files where status = 'REGISTERED'", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    for status in ["FARGATE_PROCESSING", "FARGATE_PROCESSED"] {
        container
            .batch_execute(&format!("select locaria_core.update_file(1, '{status}', '{{}}')"))
            .await
            .unwrap();
    }
    running.end(&launched, End::exited(0));
    locaria.settled().await;
    assert_eq!(locaria.outcomes().await, ["1 SUCCEEDED"]);
    running.stop().await;
}

/// L15: no retry, no cap, no priority, no cancel, nothing after another.
#[tokio::test]
async fn runs_are_retried_capped_ordered_cancelled_and_chained() {
    let locaria = Locaria::imported().await;
    locaria
        .db
        .run(
            "update rowcall.parameters set backoff = '1 ms', backoff_max = '1 ms', max_attempts = 2 where name = 'file_loader';
             insert into rowcall.parameters (name, source_table, on_status, runner, target, settings, status_running)
             select 'report', source_table, 'FARGATE_PROCESSED', runner, 'report:1', settings, null
             from rowcall.parameters where name = 'file_loader'",
        )
        .await;
    locaria.db.run("insert into locaria_core.files (id, attributes) values (1, '{}'), (2, '{}')").await;
    locaria
        .db
        .run(
            "update locaria_core.files set status = 'X'; update locaria_core.files set status = 'REGISTERED'",
        )
        .await;
    assert_eq!(locaria.db.jobs("file_loader").await, 2, "asked twice, one job each");

    let mut running = locaria.dispatcher().await;
    let launched = running.launch().await;
    assert_eq!((launched.attempt.number, running.launched_more()), (1, false), "capped");
    let first: i64 =
        locaria.db.one("select (row_key->>'id')::bigint from rowcall.jobs where state = 'running'").await;
    running.end(&launched, End::exited(1));
    // Retried after a pause; whichever row is next then, one at a time.
    let launched = running.launch().await;
    let job = launched.attempt.job_id;
    let now: i64 =
        locaria.db.one_with("select (row_key->>'id')::bigint from rowcall.jobs where id = $1", &[&job]).await;
    assert!(locaria.db.one_with::<bool>("select rowcall.cancel($1::bigint, 'not today')", &[&job]).await);
    let cancelled = format!(
        "select status = 'FARGATE_ERROR' and attributes->>'message' = 'not today' from locaria_core.files where id = {now}"
    );
    locaria.db.until(&cancelled).await;
    assert_eq!(running.world.stops.lock().unwrap().len(), 1);

    let other = 3 - now;
    let launched = running.launch().await;
    assert_eq!(launched.attempt.number, if other == first { 2 } else { 1 });
    OldContainer::started(&locaria, "REGISTERED").await.loads_all().await;
    running.end(&launched, End::exited(0));
    let launched = running.launch().await;
    assert_eq!((family(&launched), locaria.status(other).await.as_str()), ("report:1", "FARGATE_PROCESSED"));
    running.end(&launched, End::exited(0));
    locaria.settled().await;
    assert_eq!(locaria.status(other).await, "PROCESSED");
    running.stop().await;

    // Of two that wait, the more important is first.
    locaria.db.run("update rowcall.parameters set priority = 10 where name = 'file_download'").await;
    locaria
        .db
        .run(
            "insert into locaria_core.files (id, status) values (5, 'REGISTERED'), (6, 'DOWNLOAD_REQUESTED')",
        )
        .await;
    let mut running = locaria.dispatcher().await;
    assert_eq!(family(&running.launch().await), "file-download:1");
    running.stop().await;
}

/// L17: another kind of job took another branch in the trigger.
#[tokio::test]
async fn another_kind_of_job_is_one_insert() {
    let locaria = Locaria::imported().await;
    let mut running = locaria.dispatcher().await;
    locaria
        .db
        .run(
            "insert into rowcall.parameters (name, source_table, on_status, runner, target)
             values ('openactive', 'locaria_core.files', 'OPENACTIVE_REQUESTED', 'ecs', 'openactive:1');
             insert into locaria_core.files (status) values ('OPENACTIVE_REQUESTED')",
        )
        .await;
    assert_eq!(family(&running.launch().await), "openactive:1");
    running.stop().await;
}

/// The broadcast of statuses: what Rowcall writes is announced once it can be seen.
#[tokio::test]
async fn statuses_are_announced_on_the_channel() {
    let locaria = Locaria::imported().await;
    locaria.db.run("update rowcall.parameters set max_attempts = 1").await;
    let (listener, ear) = crate::ear::Ear::open(&locaria.db).await;
    listener.batch_execute("listen locaria_file_status").await.unwrap();
    let mut running = locaria.dispatcher().await;
    locaria.db.run("insert into locaria_core.files (id) values (7)").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(1));
    tokio::time::timeout(Duration::from_secs(30), ear.until("locaria_file_status")).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&ear.payloads()[0]).unwrap();
    assert_eq!(
        told,
        serde_json::json!({"task": "file_loader", "table": "locaria_core.files", "key": {"id": 7}, "status": "FARGATE_ERROR"})
    );
    running.stop().await;
}
