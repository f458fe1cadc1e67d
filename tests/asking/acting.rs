//! `rowcall.run`, `retry` and `retry_failed`, `pause` and `resume`: what they do to jobs, and what they refuse.

use crate::support::{ADMIN, Running, TestDatabase, VIEWER};
use rowcall::job::{End, JobId};

/// A task that takes files only if they are large, and three files that are not.
async fn files() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("condition", "'$.attributes.size > 10'")).await;
    db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
    assert_eq!(db.jobs("loader").await, 0);
    db
}

/// `state`, `again`, another status than REGISTERED and failures of every job, as one text.
async fn jobs(db: &TestDatabase) -> String {
    db.one(
        "select coalesce(string_agg(concat_ws(' ', row_key->>'id', state, case when run_again then 'again' end,
             nullif(on_status, 'REGISTERED'), nullif(failures, 0)), ', ' order by row_key), '') from rowcall.jobs",
    )
    .await
}

#[tokio::test]
async fn run_starts_a_row_whose_condition_says_no() {
    let db = files().await;
    let mut running = Running::start(&db).await;
    let admin = db.connect_as(ADMIN).await;
    let row = admin.query_one("select rowcall.run('loader', 'rowcall.files', 2)", &[]).await.unwrap();
    let launched = running.launch().await;
    assert_eq!(launched.attempt.job_id, row.get::<_, JobId>(0));
    // While it runs, one more run follows it.
    admin.query_one("select rowcall.run('loader', 'rowcall.files', '2')", &[]).await.unwrap();
    assert_eq!(jobs(&db).await, "2 running again PROCESSING");
    running.stop().await;
}

