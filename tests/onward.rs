//! What a status written by a job leads to: the next task, an announcement, a retry or not.

use crate::ear::Ear;
use crate::support::{Running, TASKS, TestDatabase};
use rowcall::job::End;

#[tokio::test]
async fn the_status_of_one_tasks_success_starts_the_next() {
    let db = TestDatabase::new().await;
    db.task("load", "REGISTERED", ("status_succeeded", "'LOADED'")).await;
    db.task("check", "LOADED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    for task in ["load", "check"] {
        let launched = running.launch().await;
        assert_eq!(launched.attempt.task, task);
        running.end(&launched, End::exited(0));
    }
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn an_exit_code_that_is_not_worth_a_retry_ends_the_job() {
    let db = TestDatabase::new().await;
    db.task("load", "REGISTERED", ("retry_on, backoff", "'{TASK_FAILED,!exit:64-78}', '10 ms'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let first = running.launch().await;
    running.end(&first, End::exited(1));
    let second = running.launch().await;
    assert_eq!(second.attempt.number, 2);
    running.end(&second, End::exited(65));
    db.until("select status = 'ERROR' and attributes->>'message' = 'exit code 65 (attempt 2 of 3)' from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn each_status_written_is_announced_once_it_has_committed() {
    let db = TestDatabase::new().await;
    db.task("load", "REGISTERED", ("notify_channel", "'file_status'")).await;
    db.task("quiet", "QUIET", ("", "")).await;
    let (client, ear) = Ear::open(&db).await;
    client.batch_execute("listen file_status; listen over").await.unwrap();
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id, status) values (7, 'REGISTERED'), (8, 'QUIET')").await;
    for _ in 0..2 {
        let launched = running.launch().await;
        db.run(&format!("select rowcall.task_succeed('{}')", launched.token)).await;
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 2 from rowcall.history").await;
    db.run("notify over").await;
    assert_eq!(ear.until("over").await, ["file_status", "file_status", "over"]);
    let said = |status: &str| {
        format!(r#"{{"key": {{"id": 7}}, "task": "load", "table": "rowcall.files", "status": "{status}"}}"#)
    };
    assert_eq!(ear.payloads()[..2], [said("PROCESSING"), said("PROCESSED")]);
    running.stop().await;
}

#[tokio::test]
async fn a_program_that_sets_running_itself_finds_its_row_every_time() {
    let db = TestDatabase::new().await;
    let more = ("status_running_by, completion, backoff, max_attempts", "'task', 'report', '10 ms', 2");
    db.task("old", "REGISTERED", more).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let first = running.launch().await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "REGISTERED");
    // What such a program does, and then it dies.
    db.run("update rowcall.files set status = 'PROCESSING' where status = 'REGISTERED'").await;
    running.end(&first, End::exited(137));
    let second = running.launch().await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "REGISTERED", "put back");
    db.until("select not run_again from rowcall.jobs").await;
    db.run("update rowcall.files set status = 'PROCESSING' where status = 'REGISTERED'").await;
    running.end(&second, End::exited(137));
    db.until("select status = 'ERROR' from rowcall.files").await;
    assert_eq!((db.jobs("old").await, running.world.distinct_launches()), (0, 2));
    running.stop().await;
}

#[tokio::test]
async fn what_triggers_do_while_a_status_is_put_back_starts_jobs() {
    let db = TestDatabase::new().await;
    db.task("old", "REGISTERED", ("status_running_by, completion, backoff", "'task', 'report', '10 ms'"))
        .await;
    db.task("other", "WAKE", ("", "")).await;
    db.run(
        "insert into rowcall.files (id, status) values (1, 'REGISTERED'), (2, 'ASLEEP');
            create function public.wake_the_other() returns trigger language plpgsql as $$ begin
                update rowcall.files set status = 'WAKE' where id = 2; return null; end $$;
            create trigger wake_the_other after update on rowcall.files for each row
                when (new.id = 1 and new.status = 'REGISTERED') execute function public.wake_the_other()",
    )
    .await;
    let mut running = Running::start(&db).await;
    let first = running.launch().await;
    db.run("update rowcall.files set status = 'PROCESSING' where id = 1").await;
    running.end(&first, End::exited(1));
    let mut tasks = [running.launch().await.attempt.task, running.launch().await.attempt.task];
    tasks.sort();
    assert_eq!(tasks, ["old", "other"]);
    running.stop().await;
}

#[tokio::test]
async fn a_last_status_written_by_the_program_is_announced_at_its_end() {
    let db = TestDatabase::new().await;
    db.task(
        "old",
        "REGISTERED",
        ("notify_channel, status_running, completion", "'file_status', null, 'report'"),
    )
    .await;
    let (client, ear) = Ear::open(&db).await;
    client.batch_execute("listen file_status").await.unwrap();
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (7)").await;
    let launched = running.launch().await;
    db.run("update rowcall.files set status = 'PROCESSED'").await;
    running.end(&launched, End::exited(0));
    ear.until("file_status").await;
    let said = r#"{"key": {"id": 7}, "task": "old", "table": "rowcall.files", "status": "PROCESSED"}"#;
    assert_eq!(ear.payloads(), [said]);
    running.stop().await;
}

#[tokio::test]
async fn a_failure_beside_the_task_has_a_status_of_its_own() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("status_runner_failed, retry_on", "'RUNNER_FAILED', '{}'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
    let mut launches = [running.launch().await, running.launch().await, running.launch().await];
    launches.sort_by_key(|launched| launched.attempt.id);
    running.end(&launches[0], End::lost("the machine is gone"));
    running.end(&launches[1], End::not_started("no room", true));
    running.end(&launches[2], End::exited(1));
    db.until("select count(*) = 3 from rowcall.history").await;
    let statuses: String = db.one("select string_agg(status, ' ' order by status) from rowcall.files").await;
    assert_eq!(statuses, "ERROR RUNNER_FAILED RUNNER_FAILED");
    running.stop().await;
}

#[tokio::test]
async fn a_program_that_sets_another_word_has_not_succeeded() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("status_runner_failed", "'RUNNER_FAILED'")).await;
    db.run(&format!(
        "grant usage on schema rowcall to {TASKS}; grant select, update on rowcall.files to {TASKS}"
    ))
    .await;
    let mut running = Running::start(&db).await;
    let program = db.connect_as(TASKS).await;
    for (id, by_program, status) in
        [(1, true, "BROKEN"), (2, true, "RUNNER_FAILED"), (3, false, "DELETED"), (4, true, "REGISTERED")]
    {
        db.run(&format!("insert into rowcall.files (id) values ({id})")).await;
        let launched = running.launch().await;
        let update = format!("update rowcall.files set status = '{status}' where id = {id}");
        if by_program {
            program.batch_execute(&update).await.unwrap();
        } else {
            db.run(&update).await;
        }
        running.end(&launched, End::exited(0));
        db.until(&format!("select count(*) = {id} from rowcall.history")).await;
    }
    // That one asks for a run of its own.
    let again = running.launch().await;
    running.end(&again, End::exited(0));
    db.until("select count(*) = 5 from rowcall.history").await;
    let told: String = db
        .one(
            "select string_agg(concat_ws(' ', f.id, f.status, h.outcome, h.cause), ', ' order by f.id)
              from rowcall.history h join rowcall.files f on f.id = (h.row_key->>'id')::int",
        )
        .await;
    assert_eq!(
        told,
        "1 BROKEN TASK_FAILED row_moved, 2 RUNNER_FAILED RUNNER_FAILED row_moved, 3 DELETED SUCCEEDED exit_code, \
         4 PROCESSED SUCCEEDED exit_code, 4 PROCESSED SUCCEEDED exit_code"
    );
    running.stop().await;
}
