//! What went wrong with trigger-driven dispatch before us, each fault by name.

use crate::ear::Ear;
use crate::support::{Running, TestDatabase};
use rowcall::job::End;

/// A task on REGISTERED whose command is the row's id.
async fn loader(db: &TestDatabase) {
    db.task("loader", "REGISTERED", ("command, max_attempts", "'{\"{{ row.id }}\"}', 1")).await;
}

#[tokio::test]
async fn an_insert_with_another_status_runs_nothing() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.task("download", "DOWNLOAD_REQUESTED", ("", "")).await;
    db.run("insert into rowcall.files (status) values ('IMPORTED'), ('registered'), ('REGISTERED '), ('')")
        .await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    db.run("insert into rowcall.files (status) values ('DOWNLOAD_REQUESTED')").await;
    assert_eq!((db.jobs("download").await, db.jobs("loader").await), (1, 0));
}

#[tokio::test]
async fn a_rolled_back_insert_runs_nothing() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    let mut running = Running::start(&db).await;
    db.run("begin; insert into rowcall.files (id) values (1); rollback").await;
    db.run("begin; savepoint a; insert into rowcall.files (id) values (2); rollback to a; insert into rowcall.files (id) values (3); commit")
        .await;
    assert_eq!(running.launch().await.attempt.request.command, ["3"]);
    assert_eq!((db.jobs("loader").await, running.world.distinct_launches()), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn nothing_starts_before_commit() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    let mut running = Running::start(&db).await;
    let writer = db.connect().await;
    writer.batch_execute("begin; insert into rowcall.files (id) values (1)").await.unwrap();
    db.run("insert into rowcall.files (id) values (2)").await;
    let second = running.launch().await;
    running.end(&second, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files where id = 2").await;
    assert_eq!((second.attempt.request.command[0].as_str(), running.world.distinct_launches()), ("2", 1));
    writer.batch_execute("commit").await.unwrap();
    assert_eq!(running.launch().await.attempt.request.command, ["1"]);
    running.stop().await;
}

#[tokio::test]
async fn jobs_that_cannot_be_made_fail_no_insert_and_are_made_later() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("insert into rowcall.files (id, status) values (1, 'OLD'), (2, 'OLD')").await;
    db.run("alter table rowcall_internal.jobs add constraint broken check (task <> 'loader')").await;
    db.run("insert into rowcall.files (id) values (3)").await;
    db.run("update rowcall.files set status = case id when 1 then 'REGISTERED' else status end").await;
    let missed: String =
        db.one("select string_agg((row_key->>'id') || ' ' || error, '; ' order by row_key) from rowcall.missed_rows").await;
    let error = r#"new row for relation "jobs" violates check constraint "broken""#;
    assert_eq!(missed, format!("1 {error}; 3 {error}"), "and not 2, which did not change");

    let mut running = Running::start(&db).await;
    db.run("select rowcall_internal.enqueue_missed()").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 2, "kept while it is broken");
    db.run("alter table rowcall_internal.jobs drop constraint broken").await;
    let (first, second) = (running.launch().await, running.launch().await);
    let mut launched = [&first, &second].map(|l| l.attempt.request.command.join(" "));
    launched.sort();
    assert_eq!(launched, ["1", "3"]);
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_broken_parameters_table_never_fails_the_insert() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("alter table rowcall.parameters rename column on_status to renamed").await;
    db.run("insert into rowcall.files (id) values (1)").await;
    db.run("alter table rowcall.parameters rename column renamed to on_status").await;
    assert_eq!(
        db.one::<String>("select error from rowcall.missed_rows").await,
        "column p.on_status does not exist"
    );
    assert_eq!(db.one::<i64>("select rowcall_internal.enqueue_missed()").await, 1);
    assert_eq!(db.jobs("loader").await, 1);
}

