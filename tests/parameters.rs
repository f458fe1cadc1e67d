//! The table that DBAs edit: what it refuses, what it keeps, and when an edit takes effect.

use std::sync::Arc;

use futures_util::future::select_all;

use crate::support::{Running, TestDatabase, settings};
use rowcall::job::End;

/// Column, value, and what is said of it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "name",
        "'two words'",
        "parameters.name must be letters, digits, _ and -, up to 63 of them, with a letter or _ first, and is \"two words\"",
    ),
    ("name", "null", "parameters.name must be letters"),
    ("on_status", "''", "parameters.on_status must be a string that is not empty, and is \"\""),
    ("on_status", "null", "parameters.on_status must be a string that is not empty, and is null"),
    (
        "runner",
        "'kubernetes'",
        "parameters.runner must be process, docker, ecs or lambda, and is \"kubernetes\"",
    ),
    ("runner", "'dokcer'", "and is \"dokcer\"; did you mean docker?"),
    ("runner", "null", "parameters.runner must be process, docker, ecs or lambda, and is null"),
    ("target", "''", "parameters.target must be a string that is not empty, and is \"\""),
    ("condition", "'$.a ='", "jsonpath"),
    ("condition", "'$.a == $b'", "parameters.condition: a condition must not use variables"),
    ("settings", "'[]'", "parameters.settings must be an object of at most 100 levels, and is []"),
    (
        "settings",
        r#"'{"max_runing": 5}'"#,
        "settings.max_runing: the process runner takes no settings; did you mean the column max_running?",
    ),
    (
        "command",
        "array['a', null]",
        "parameters.command must be a flat array of strings, and is [\"a\", null]",
    ),
    ("command", "'{{a,b},{c,d}}'", "parameters.command must be a flat array of strings"),
    (
        "environment",
        "'\"A\"'",
        "parameters.environment must be an object such as {\"NAME\": \"string or {{ template }}\"}, and is \"A\"",
    ),
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
    ("environment", r#"'{"ROWCALL_JOB": "x"}'"#, "the name ROWCALL_JOB is Rowcall's own"),
    ("\"values\"", "'1'", "parameters.values must be an object"),
    ("max_attempts", "0", "parameters.max_attempts must be an integer from 1 to 100, and is 0"),
    ("max_attempts", "101", "parameters.max_attempts must be an integer from 1 to 100, and is 101"),
    (
        "backoff",
        "'0'",
        "parameters.backoff must be an interval, more than 0 and at most a year of 360 days, and is 00:00:00",
    ),
    (
        "backoff_max",
        "'1 second'",
        "parameters.backoff_max must be at least backoff, which is 00:00:10, and is 00:00:01",
    ),
    (
        "backoff",
        "'1 day'",
        "parameters.backoff_max must be at least backoff, which is 1 day, and is 00:10:00",
    ),
    (
        "backoff_max",
        "'2 years'",
        "parameters.backoff_max must be an interval, more than 0 and at most a year of 360 days, and is 2 years",
    ),
    (
        "timeout",
        "'-1 second'",
        "parameters.timeout must be an interval, more than 0 and at most a year of 360 days, and is -00:00:01",
    ),
    ("timeout", "'300000 years'", "parameters.timeout must be an interval"),
    ("timeout", "'365 days'", "parameters.timeout must be an interval"),
    (
        "timeout",
        "null",
        "parameters.timeout must be an interval, more than 0 and at most a year of 360 days, and is null",
    ),
    ("heartbeat_timeout", "'0'", "parameters.heartbeat_timeout must be an interval"),
    ("heartbeat_timeout", "'2 years'", "parameters.heartbeat_timeout must be an interval"),
    ("launch_timeout", "'0'", "parameters.launch_timeout must be an interval"),
    ("launch_timeout", "'2 years'", "parameters.launch_timeout must be an interval"),
    (
        "retry_on",
        "'{TASK_FAILED,TIMD_OUT}'",
        "parameters.retry_on[2] must be TASK_FAILED, TIMED_OUT, RUNNER_FAILED, LOST, exit:N or exit:N-M, each with a ! before it or without, and is \"TIMD_OUT\"; did you mean TIMED_OUT?",
    ),
    ("retry_on", "'{lost}'", "and is \"lost\"; did you mean LOST?"),
    ("retry_on", "'{exit=2}'", "parameters.retry_on[1] must be"),
    ("retry_on", "'{SUCCEEDED}'", "parameters.retry_on[1] must be"),
    ("retry_on", "array['LOST', null]", "parameters.retry_on[2] must be"),
    (
        "retry_on",
        "'{exit:256}'",
        "parameters.retry_on[1]: exit codes go from 0 to 255, the smaller first, and it is \"exit:256\"",
    ),
    (
        "retry_on",
        "'{LOST,!exit:9-2}'",
        "parameters.retry_on[2]: exit codes go from 0 to 255, the smaller first",
    ),
    (
        "retry_on",
        "'{!LOST,!exit:2}'",
        "parameters.retry_on has only words with a ! before them, and so retries nothing",
    ),
    ("max_running", "0", "parameters.max_running must be an integer, at least 1, and is 0"),
    (
        "concurrency_key",
        "'customer'",
        "parameters.concurrency_key must be a template with {{ … }} in it, such as {{ row.attributes.customer }}, and is \"customer\"",
    ),
    ("max_running_per_key", "2", "parameters.max_running_per_key is 2, and there is no concurrency_key"),
    ("max_running_per_key", "0", "parameters.max_running_per_key must be an integer, at least 1, and is 0"),
    ("priority", "101", "parameters.priority must be an integer from -100 to 100, and is 101"),
    (
        "status_running",
        "'REGISTERED'",
        "parameters.status_running must differ from on_status, and both are \"REGISTERED\"",
    ),
    ("status_succeeded", "'REGISTERED'", "parameters.status_succeeded must differ from on_status"),
    ("status_failed", "'REGISTERED'", "parameters.status_failed must differ from on_status"),
    ("on_status", "'ERROR'", "parameters.status_failed must differ from on_status"),
    (
        "status_failed",
        "''",
        "parameters.status_failed must be a string that is not empty, and not on_status, and is \"\"",
    ),
    (
        "status_running_by",
        "'taks'",
        "parameters.status_running_by must be rowcall or task, and is \"taks\"; did you mean task?",
    ),
    ("completion", "'maybe'", "parameters.completion must be exit or report, and is \"maybe\""),
    ("completion", "'exti'", "did you mean exit?"),
    (
        "notify_channel",
        "'rowcall_files'",
        "parameters.notify_channel must be letters, digits and _, up to 63 of them, beginning with no digit and not with rowcall_",
    ),
    ("notify_channel", "'two words'", "parameters.notify_channel must be"),
    ("result_column", "'nothing'", "parameters.result_column: rowcall.files has no jsonb column nothing"),
    ("result_column", "'status'", "parameters.result_column: rowcall.files has no jsonb column status"),
    ("source_table", "'rowcall.jobs'", "parameters.source_table: table rowcall.jobs is not watched"),
    ("source_table", "'nowhere'", "relation \"nowhere\" does not exist"),
];

