//! The table that DBAs edit: what it refuses, what it keeps, and when an edit takes effect.

use std::sync::Arc;

use futures_util::future::select_all;

use crate::support::{Running, TestDatabase, settings};
use rowcall::job::End;

#[tokio::test]
async fn every_check_names_what_is_wrong() {
    let db = TestDatabase::new().await;
    let huge = format!("1{}", "0".repeat(309));
    let huge = format!("'{{\"n\": {huge}}}'");
    let cases: &[(&str, &str, &str)] = &[
        ("name", "'two words'", "name_is_a_word"),
        ("name", "null", "\"name\""),
        ("on_status", "''", "on_status_is_not_empty"),
        ("on_status", "null", "\"on_status\""),
        ("runner", "'kubernetes'", "runner_is_known"),
        ("target", "''", "target_is_not_empty"),
        ("condition", "'$.a ='", "jsonpath"),
        ("condition", "'$.a == $b'", "parameters.condition: variables are not known here"),
        ("settings", "'[]'", "settings_is_an_object"),
        ("settings", &huge, "settings_has_no_huge_number"),
        ("command", "array['a', null]", "command_has_no_null"),
        ("command", "'{{a,b},{c,d}}'", "command_is_a_plain_list"),
        ("environment", "'\"A\"'", "environment_is_an_object"),
        (
            "environment",
            r#"'{"A B": "x"}'"#,
            r#"parameters.environment: "A B": "x" is not a variable name with a string"#,
        ),
        (
            "environment",
            r#"'{"A": 1}'"#,
            r#"parameters.environment: "A": 1 is not a variable name with a string"#,
        ),
        ("environment", r#"'{"ROWCALL_TOKEN": "x"}'"#, "the name ROWCALL_TOKEN is Rowcall's own"),
        ("\"values\"", "'1'", "values_is_an_object"),
        ("\"values\"", &huge, "values_has_no_huge_number"),
        ("max_attempts", "0", "max_attempts_is_1_to_100"),
        ("max_attempts", "101", "max_attempts_is_1_to_100"),
        ("backoff", "'0'", "backoff_is_positive"),
        ("backoff_max", "'1 second'", "backoff_max_is_at_least_backoff"),
        ("backoff_max", "'2 years'", "backoff_max_is_at_most_a_year"),
        ("timeout", "'-1 second'", "timeout_is_positive"),
        ("timeout", "'300000 years'", "timeout_is_at_most_a_year"),
        ("heartbeat_timeout", "'0'", "heartbeat_timeout_is_positive"),
        ("heartbeat_timeout", "'2 years'", "heartbeat_timeout_is_at_most_a_year"),
        ("launch_timeout", "'0'", "launch_timeout_is_positive"),
        ("launch_timeout", "'2 years'", "launch_timeout_is_at_most_a_year"),
        ("max_running", "0", "max_running_is_positive"),
        ("priority", "101", "priority_is_minus_100_to_100"),
        ("status_running", "'REGISTERED'", "status_running_differs_from_on_status"),
        ("status_succeeded", "'REGISTERED'", "status_succeeded_differs_from_on_status"),
        ("status_failed", "'REGISTERED'", "status_failed_differs_from_on_status"),
        ("status_failed", "''", "status_failed_differs_from_on_status"),
        ("completion", "'maybe'", "completion_is_exit_or_report"),
        ("result_column", "'nothing'", "parameters.result_column: rowcall.files has no jsonb column nothing"),
        ("result_column", "'status'", "parameters.result_column: rowcall.files has no jsonb column status"),
        ("source_table", "'rowcall.jobs'", "parameters.source_table: table rowcall.jobs is not watched"),
        ("source_table", "'nowhere'", "relation \"nowhere\" does not exist"),
    ];
    // Of a runner whose settings only the columns' own checks look at.
    db.task("good", "REGISTERED", ("runner, target", "'process', '/bin/true'")).await;
    for (column, value, said) in cases {
        let refused = db.refused(&format!("update rowcall.parameters set {column} = {value}")).await;
        assert!(refused.contains(said), "{column} = {value}: {refused}");
    }
    assert_eq!(db.one::<i64>("select count(*) from rowcall.parameters_history").await, 1, "only the insert");
    let refused = db.refused("insert into rowcall.runner_defaults values ('docker', '[]')").await;
    assert!(refused.contains("settings_is_an_object"), "{refused}");
}

#[tokio::test]
async fn every_edit_is_kept_with_who_and_what() {
    let db = TestDatabase::new().await;
    let admin = format!("admin_of_{}", db.one::<String>("select current_database()::text").await);
    db.run(&format!("create role {admin} superuser; set session authorization {admin}")).await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run(
        "update rowcall.parameters set timeout = '2 hours'; update rowcall.parameters set name = 'renamed';
            delete from rowcall.parameters; reset session authorization",
    )
    .await;
    db.task("renamed", "REGISTERED", ("", "")).await;
    let kept: String = db
        .one(
            "select string_agg(concat_ws(' ', name, version, operation, changed_by, old->>'timeout', new->>'timeout'), '; '
             order by changed) from rowcall.parameters_history",
        )
        .await;
    let expected = format!(
        "loader 1 INSERT {admin} 01:00:00; loader 2 UPDATE {admin} 01:00:00 02:00:00; \
         renamed 3 UPDATE {admin} 02:00:00 02:00:00; renamed 4 DELETE {admin} 02:00:00; renamed 5 INSERT postgres 01:00:00"
    );
    assert_eq!(kept.replace(&db.one::<String>("select session_user::text").await, "postgres"), expected);
    db.run(&format!("drop role {admin}")).await;
}