#[tokio::test]
async fn a_condition_that_raises_never_fails_the_statement() {
    let db = TestDatabase::new().await;
    let refused = db
        .refused(
            "insert into rowcall.parameters (name, on_status, runner, target, condition)
                  values ('bad', 'REGISTERED', 'docker', 'x', '$.attributes.size > $limit')",
        )
        .await;
    assert!(refused.contains("parameters.condition") && refused.contains("limit"), "{refused}");
    db.task("loader", "REGISTERED", ("condition", "'$.id > 0'")).await;
    let good: String = db
        .one("select pg_get_functiondef('rowcall_internal.condition_holds(jsonb, jsonpath)'::regprocedure)")
        .await;
    db.run("create or replace function rowcall_internal.condition_holds(row_data jsonb, condition jsonpath) returns boolean
            language plpgsql stable as $$ begin raise exception 'cannot say'; end $$").await;
    db.run("insert into rowcall.files default values").await;
    assert_eq!(db.one::<String>("select error from rowcall.missed_rows").await, "cannot say");
    db.run(&good).await;
    db.run("select rowcall_internal.enqueue_missed()").await;
    assert_eq!(
        (db.jobs("loader").await, db.one::<i64>("select count(*) from rowcall.missed_rows").await),
        (1, 0)
    );
}

#[tokio::test]
async fn a_full_disk_fails_the_statement_before_it_loses_a_job() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("insert into rowcall.files (id, status) values (1, 'OLD')").await;
    db.run(
        "create function public.full() returns trigger language plpgsql as $$ begin
            raise 'could not extend file' using errcode = '53100'; end $$;
         create trigger a_full_disk before insert on rowcall_internal.jobs execute function public.full();
         create trigger a_full_disk before insert on rowcall_internal.missed_rows execute function public.full()",
    )
    .await;
    for statement in
        ["insert into rowcall.files (id) values (2)", "update rowcall.files set status = 'REGISTERED'"]
    {
        let refused = db.refused(statement).await;
        assert!(refused.starts_with("53100 could not extend file"), "{refused}");
    }
    assert_eq!(db.one::<String>("select string_agg(id || status, ' ') from rowcall.files").await, "1OLD");
}

#[tokio::test]
async fn a_row_without_job_or_note_is_warned_of_and_found_by_a_rescan() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    let (writer, ear) = Ear::open(&db).await;
    db.run(
        "alter table rowcall_internal.jobs add constraint broken check (task <> 'loader');
            alter table rowcall_internal.missed_rows rename to away",
    )
    .await;
    writer
        .batch_execute(
            "insert into rowcall.files (id) values (1); update rowcall.files set status = 'B'; \
                          update rowcall.files set status = 'REGISTERED'",
        )
        .await
        .unwrap();
    let warnings = ear.notices();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("rowcall.files may have missed their jobs: new row for relation \"jobs\""),
        "{warnings:?}"
    );
    db.run("alter table rowcall_internal.jobs drop constraint broken; alter table rowcall_internal.away rename to missed_rows")
        .await;
    assert_eq!(db.one::<i64>("select rowcall.rescan('rowcall.files')").await, 1);
}

#[tokio::test]
async fn a_large_update_is_one_step_and_one_wake_up() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("insert into rowcall.files (status) select 'OLD' from generate_series(1, 10000)").await;
    db.run(
        "create table public.steps (n int); grant all on public.steps to rowcall_writer;
            create function public.step() returns trigger language plpgsql as
            $$ begin insert into public.steps select count(*) from new_jobs; return null; end $$;
            create trigger step after insert on rowcall_internal.jobs referencing new table as new_jobs
            for each statement execute function public.step()",
    )
    .await;
    let (listener, ear) = Ear::open(&db).await;
    listener.batch_execute("listen rowcall_registered; listen marker").await.unwrap();
    let _sleeper = db.asleep().await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    db.run("notify marker").await;
    assert_eq!(ear.until("marker").await, ["rowcall_registered", "marker"]);
    assert_eq!(db.one::<Vec<i32>>("select array_agg(n) from public.steps").await, [10_000]);
    assert_eq!(db.jobs("loader").await, 10_000);
}

#[tokio::test]
async fn an_update_that_does_not_change_the_status_runs_nothing() {
    let db = TestDatabase::new().await;
    db.run("insert into rowcall.files (id) values (1), (2)").await;
    loader(&db).await;
    db.run("update rowcall.files set status = status").await;
    db.run("update rowcall.files set attributes = '{}' where id = 1").await;
    db.run("update rowcall.files set status = 'REGISTERED', last_update = now() where id = 1").await;
    assert_eq!(db.jobs("loader").await, 0);
    db.run("update rowcall.files set status = 'OTHER' where id = 1").await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    assert_eq!(
        db.one::<String>("select string_agg(row_key::text, ' ') from rowcall.jobs").await,
        r#"{"id": 1}"#
    );
}

