//! `rowcall.explain`: what is going on with a row, told to a person.

use crate::support::{Running, TestDatabase, VIEWER, settings};
use rowcall::job::End;

/// The lines, without the times and durations in them.
async fn explain(db: &TestDatabase, key: &str) -> String {
    db.one(&format!(
        r"select regexp_replace(regexp_replace(string_agg(line, E'\n' order by n),
              '\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\+\d\d', 'TIME', 'g'), '\d\d:\d\d:\d\d', 'SPAN', 'g')
          from rowcall.explain('rowcall.files', {key}) with ordinality as e(line, n)"
    ))
    .await
}

/// With a dispatcher that is said to offer docker, and a pending job.
async fn queued() -> (TestDatabase, i64) {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run(
        "insert into rowcall.dispatchers (host, pid, version, runners) values ('h', 1, 'v', '{docker}');
         insert into rowcall.files (id) values (42)",
    )
    .await;
    let job = db.one("select id from rowcall.jobs").await;
    (db, job)
}

#[tokio::test]
async fn a_job_says_what_it_waits_for() {
    let (db, job) = queued().await;
    assert_eq!(
        explain(&db, "42").await,
        format!(
            "rowcall.files 42: status is REGISTERED\nloader, job {job}: pending since TIME: a dispatcher starts it as soon as it has room"
        )
    );
    let running = r#"insert into rowcall.jobs (task, source_table, row_key, short_key, on_status, state, concurrency_key)
        values ('loader', 'rowcall.files', '{"id": 1}', '{"id": 1}', 'REGISTERED', 'running', 'customer-7')"#;
    for (change, undo, line) in [
        ("insert into rowcall.jobs (task, source_table, row_key, short_key, on_status, due_at) select 'loader', 'rowcall.files',
          jsonb_build_object('id', n), jsonb_build_object('id', n)::text, 'REGISTERED', now() - interval '1 hour' from generate_series(1, 3) n",
            "delete from rowcall.jobs where due_at < now() - interval '30 minutes'", "pending since TIME: before it are 3 jobs of this task"),
        ("insert into rowcall.parameters (name, on_status, runner, target, priority) values ('other', 'X', 'docker', 'x', 0), ('urgent', 'Y', 'docker', 'x', 1);
          insert into rowcall.jobs (task, source_table, row_key, short_key, on_status) select t, 'rowcall.files', jsonb_build_object('id', n), jsonb_build_object('id', n)::text, 'X'
          from generate_series(1, 3) n, unnest('{other,urgent}'::text[]) t",
            "delete from rowcall.jobs where task <> 'loader'; delete from rowcall.parameters where name <> 'loader'",
            "pending since TIME: before it are 4 jobs of other tasks on the runner docker"),
        ("update rowcall.parameters set enabled = false", "update rowcall.parameters set enabled = true", "loader is disabled"),
        ("select rowcall.pause('the move')", "select rowcall.resume()", "paused since TIME by postgres: the move"),
        ("update rowcall.dispatchers set stopped_at = now()", "update rowcall.dispatchers set stopped_at = null",
            "no running dispatcher offers the runner docker"),
        (&format!("update rowcall.parameters set max_running = 1; {running}"),
            "update rowcall.parameters set max_running = null; delete from rowcall.jobs where state = 'running'",
            "waiting for max_running of loader: 1 of 1 running"),
        (&format!("update rowcall.parameters set concurrency_key = '{{{{ row.id }}}}'; update rowcall.jobs set concurrency_key = 'customer-7'; {running}"),
            "delete from rowcall.jobs where state = 'running'",
            "waiting for max_running_per_key of loader: 1 of 1 running for customer-7"),
        ("update rowcall.jobs set state = 'blocked', blocked_at = now(), reason = 'settings.cluster is missing'",
            "update rowcall.jobs set state = 'pending'", "blocked since TIME: settings.cluster is missing"),
        ("update rowcall.jobs set state = 'waiting', due_at = now() + interval '40.5 seconds', reason = 'somebody''s transaction holds the row'",
            "update rowcall.jobs set state = 'pending'", "tried again in SPAN: somebody's transaction holds the row"),
        ("delete from rowcall.parameters", "select rowcall.restore_parameters('loader', 1)", "no parameters row named loader"),
    ] {
        db.run(change).await;
        let lines = explain(&db, "42").await;
        assert!(lines.contains(line), "{change}: {lines}");
        db.run(undo).await;
    }
}