#[tokio::test]
async fn a_disabled_task_keeps_its_jobs_until_it_is_enabled() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("enabled", "false")).await;
    db.task("other", "OTHER", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values; insert into rowcall.files (status) values ('OTHER')")
        .await;
    assert_eq!(running.launch().await.attempt.task, "other");
    assert_eq!(db.one::<String>("select state from rowcall.jobs where task = 'loader'").await, "pending");
    db.run("update rowcall.parameters set enabled = true").await;
    assert_eq!(running.launch().await.attempt.task, "loader");
    running.stop().await;
}

#[allow(clippy::many_single_char_names)] // one for each dispatcher
#[tokio::test]
async fn max_running_holds_across_dispatchers() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("max_running", "3")).await;
    // Counted where it cannot be missed: after every statement that changes jobs.
    db.run("create table public.highest (running bigint); grant all on public.highest to public;
            create function public.count_running() returns trigger language plpgsql as
            $$ begin insert into public.highest select count(*) from rowcall.jobs where state = 'running'; return null; end $$;
            create trigger count_running after update on rowcall.jobs for each statement execute function public.count_running()").await;
    let world = Arc::default();
    let mut dispatchers = Vec::new();
    for _ in 0..5 {
        dispatchers.push(Running::with(settings(&db.url), Arc::clone(&world)).await);
    }
    db.run("insert into rowcall.files select from generate_series(1, 40)").await;
    for _ in 0..40 {
        let next = dispatchers.iter_mut().map(|running| Box::pin(running.launch()));
        let (launched, ..) = select_all(next).await;
        world.end(&launched.attempt, End::exited(0));
    }
    db.until("select count(*) = 40 from rowcall.files where status = 'PROCESSED'").await;
    assert_eq!(db.one::<i64>("select max(running) from public.highest").await, 3);
    assert_eq!(world.distinct_launches(), 40);
    for running in dispatchers {
        running.stop().await;
    }
}

#[tokio::test]
async fn higher_priority_is_claimed_first() {
    let db = TestDatabase::new().await;
    for (name, status, priority) in [("low", "L", "-5"), ("high", "H", "7"), ("middle", "M", "0")] {
        db.task(name, status, ("priority", priority)).await;
    }
    db.run("insert into rowcall.files (status) values ('L'), ('M'), ('H'), ('H')").await;
    let mut one_by_one = settings(&db.url);
    one_by_one.dispatcher.batch = 1;
    one_by_one.dispatcher.launch_concurrency = 1;
    let mut running = Running::with(one_by_one, Arc::default()).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(running.launch().await.attempt.task);
    }
    assert_eq!(order, ["high", "high", "middle", "low"]);
    running.stop().await;
}