#[tokio::test]
async fn changes_made_by_other_triggers_run() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("create table public.inbox (id int);
            create function public.into_files() returns trigger language plpgsql as
            $$ begin insert into rowcall.files (id) values (new.id); return new; end $$;
            create trigger into_files before insert on public.inbox for each row execute function public.into_files();
            create function public.route() returns trigger language plpgsql as
            $$ begin new.status := 'REGISTERED'; return new; end $$;
            create trigger route before insert or update on rowcall.files for each row
            when (new.status = 'ROUTE') execute function public.route();
            create function public.advance() returns trigger language plpgsql as
            $$ begin update rowcall.files set status = 'REGISTERED' where id = new.id; return null; end $$;
            create trigger advance after insert or update on rowcall.files for each row
            when (new.status = 'UPLOADED') execute function public.advance()").await;
    db.run("insert into public.inbox values (1); insert into rowcall.files (id, status) values (2, 'ROUTE'), (3, 'UPLOADED'), (4, 'NO')").await;
    db.run("update rowcall.files set status = 'UPLOADED' where id = 4").await;
    let ids = "select string_agg(row_key->>'id', ' ' order by row_key) from rowcall.jobs";
    assert_eq!(db.one::<String>(ids).await, "1 2 3 4");
}

#[tokio::test]
async fn null_attributes_lose_neither_result_nor_message() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    let mut running = Running::start(&db).await;
    for (id, attributes) in [(1, "null"), (2, "'null'"), (3, "'{}'")] {
        db.run(&format!("insert into rowcall.files (id, attributes) values ({id}, {attributes})")).await;
        let launched = running.launch().await;
        db.one_with::<String>("select rowcall.task_succeed($1, '{\"rows\": 7}')", &[&launched.token]).await;
        running.end(&launched, End::exited(0));
        db.run(&format!("insert into rowcall.files (id, attributes) values (-{id}, {attributes})")).await;
        let launched = running.launch().await;
        running.end(&launched, End::exited(3));
        db.until(&format!("select status = 'ERROR' from rowcall.files where id = -{id}")).await;
        let both: String = db
            .one_with(
                "select string_agg(attributes::text, ' ' order by id) from rowcall.files where abs(id) = $1",
                &[&i64::from(id)],
            )
            .await;
        assert_eq!(both, r#"{"message": "exit code 3", "outcome": "TASK_FAILED"} {"result": {"rows": 7}}"#);
    }
    running.stop().await;
}

#[tokio::test]
async fn two_inserts_get_one_run_each_with_their_own_row() {
    let db = TestDatabase::new().await;
    db.task(
        "loader",
        "REGISTERED",
        ("command", "'{\"{{ row.id }}\",\"{{ job.row_key.id }}\",\"{{ row.attributes.path }}\"}'"),
    )
    .await;
    let mut running = Running::start(&db).await;
    db.run(r#"insert into rowcall.files (id, attributes) values (1, '{"path": "a"}')"#).await;
    db.run(r#"insert into rowcall.files (id, attributes) values (2, '{"path": "b"}')"#).await;
    let (first, second) = (running.launch().await, running.launch().await);
    let mut commands = [first.attempt.request.command.join(" "), second.attempt.request.command.join(" ")];
    commands.sort();
    assert_eq!(commands, ["1 1 a", "2 2 b"]);
    running.end(&first, End::exited(0));
    running.end(&second, End::exited(0));
    db.until("select count(*) = 2 from rowcall.files where status = 'PROCESSED'").await;
    assert_eq!(running.world.distinct_launches(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_job_type_added_with_one_insert_runs_without_a_restart() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    running.launch().await;
    db.run("insert into rowcall.parameters (name, on_status, runner, target) values ('crime_loader', 'CRIMES', 'docker', 'crimes:1')").await;
    db.run("insert into rowcall.files (id, status) values (2, 'CRIMES')").await;
    assert_eq!(running.launch().await.attempt.request.target, "crimes:1");
    running.stop().await;
}

#[tokio::test]
async fn a_rescan_waits_for_writers_that_saw_no_task() {
    let db = TestDatabase::new().await;
    let writer = db.connect().await;
    writer.batch_execute("begin; insert into rowcall.files default values").await.unwrap();
    db.task("loader", "REGISTERED", ("", "")).await;
    let asking = db.connect().await;
    let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep')";
    let (made, ()) = tokio::join!(asking.query_one("select rowcall.rescan('rowcall.files')", &[]), async {
        let begins = async { while !db.one::<bool>(waiting).await {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), begins).await.expect("it waits");
        writer.batch_execute("commit").await.unwrap();
    });
    assert_eq!(made.unwrap().get::<_, i64>(0), 1);
}