#[tokio::test]
async fn a_row_without_a_job_says_why() {
    let (db, _) = queued().await;
    db.run("delete from rowcall.jobs").await;
    let known = explain(&db, "42").await;
    assert!(known.contains("loader starts on REGISTERED, but no job of it is known"), "{known}");
    for (change, undo, line) in [
        (
            "alter table rowcall.files disable trigger rowcall_insert",
            "alter table rowcall.files enable trigger rowcall_insert",
            "loader starts on REGISTERED, but the trigger rowcall_insert is disabled on rowcall.files",
        ),
        (
            "drop trigger rowcall_update on rowcall.files",
            "select rowcall_internal.install_triggers('rowcall.files')",
            "the trigger rowcall_update is missing on rowcall.files",
        ),
        (
            "update rowcall.parameters set condition = '$.attributes.size > 1'",
            "update rowcall.parameters set condition = null",
            r#"loader starts on REGISTERED, but its condition is not met: ($."attributes"."size" > 1)"#,
        ),
        (
            r#"insert into rowcall.missed_rows (source_table, row_key, error) values ('rowcall.files', '{"id": 42}', 'disk full')"#,
            "delete from rowcall.missed_rows",
            "the row is noted in rowcall.missed_rows since TIME (disk full)",
        ),
        (
            "update rowcall.files set status = 'DONE'",
            "update rowcall.files set status = 'REGISTERED'; delete from rowcall.jobs",
            "no task starts on DONE. Tasks of rowcall.files start on REGISTERED (loader)",
        ),
        (
            "delete from rowcall.parameters",
            "select rowcall.restore_parameters('loader', 1)",
            "nothing starts: no task in rowcall.parameters has the source_table rowcall.files",
        ),
    ] {
        db.run(change).await;
        let lines = explain(&db, "42").await;
        assert!(lines.contains(line), "{change}: {lines}");
        db.run(undo).await;
    }
    assert_eq!(
        explain(&db, "7").await,
        "rowcall.files 7: there is no such row now\nno job is known for this key"
    );
    let unwatched: String = db.one("select rowcall.explain('pg_class', 1)").await;
    assert!(unwatched.starts_with("pg_class is not watched by Rowcall"), "{unwatched}");
}

#[tokio::test]
async fn from_the_first_attempt_to_the_end_of_a_deleted_row() {
    let db = TestDatabase::new().await;
    db.task(
        "loader",
        "REGISTERED",
        ("max_attempts, backoff, backoff_max, heartbeat_timeout", "2, '1 h', '1 h', '5 min'"),
    )
    .await;
    let mut slow = settings(&db.url);
    slow.dispatcher.dead_after = std::time::Duration::from_secs(30);
    let mut running = Running::with(slow, std::sync::Arc::default()).await;
    db.run("insert into rowcall.files (id) values (42)").await;
    let first = running.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    let task = db.connect_as(crate::support::TASKS).await;
    task.query("select rowcall.task_start($1)", &[&first.token]).await.unwrap();
    task.query("select rowcall.task_progress($1, 0.4, 'half way')", &[&first.token]).await.unwrap();
    let job = first.attempt.job_id;
    let external = format!("fake {}", first.attempt.launch_key);
    assert_eq!(
        explain(&db, "42").await,
        format!(
            "rowcall.files 42: status is PROCESSING\n\
             loader, job {job}: running: attempt 1 on docker, {external}, since TIME (SPAN)\n    \
             its program runs since TIME; timeout in SPAN\n    \
             last heard of SPAN ago, progress 40 %: half way; heartbeat_timeout in SPAN"
        )
    );
    running.end(&first, End::exited(3));
    db.until("select state = 'waiting' from rowcall.jobs").await;
    let one = format!("    attempt 1 on docker ({external}), TIME for SPAN: TASK_FAILED, exit code 3");
    assert_eq!(
        explain(&db, "42").await,
        format!(
            "rowcall.files 42: status is PROCESSING\nloader, job {job}: retry 2 of 2 in SPAN: exit code 3\n{one}"
        )
    );
    db.run(&format!("select rowcall.retry({job})")).await;
    let second = running.launch().await;
    let mut end = End::exited(1);
    end.output = Some("no such file".to_owned());
    running.end(&second, end);
    db.until("select count(*) = 1 from rowcall.history").await;
    let lines = explain(&db, "42").await;
    let settled = format!(
        "loader, job {job}: TASK_FAILED at TIME after 2 attempts: exit code 1: no such file (attempt 2 of 2)\n    \
         attempt 2 on docker (fake {}), TIME for SPAN: TASK_FAILED, exit code 1: no such file (attempt 2 of 2)\n{one}",
        second.attempt.launch_key
    );
    assert_eq!(
        lines,
        format!(
            "rowcall.files 42: status is ERROR\n\
             nothing waits to start: no task starts on ERROR. Tasks of rowcall.files start on REGISTERED (loader)\n{settled}"
        )
    );
    db.run("delete from rowcall.files").await;
    assert_eq!(explain(&db, "42").await, format!("rowcall.files 42: there is no such row now\n{settled}"));
    running.stop().await;
}