#[tokio::test]
async fn a_template_that_fails_blocks_its_job_with_the_reason() {
    let db = TestDatabase::new().await;
    db.task("unknown", "A", ("command", "'{load,\"{{ row.attributes.pth }}\"}'")).await;
    db.task("null", "B", ("environment", r#"'{"PATH_TO": "{{ row.attributes }}"}'"#)).await;
    db.task("broken", "C", ("command", "'{\"{{ row.\"}'")).await;
    db.task("good", "D", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (status) values ('A'), ('B'), ('C'), ('D')").await;
    assert_eq!(running.launch().await.attempt.task, "good");
    db.until("select count(*) = 3 from rowcall.jobs where state = 'blocked'").await;
    for (task, said) in [
        ("unknown", "parameters.command[2]: %row.attributes.pth%"),
        ("null", "parameters.environment.PATH_TO: %null%"),
        ("broken", "parameters.command[1]: %"),
    ] {
        let as_said: bool =
            db.one_with("select reason like $2 from rowcall.jobs where task = $1", &[&task, &said]).await;
        assert!(as_said, "{}", db.picture().await);
    }
    let rows: String = db.one("select string_agg(status, ' ' order by id) from rowcall.files").await;
    assert_eq!(rows, "A B C PROCESSING");
    assert_eq!(
        db.one::<i64>("select count(*) from rowcall.jobs where attempts > 0").await,
        1,
        "blocked spends nothing"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_job_runs_by_the_parameters_of_its_own_transaction() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("command", "'{0}'")).await;
    let mut running = Running::start(&db).await;
    for n in 1..=20 {
        // The first row keeps the claimer busy while the edit commits.
        db.run(&format!("insert into rowcall.files (id, status) values (-{n}, 'REGISTERED')")).await;
        db.run(&format!(
            "update rowcall.parameters set command = '{{{n}}}'; insert into rowcall.files (id) values ({n})"
        ))
        .await;
        running.launch().await;
        running.launch().await;
    }
    let others: i64 = db
        .one("select count(*) from rowcall.attempts where (row_key->>'id')::int > 0 and request->'command'->>0 <> row_key->>'id'")
        .await;
    assert_eq!(others, 0);
    running.stop().await;
}

#[tokio::test]
async fn jobs_of_a_task_renamed_or_deleted_are_blocked_until_the_name_is_back() {
    for edit in ["update rowcall.parameters set name = 'renamed'", "delete from rowcall.parameters"] {
        let db = TestDatabase::new().await;
        db.task("loader", "REGISTERED", ("enabled", "false")).await;
        let mut running = Running::start(&db).await;
        db.run("insert into rowcall.files default values").await;
        db.run(edit).await;
        db.until("select state = 'blocked' and reason = 'no parameters row named loader' from rowcall.jobs")
            .await;
        db.task("loader", "REGISTERED", ("", "")).await;
        assert_eq!(running.launch().await.attempt.task, "loader", "{edit}");
        running.stop().await;
    }
}

#[tokio::test]
async fn an_edit_takes_effect_on_the_next_claim_and_defaults_fill_settings() {
    let db = TestDatabase::new().await;
    db.run(r#"insert into rowcall.runner_defaults values ('docker', '{"cpu": 1, "pids_limit": 1}')"#).await;
    db.task(
        "loader",
        "REGISTERED",
        ("settings, \"values\", command", r#"'{"pids_limit": 2}', '{"x": 1}', '{"{{ values.x }}"}'"#),
    )
    .await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let first = running.launch().await;
    assert_eq!(
        (
            first.attempt.request.settings.to_string().as_str(),
            first.attempt.request.command.join("").as_str()
        ),
        (r#"{"cpu":1,"pids_limit":2}"#, "1")
    );
    db.run(r#"update rowcall.parameters set "values" = '{"x": 2}'; update rowcall.runner_defaults set settings = '{"cpu": 3}'"#).await;
    db.run("insert into rowcall.files default values").await;
    let second = running.launch().await;
    assert_eq!(
        (
            second.attempt.request.settings.to_string().as_str(),
            second.attempt.request.command.join("").as_str()
        ),
        (r#"{"cpu":3,"pids_limit":2}"#, "2")
    );
    running.stop().await;
}
