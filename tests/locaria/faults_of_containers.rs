//! Faults L6, L7, L9 to L12 and L16: containers that know a row only by its id, take all of them, and die. They are the
//! old containers still, as Locaria's programs are.

use super::{Locaria, OldContainer, family};
use rowcall::job::End;

/// Rows that wait for the loader.
async fn registered(locaria: &Locaria, ids: &[i64]) {
    for id in ids {
        locaria
            .db
            .run(&format!("insert into locaria_core.files (id, attributes) values ({id}, '{{}}')"))
            .await;
    }
}

/// Retries at once.
async fn impatient(locaria: &Locaria) {
    locaria.db.run("update rowcall.parameters set backoff = '1 ms', backoff_max = '1 ms'").await;
}

/// How often containers said that they began with each row.
async fn begun(locaria: &Locaria) -> Vec<i64> {
    locaria
        .db
        .one(
            "select array_agg((select count(*) from jsonb_array_elements(attributes->'log_messages') m
                               where m->>'message' = 'Processing') order by id) from locaria_core.files",
        )
        .await
}

/// L6: N rows were N containers, and each of them worked on all N.
#[tokio::test]
async fn a_backlog_is_worked_on_once_by_one_container_at_a_time() {
    let locaria = Locaria::imported().await;
    let mut running = locaria.dispatcher().await;
    registered(&locaria, &[1, 2, 3]).await;
    let first = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    assert_eq!(container.rows(), [1, 2, 3]);
    // The row for which it was started is done, and it has work for longer than a task may stay that has reported.
    container.writes(1, "FARGATE_PROCESSED", "{}").await;
    running.beats(&locaria.db).await;
    running.beats(&locaria.db).await;
    // This one comes too late for its list.
    registered(&locaria, &[4]).await;
    container.loads_all().await;
    assert_eq!(locaria.db.jobs("file_loader").await, 4, "while it runs nothing else is started");
    assert_eq!(running.world.distinct_launches(), 1);
    running.end(&first, End::exited(0));

    let second = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    assert_eq!(container.rows(), [4]);
    container.loads_all().await;
    running.end(&second, End::exited(0));
    locaria.settled().await;
    assert_eq!(locaria.outcomes().await, ["1 SUCCEEDED", "2 OBSOLETE", "3 OBSOLETE", "4 SUCCEEDED"]);
    assert_eq!((begun(&locaria).await, running.world.distinct_launches()), (vec![1, 1, 1, 1], 2));
    assert!(running.world.stops.lock().unwrap().is_empty(), "nobody was stopped at work");
    running.stop().await;
}