#[tokio::test]
async fn a_long_history_is_cut_with_a_word_on_how_long_it_is() {
    let (db, _) = queued().await;
    db.run(
        r#"delete from rowcall.jobs;
           insert into rowcall.history (job_id, task, source_table, row_key, on_status, outcome, attempt_count, message, created_at, settled_at)
           select 1000 + n, 'loader', 'rowcall.files', '{"id": 42}', 'REGISTERED', 'TASK_FAILED', 1, 'run ' || n, now(),
               now() - make_interval(hours => 20 - n) from generate_series(1, 15) n;
           update rowcall.history set write_back = 'moved' where job_id = 1015"#,
    )
    .await;
    let lines = explain(&db, "42").await;
    assert!(lines.contains("loader has run for this row (see below)"), "{lines}");
    let lines: Vec<_> = lines.lines().skip(2).collect();
    assert_eq!(lines.len(), 12, "{lines:?}");
    assert!(
        lines[0].starts_with("loader, job 1015: TASK_FAILED at TIME after 1 attempt: run 15"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "    the row was not written: it had another status by then");
    assert!(lines[11].starts_with("and 5 older jobs: SELECT * FROM rowcall.history WHERE"), "{lines:?}");
    let query = lines[11].split_once(": ").unwrap().1;
    assert_eq!(db.client.query(query, &[]).await.unwrap().len(), 15);
}

#[tokio::test]
async fn views_show_what_runs_what_failed_and_how_long_it_takes() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("max_attempts, command", "1, '{\"{{ row.id }}\"}'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
    let mut launches = [running.launch().await, running.launch().await, running.launch().await];
    launches.sort_by_key(|launched| launched.attempt.request.command.clone());
    db.run("select rowcall.cancel(id, 'typo') from rowcall.jobs where row_key = '{\"id\": 3}'").await;
    running.end(&launches[0], End::exited(0));
    running.end(&launches[1], End::exited(3));
    running.end(&launches[2], End::exited(143));
    db.until("select count(*) = 3 from rowcall.history").await;
    db.run("insert into rowcall.files (id) values (4), (5)").await;
    running.launch().await;
    db.until("select count(*) = 2 from rowcall.running").await;
    db.run("update rowcall_internal.jobs set state = 'blocked', blocked_at = now(), reason = 'no such image' where row_key = '{\"id\": 5}'")
        .await;
    let viewer = db.connect_as(VIEWER).await;
    for (sql, expected) in [
        (
            "select string_agg(concat_ws(' ', row_key->>'id', outcome, message, cancelled_by, succeeded_since), '; ' order by row_key->>'id') from rowcall.failed",
            "2 TASK_FAILED exit code 3 f; 3 CANCELLED typo postgres f",
        ),
        (
            "select concat_ws(' ', task, attempts, run_median >= '0', run_longest < '1 minute') from rowcall.durations",
            "loader 1 t t",
        ),
        ("select concat_ws(' ', row_key->>'id', reason) from rowcall.blocked", "5 no such image"),
        (
            "select concat_ws(' ', state, outcome, cause, reason) from rowcall.jobs_of('rowcall.files', 2)",
            "settled TASK_FAILED exit_code exit code 3",
        ),
        ("select concat_ws(' ', state, task) from rowcall.jobs_of('rowcall.files', '4')", "running loader"),
        ("select count(*)::text from rowcall.jobs_of('rowcall.files', 9)", "0"),
    ] {
        let told: String = viewer.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!(told, expected, "{sql}");
    }
    let why: String = db.one("select string_agg(e, ' ') from rowcall.explain('rowcall.files', 3) e").await;
    assert!(why.contains("after 1 attempt, by postgres: typo"), "{why}");
    running.stop().await;
}