#[tokio::test]
async fn run_takes_a_row_in_any_status_and_begins_anew_what_waits() {
    let db = files().await;
    db.run("update rowcall.files set status = 'PROCESSED' where id = 1").await;
    for key in ["1", "'1'", "'{\"id\": 1}'::jsonb"] {
        let job: i64 = db.one(&format!("select rowcall.run('loader', 'rowcall.files', {key})")).await;
        assert_eq!(job, db.one::<i64>("select id from rowcall.jobs").await, "{key}");
        assert_eq!(jobs(&db).await, "1 pending PROCESSED");
    }
    db.run("update rowcall.jobs set state = 'waiting', due_at = now() + interval '1 h', failures = 2; select rowcall.run('loader', 'rowcall.files', 1)")
        .await;
    assert_eq!(jobs(&db).await, "1 pending PROCESSED");
    assert!(db.one::<bool>("select due_at <= now() from rowcall.jobs").await);
    db.run("update rowcall.jobs set state = 'blocked', reason = 'x'; update rowcall.files set status = 'REGISTERED' where id = 1;
            select rowcall.run('loader', 'rowcall.files', 1)").await;
    assert_eq!(jobs(&db).await, "1 pending", "and it is in its own status now");
    let asked: String = db
        .one(
            r#"select string_agg(concat_ws(' ', row_key->>'id', (job is not null)::text, problem), ', ' order by (row_key->>'id')::int)
               from rowcall.run('loader', 'rowcall.files', array['2', '{"id": 3}', '"3"', '99']::jsonb[])"#,
        )
        .await;
    assert_eq!(asked, r#"2 true, 3 true, 99 false no row of rowcall.files has the key {"id": 99}"#);
    assert_eq!(jobs(&db).await, "1 pending, 2 pending, 3 pending");
}

#[tokio::test]
async fn run_refuses_what_cannot_be_meant() {
    let db = files().await;
    db.run("create table other (id int primary key, status text); insert into other values (1); select rowcall.watch('other')")
        .await;
    db.task("sweeper", "X", ("source_table, result_column", "'public.other', null")).await;
    for (call, parts) in [
        ("'loadr', 'rowcall.files', 1", ["RC012 no task is named loadr", "Did you mean loader?"]),
        ("'LOADER', 'rowcall.files', 1", ["no task is named LOADER", "Did you mean loader?"]),
        ("'zzz', 'rowcall.files', 1", ["no task is named zzz", "There are: loader, sweeper."]),
        ("'loader', 'other', 1", ["RC013 loader is a task of rowcall.files, not of other", "source_table"]),
        ("'loader', 'rowcall.files', 99", ["P0002", "no row of rowcall.files has the key {\"id\": 99}"]),
        ("'sweeper', 'other', 1", ["RC013", "has no status: it is null"]),
        ("'loader', 'rowcall.files', 'x'", ["22023", "(id bigint); this is not one: x"]),
    ] {
        let refused = db.refused(&format!("select rowcall.run({call})")).await;
        let refused = refused.replace("public.other", "other");
        assert!(parts.iter().all(|part| refused.contains(part)), "{call}: {refused}");
    }
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    let viewer = db.connect_as(VIEWER).await;
    for call in [
        "run('loader', 'rowcall.files', 1)",
        "retry(1)",
        "retry(array[1])",
        "retry_failed()",
        "cancel(1)",
        "cancel(array[1])",
        "pause()",
        "resume()",
        "restore_parameters('loader', 1)",
    ] {
        let error = viewer.batch_execute(&format!("select rowcall.{call}")).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{call}");
    }
}

/// A settled job for each of these rows, with one attempt that expected PROCESSING, and the rows in these statuses.
async fn settled(db: &TestDatabase, rows: &[(i32, &str, &str, &str)]) {
    for (id, status, outcome, message) in rows {
        db.run(&format!(
            r#"insert into rowcall.files (id, status) values ({id}, '{status}') on conflict (id) do update set status = excluded.status;
               insert into rowcall.history (job_id, task, source_table, row_key, on_status, outcome, attempt_count, message, created_at)
               values (100 + {id}, 'loader', 'rowcall.files', '{{"id": {id}}}', 'REGISTERED', '{outcome}', 1, '{message}', now());
               insert into rowcall_internal.ended_attempts (id, job_id, task, source_table, row_key, number, runner, launch_key, terms_id,
                   timeout, launch_timeout, dispatcher_id, ended_at, outcome)
               values (100 + {id}, 100 + {id}, 'loader', 'rowcall.files', '{{"id": {id}}}', 1, 'docker', 'k{id}',
                   (rowcall_internal.keep_terms(array['{{"write_back": {{"expected": ["PROCESSING"], "status_succeeded": "PROCESSED",
                       "status_failed": "ERROR", "result_column": null}}}}'::jsonb]))[1]::uuid,
                   '1 h', '1 h', 1, now(), 'TASK_FAILED');
               delete from rowcall.jobs"#
        ))
        .await;
    }
}

#[tokio::test]
async fn retry_takes_a_row_only_from_where_the_job_left_it() {
    let db = files().await;
    settled(
        &db,
        &[
            (1, "ERROR", "TASK_FAILED", "exit code 3"),
            (2, "PROCESSING", "CANCELLED", "by hand"),
            (3, "REGISTERED", "LOST", "gone"),
            (4, "PROCESSED", "TIMED_OUT", "too long"),
            (5, "ARCHIVED", "TASK_FAILED", "exit code 3"),
            (6, "PROCESSED", "SUCCEEDED", ""),
            (7, "ERROR", "RUNNER_FAILED", "no image"),
        ],
    )
    .await;
    db.run("delete from rowcall.files where id = 7").await;
    let new_job: i64 = db.one("select rowcall.retry(101)").await;
    assert_eq!(db.one::<i64>("select id from rowcall.jobs").await, new_job);
    assert_eq!(jobs(&db).await, "1 pending ERROR");
    let table: String = db
        .one(
            "select string_agg(concat_ws(' ', job, new_job is not null, problem), E'\\n' order by job)
              from rowcall.retry(array[107, 101, 102, 103, 104, 104, 105, 106, 108])",
        )
        .await;
    assert_eq!(
        table,
        format!(
            "101 f job {new_job} of the same task and row is pending already\n102 t\n103 t\n104 t\n\
             105 f the row {{\"id\": 5}} of rowcall.files has moved on to ARCHIVED\n106 f job 106 has succeeded\n\
             107 f the row {{\"id\": 7}} of rowcall.files is gone\n108 f no job 108 is known"
        )
    );
    assert_eq!(jobs(&db).await, "1 pending ERROR, 2 pending PROCESSING, 3 pending, 4 pending PROCESSED");
    let refused = db.refused("select rowcall.retry(105)").await;
    assert!(
        refused.starts_with("RC014") && refused.contains("rowcall.run('loader', 'rowcall.files', key)"),
        "{refused}"
    );
}

#[tokio::test]
async fn retry_makes_a_waiting_or_blocked_job_due_but_no_running_one() {
    let db = files().await;
    let job: i64 = db.one("select rowcall.run('loader', 'rowcall.files', 1)").await;
    for state in [
        "state = 'waiting', due_at = now() + interval '1 h', failures = 1",
        "state = 'blocked', blocked_at = now(), reason = 'x'",
    ] {
        db.run(&format!("update rowcall.jobs set {state}")).await;
        assert_eq!(db.one::<i64>(&format!("select rowcall.retry({job})")).await, job);
        assert_eq!(jobs(&db).await, "1 pending 1", "the attempts that it has had count on");
        assert!(db.one::<bool>("select due_at <= now() and reason is null from rowcall.jobs").await);
    }
    db.run("update rowcall.jobs set state = 'running'").await;
    let refused = db.refused(&format!("select rowcall.retry({job})")).await;
    assert!(refused.starts_with(&format!("RC014 job {job} runs now")), "{refused}");
}

#[tokio::test]
async fn retry_failed_takes_a_rows_latest_failure_if_nothing_followed() {
    let db = files().await;
    settled(
        &db,
        &[
            (1, "ERROR", "TASK_FAILED", "exit code 3: disk full"),
            (2, "ERROR", "TASK_FAILED", "exit code 1"),
            (3, "ERROR", "TIMED_OUT", "disk full, and slow"),
            (4, "ERROR", "TASK_FAILED", "disk full"),
            (5, "ERROR", "CANCELLED", "disk full"),
            (6, "ERROR", "TASK_FAILED", "disk full"),
            (8, "ERROR", "LOST", "disk full"),
        ],
    )
    .await;
    db.run(
        r#"update rowcall.history set settled_at = now() - interval '2 days' where job_id = 104;
           insert into rowcall.history (job_id, task, source_table, row_key, on_status, outcome, attempt_count, created_at, settled_at)
           values (999, 'loader', 'rowcall.files', '{"id": 6}', 'REGISTERED', 'SUCCEEDED', 1, now(), now() + interval '1 s'),
                  (50, 'loader', 'rowcall.files', '{"id": 1}', 'REGISTERED', 'TASK_FAILED', 1, now(), now() - interval '1 h');
           select rowcall.run('loader', 'rowcall.files', 8)"#,
    )
    .await;
    let admin = db.connect_as(ADMIN).await;
    let retried = async |call: &str| -> String {
        let rows = admin
            .query(&format!("select job, new_job, problem from rowcall.retry_failed({call})"), &[])
            .await
            .unwrap();
        let line = |row: &tokio_postgres::Row| {
            format!("{}{}", row.get::<_, i64>(0), row.get::<_, Option<String>>(2).unwrap_or_default())
        };
        rows.iter().map(line).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(retried("'loader', '%disk full%'").await, "101 103");
    assert_eq!(retried("'loader', '%disk full%'").await, "", "they are queued now");
    assert_eq!(retried("since => now() - interval '3 days'").await, "102 104");
    assert_eq!(db.jobs("loader").await, 5);
    let refused = db.refused("select rowcall.retry_failed('loadr')").await;
    assert!(refused.contains("Did you mean loader?"), "{refused}");
}

#[tokio::test]
async fn pause_and_resume_say_whether_they_changed_anything() {
    let db = files().await;
    let mut heard = crate::support::TestDatabase::connect_as(&db, ADMIN).await;
    for (call, changed, paused) in [
        ("pause('the move')", true, Some((ADMIN, "the move"))),
        ("pause('something else')", false, Some((ADMIN, "the move"))),
        ("resume()", true, None),
        ("resume()", false, None),
    ] {
        let row = heard.query_one(&format!("select rowcall.{call}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, bool>(0), changed, "{call}");
        let transaction = heard.transaction().await.unwrap();
        let row = transaction
            .query_one("select paused_by, pause_reason, paused_at is not null from rowcall.control", &[])
            .await
            .unwrap();
        let (by, reason): (Option<&str>, Option<&str>) = (row.get(0), row.get(1));
        assert_eq!(by.zip(reason), paused, "{call}");
        assert_eq!(row.get::<_, bool>(2), paused.is_some());
    }
}

#[tokio::test]
async fn what_was_retried_runs() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("max_attempts, status_failed", "1, null")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let first = running.launch().await;
    running.end(&first, End::exited(3));
    db.until("select count(*) = 1 from rowcall.history").await;
    db.run("update rowcall.files set status = 'DONE'; update rowcall.files set attributes = null").await;
    assert!(
        db.refused(&format!("select rowcall.retry({})", first.attempt.job_id))
            .await
            .contains("moved on to DONE")
    );
    db.run("begin; set local session_replication_role = replica; update rowcall.files set status = 'REGISTERED'; commit").await;
    let new_job: JobId = db.one(&format!("select rowcall.retry({})", first.attempt.job_id)).await;
    let second = running.launch().await;
    assert_eq!(second.attempt.job_id, new_job);
    running.stop().await;
}

#[tokio::test]
async fn a_failed_or_succeeded_row_is_run_again_from_where_it_stands() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("max_attempts", "1")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let first = running.launch().await;
    running.end(&first, End::exited(3));
    db.until("select status = 'ERROR' from rowcall.files").await;
    db.until("select count(*) = 0 from rowcall.jobs").await;
    let retried: String =
        db.one("select string_agg(concat(job, problem), ' ') from rowcall.retry_failed('loader', 'exit code 3%')").await;
    assert_eq!(retried, first.attempt.job_id.to_string());
    let second = running.launch().await;
    db.until("select status = 'PROCESSING' from rowcall.files").await;
    running.end(&second, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    db.until("select count(*) = 0 from rowcall.jobs").await;
    let job: JobId = db.one("select rowcall.run('loader', 'rowcall.files', 1)").await;
    let third = running.launch().await;
    assert_eq!(third.attempt.job_id, job);
    // Asked for while it runs, the row stands in its running status when the next run starts.
    db.run("select rowcall.run('loader', 'rowcall.files', 1)").await;
    running.end(&third, End::exited(0));
    let fourth = running.launch().await;
    running.end(&fourth, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    db.until("select count(*) = 0 from rowcall.jobs").await;
    let outcomes: String =
        db.one("select string_agg(outcome, ' ' order by settled_at) from rowcall.history").await;
    assert_eq!(outcomes, "TASK_FAILED SUCCEEDED SUCCEEDED SUCCEEDED");
    running.stop().await;
}

#[tokio::test]
async fn nothing_starts_while_all_is_paused() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let admin = db.connect_as(ADMIN).await;
    admin.batch_execute("select rowcall.pause('the move')").await.unwrap();
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    running.beats(&db).await;
    assert!(!running.launched_more());
    admin.batch_execute("select rowcall.resume()").await.unwrap();
    running.launch().await;
    running.stop().await;
}

#[tokio::test]
async fn a_notice_says_what_keeps_it_from_starting() {
    let db = files().await;
    db.run("insert into rowcall.dispatchers (host, pid, version, runners) values ('h', 1, 'v', '{docker}')")
        .await;
    let (client, ear) = crate::ear::Ear::open(&db).await;
    client.batch_execute("select rowcall.run('loader', 'rowcall.files', 1)").await.unwrap();
    assert!(ear.notices().is_empty());
    db.run("update rowcall.parameters set enabled = false").await;
    client.batch_execute("select rowcall.run('loader', 'rowcall.files', 2)").await.unwrap();
    assert_eq!(ear.notices(), ["it will not start for now: loader is disabled"]);
    client.batch_execute("select * from rowcall.retry(array(select id from rowcall.jobs))").await.unwrap();
    assert_eq!(ear.notices().len(), 1, "not one for each of many");
    assert_eq!(jobs(&db).await, "1 pending, 2 pending");
}