/// L7: a row that was registered again, because its file was not there yet, waited for ever.
#[tokio::test]
async fn a_row_that_its_container_registers_again_is_run_again() {
    let locaria = Locaria::imported().await;
    impatient(&locaria).await;
    let mut running = locaria.dispatcher().await;
    registered(&locaria, &[1]).await;
    // By way of another status: a new wish.
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    container.writes(1, "FARGATE_PROCESSING", r#"{"message": "Processing"}"#).await;
    container.writes(1, "REGISTERED", r#"{"message": "not yet in S3"}"#).await;
    running.end(&launched, End::exited(0));
    // Without: it did nothing, and is tried again until attempts are spent.
    for _ in 0..3 {
        let launched = running.launch().await;
        OldContainer::started(&locaria, "REGISTERED").await.writes(1, "REGISTERED", "{}").await;
        running.end(&launched, End::exited(0));
    }
    locaria.settled().await;
    assert_eq!(running.world.distinct_launches(), 4);
    let row: String =
        locaria.db.one("select status || ': ' || (attributes->>'message') from locaria_core.files").await;
    assert_eq!(row, "FARGATE_ERROR: exited with code 0 without reporting a result (attempt 3 of 3)");
    running.stop().await;
}

/// L9: the schedule registered rows again that were being worked on, and rows that were deleted.
#[tokio::test]
async fn a_schedule_starts_nothing_twice_and_brings_nothing_back() {
    let locaria = Locaria::new().await;
    locaria.done(&["--apply", "--replace-trigger", "--keep-deleted"]).await;
    locaria
        .db
        .run(
            r#"insert into locaria_core.files (id, status, attributes) values
               (1, 'FARGATE_PROCESSED', '{"cron": "daily"}'), (2, 'DELETED', '{"cron": "daily"}'), (3, 'FARGATE_PROCESSED', '{}')"#,
        )
        .await;
    let schedule =
        r#"update locaria_core.files set status = 'REGISTERED' where attributes @> '{"cron": "daily"}'"#;
    let mut running = locaria.dispatcher().await;
    locaria.db.run(schedule).await;
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    assert_eq!(container.rows(), [1]);
    container.writes(1, "FARGATE_PROCESSING", "{}").await;
    locaria.db.run(schedule).await;
    running.beats(&locaria.db).await;
    assert_eq!(
        (running.world.distinct_launches(), locaria.db.jobs("file_loader").await),
        (1, 1),
        "it runs already"
    );
    container.writes(1, "FARGATE_PROCESSED", "{}").await;
    running.end(&launched, End::exited(0));
    locaria.settled().await;
    assert_eq!(locaria.statuses().await, ["FARGATE_PROCESSED", "DELETED", "FARGATE_PROCESSED"]);
    assert_eq!(running.world.distinct_launches(), 1);
    running.stop().await;
}

/// L10: a late container turned DELETED into FARGATE_PROCESSED.
#[tokio::test]
async fn a_row_deleted_meanwhile_stays_deleted() {
    let locaria = Locaria::new().await;
    locaria.done(&["--apply", "--replace-trigger", "--keep-deleted"]).await;
    let mut running = locaria.dispatcher().await;
    registered(&locaria, &[1, 2]).await;
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    container.writes(1, "FARGATE_PROCESSING", "{}").await;
    locaria.db.run("update locaria_core.files set status = 'DELETED'").await;
    container.writes(1, "FARGATE_PROCESSED", r#"{"late": true}"#).await;
    assert_eq!(locaria.statuses().await, ["DELETED", "DELETED"], "not by the container");
    running.end(&launched, End::exited(1));
    locaria.settled().await;
    assert_eq!(locaria.statuses().await, ["DELETED", "DELETED"], "nor by Rowcall");
    assert_eq!(running.world.distinct_launches(), 1, "and the other row's job found it gone");
    let late: bool = locaria.db.one("select attributes ? 'late' from locaria_core.files where id = 1").await;
    assert!(!late);
    locaria
        .db
        .run("set rowcall.restore = 'on'; update locaria_core.files set status = 'REGISTERED' where id = 1")
        .await;
    assert_eq!(locaria.status(1).await, "REGISTERED", "a person who means it can");
    running.stop().await;
}

/// L11: where attributes was null, what was added to it was lost.
#[tokio::test]
async fn null_attributes_lose_no_word_of_rowcall() {
    let locaria = Locaria::imported().await;
    locaria.db.run("update rowcall.parameters set max_attempts = 1").await;
    let mut running = locaria.dispatcher().await;
    locaria.db.run("insert into locaria_core.files (id) values (1)").await;
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    container.writes(1, "FARGATE_PROCESSING", r#"{"message": "lost in Locaria"}"#).await;
    assert!(locaria.db.one::<bool>("select attributes is null from locaria_core.files").await);
    running.end(&launched, End::exited(137));
    locaria.settled().await;
    let row: String =
        locaria.db.one("select status || ' ' || attributes::text from locaria_core.files").await;
    assert_eq!(row, r#"FARGATE_ERROR {"message": "exit code 137", "outcome": "TASK_FAILED"}"#);

    // A program that reports, the same.
    locaria.db.run("insert into locaria_core.files (id, status) values (2, 'DOWNLOAD_REQUESTED')").await;
    let launched = running.launch().await;
    locaria
        .db
        .one_with::<String>("select rowcall.task_succeed($1, '{\"rows\": 7}')", &[&launched.token])
        .await;
    running.end(&launched, End::exited(0));
    locaria.settled().await;
    let row: String =
        locaria.db.one("select status || ' ' || attributes::text from locaria_core.files where id = 2").await;
    assert_eq!(row, r#"DOWNLOAD_COMPLETED {"result": {"rows": 7}}"#);
    running.stop().await;
}

/// L12: a container that was killed left its row in FARGATE_PROCESSING, or DOWNLOAD_REQUESTED, for ever.
#[tokio::test]
async fn a_row_of_a_container_that_died_is_put_back_and_run_again() {
    let locaria = Locaria::imported().await;
    impatient(&locaria).await;
    let mut running = locaria.dispatcher().await;
    registered(&locaria, &[1, 2]).await;
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    container.writes(1, "FARGATE_PROCESSING", "{}").await;
    container.writes(1, "FARGATE_PROCESSED", "{}").await;
    container.writes(2, "FARGATE_PROCESSING", "{}").await;
    running.end(&launched, End::exited(137));
    // It was not the row for which it had been started, and that makes no difference.
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    assert_eq!(container.rows(), [2]);
    container.writes(2, "FARGATE_PROCESSING", "{}").await;
    running.end(&launched, End::exited(137));
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    assert_eq!(container.rows(), [2], "nor does it that it had been before");
    container.loads_all().await;
    running.end(&launched, End::exited(0));
    locaria.settled().await;
    assert_eq!(locaria.statuses().await, ["FARGATE_PROCESSED", "FARGATE_PROCESSED"]);
    assert_eq!(locaria.outcomes().await, ["1 SUCCEEDED", "2 SUCCEEDED"]);
    running.stop().await;
}

/// L12 again: where it dies each time, the row says so.
#[tokio::test]
async fn a_row_whose_containers_all_die_says_so() {
    let locaria = Locaria::imported().await;
    impatient(&locaria).await;
    let mut running = locaria.dispatcher().await;
    registered(&locaria, &[1]).await;
    for _ in 0..3 {
        let launched = running.launch().await;
        let container = OldContainer::started(&locaria, "REGISTERED").await;
        assert_eq!(container.rows(), [1]);
        container.writes(1, "FARGATE_PROCESSING", "{}").await;
        running.end(&launched, End::exited(137));
    }
    locaria.db.until("select status = 'FARGATE_ERROR' from locaria_core.files where id = 1").await;
    locaria.db.run("insert into locaria_core.files (id, status) values (2, 'DOWNLOAD_REQUESTED')").await;
    for _ in 0..3 {
        let launched = running.launch().await;
        assert_eq!(OldContainer::started(&locaria, "DOWNLOAD_REQUESTED").await.rows(), [2]);
        running.end(&launched, End::exited(137));
    }
    locaria.settled().await;
    let rows: Vec<String> = locaria
        .db
        .one("select array_agg(status || ': ' || (attributes->>'message') order by id) from locaria_core.files")
        .await;
    assert_eq!(
        rows,
        ["FARGATE_ERROR: exit code 137 (attempt 3 of 3)", "DOWNLOAD_ERROR: exit code 137 (attempt 3 of 3)"]
    );
    running.stop().await;
}

/// L12 once more: one that hangs is ended.
#[tokio::test]
async fn a_container_that_hangs_is_stopped_at_its_timeout() {
    let locaria = Locaria::imported().await;
    locaria.db.run("update rowcall.parameters set timeout = '100 ms', max_attempts = 1").await;
    let mut running = locaria.dispatcher().await;
    registered(&locaria, &[1]).await;
    running.launch().await;
    OldContainer::started(&locaria, "REGISTERED").await.writes(1, "FARGATE_PROCESSING", "{}").await;
    locaria.settled().await;
    let row: String =
        locaria.db.one("select status || ': ' || (attributes->>'message') from locaria_core.files").await;
    assert_eq!(row, "FARGATE_ERROR: ran longer than its timeout of 00:00:00.1");
    assert_eq!(running.world.stops.lock().unwrap().len(), 1);
    running.stop().await;
}

/// L16: what was logged grew in the row without bound, and its times were not to be trusted.
#[tokio::test]
async fn a_row_does_not_grow_with_its_runs_and_its_times_are_right() {
    let locaria = Locaria::imported().await;
    locaria.db.run("update rowcall.parameters set max_attempts = 1").await;
    let mut running = locaria.dispatcher().await;
    registered(&locaria, &[1]).await;
    let seen = "select concat_ws(' ', created, pg_column_size(attributes)) from locaria_core.files";
    let mut after = Vec::new();
    for round in 0..6 {
        let launched = running.launch().await;
        assert_eq!(family(&launched), "file-loader:1");
        let end = if round % 2 == 0 { End::exited(137) } else { End::exited(0) };
        if round % 2 == 1 {
            let report = "select rowcall.task_succeed($1, '{\"record_count\": 3376}')";
            locaria.db.one_with::<String>(report, &[&launched.token]).await;
        }
        let before: String = locaria.db.one("select last_update::text from locaria_core.files").await;
        running.end(&launched, end);
        locaria.settled().await;
        if round % 2 == 0 {
            let later = format!("select last_update > '{before}' from locaria_core.files");
            assert!(locaria.db.one::<bool>(&later).await);
        }
        after.push(locaria.db.one::<String>(seen).await);
        locaria.db.run("update locaria_core.files set status = 'REGISTERED'").await;
    }
    // After the first round of each kind it holds one result and at most one message.
    assert_eq!((&after[2], &after[3]), (&after[4], &after[5]), "{after:?}");
    assert_eq!(
        locaria.db.one::<i64>("select count(*) from rowcall.attempts where ended_at is not null").await,
        6
    );
    running.stop().await;
}