#[tokio::test]
async fn every_check_names_what_is_wrong() {
    let db = TestDatabase::new().await;
    let deep = format!("'{{\"n\": {}{}}}'", "[".repeat(100), "]".repeat(100));
    // Of a runner whose settings only the columns' own checks look at.
    db.task("good", "REGISTERED", ("runner, target", "'process', '/bin/true'")).await;
    let levels = "must be an object of at most 100 levels";
    let too_deep = [("settings", deep.as_str(), levels), ("\"values\"", deep.as_str(), levels)];
    for (column, value, said) in WRONG.iter().chain(&too_deep) {
        let refused = db.refused(&format!("update rowcall.parameters set {column} = {value}")).await;
        assert!(refused.contains(said), "{column} = {value}: {refused}");
        assert!(!refused.contains("violates"), "a constraint was quicker: {column} = {value}: {refused}");
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
             order by changed_at) from rowcall.parameters_history",
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
            create trigger count_running after update on rowcall_internal.jobs for each statement execute function public.count_running()").await;
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
    db.task("column", "C", ("command", "'{\"{{ row.pth or 1 }}\"}'")).await;
    db.task("good", "D", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (status) values ('A'), ('B'), ('C'), ('D')").await;
    assert_eq!(running.launch().await.attempt.task, "good");
    db.until("select count(*) = 3 from rowcall.jobs where state = 'blocked'").await;
    for (task, said) in [
        ("unknown", "parameters.command[2]: %row.attributes.pth%"),
        ("null", "parameters.environment.PATH_TO: %null%"),
        ("column", "parameters.command[1]: {{ row.pth or 1 }}: the table has no column pth"),
    ] {
        let as_said: bool =
            db.one_with("select reason like $2 from rowcall.jobs where task = $1", &[&task, &said]).await;
        assert!(as_said, "{}", db.picture().await);
    }
    let rows: String = db.one("select string_agg(status, ' ' order by id) from rowcall.files").await;
    assert_eq!(rows, "A B C PROCESSING");
    assert_eq!(
        db.one::<i64>("select count(*) from rowcall.jobs where attempt_count > 0").await,
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
        .one("select count(*) from rowcall.attempts where (row_key->>'id')::int > 0 and request->'launch'->'command'->>0 <> row_key->>'id'")
        .await;
    assert_eq!(others, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_task_renamed_or_deleted_blocks_jobs_until_the_name_is_back() {
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
async fn an_edit_acts_on_the_next_claim_and_defaults_fill_settings() {
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

#[tokio::test]
async fn a_process_has_a_full_path_and_known_words_to_retry_on() {
    let db = TestDatabase::new().await;
    let insert = |more: &str| {
        format!(
            "insert into rowcall.parameters (name, on_status, runner, target, environment, command, retry_on) values ('a', 'N', 'process', {more})"
        )
    };
    for (more, part) in [
        ("'load', '{}', '{}', '{}'", "must be the full path of a program"),
        ("'/bin/{{ row.id }}', '{}', '{}', '{}'", "must be the full path of a program"),
        ("'/bin/true', '{}', '{}', '{exit}'", "and is \"exit\" "),
    ] {
        let refused = db.refused(&insert(more)).await;
        assert!(refused.contains(part), "{more}: {refused}");
        assert!(!refused.contains("did you mean exit"), "{refused}");
    }
    let refused = db.refused(&insert("'/bin/true', '{}', array[repeat('{{ row.id }} ', 15000)], '{}'")).await;
    assert!(refused.contains("parameters.command[1]: it has more than 100 expressions"), "{refused}");
}

#[tokio::test]
async fn a_word_that_the_status_column_does_not_take_is_refused() {
    let db = TestDatabase::new().await;
    db.run(
        "create type st as enum ('NEW', 'PROCESSING', 'DONE'); create table words (word text primary key);
         insert into words values ('NEW'), ('PROCESSING'), ('PROCESSED'); grant select on words to rowcall_writer;
         create table enums (id int primary key, status st);
         create table checked (id int primary key, status text check (status in ('NEW', 'PROCESSING', 'PROCESSED')));
         create table refers (id int primary key, status text references words);
         select rowcall.watch('enums'), rowcall.watch('checked'), rowcall.watch('refers')",
    )
    .await;
    let insert = |table: &str, more: &str, values: &str| {
        format!("insert into rowcall.parameters (name, source_table, on_status, runner, target, result_column{more})
                 values ('a', '{table}', 'NEW', 'docker', 'x', null{values})")
    };
    for (table, more, values, said) in [
        (
            "enums",
            "",
            "",
            "parameters.status_succeeded: the status column of public.enums does not take PROCESSED",
        ),
        (
            "enums",
            ", status_succeeded",
            ", 'DONE'",
            "parameters.status_failed: the status column of public.enums does not take ERROR: invalid input value for enum public.st: \"ERROR\"; it takes NEW, PROCESSING, DONE",
        ),
        ("checked", "", "", "does not take ERROR: its constraint checked_status_check refuses it"),
        ("refers", "", "", "does not take ERROR: public.words, which it refers to, has no such row"),
    ] {
        let refused = db.refused(&insert(table, more, values)).await;
        assert!(refused.contains(said), "{refused}");
    }
    db.run(&insert("refers", ", status_failed", ", null")).await;
}
