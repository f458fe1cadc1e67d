//! Nobody gets more than their own row: the roles, their rights, and what an attacker with a task's login can do.

mod generator;
mod meddling;

use rowcall::database::Database;

use crate::support::{ADMIN, DAEMON, Launched, Running, TASKS, TestDatabase, VIEWER, login, settings};
use rowcall::job::End;
use tokio_postgres::Client;

/// A running attempt, and a connection with the rights of a task.
async fn attacked() -> (TestDatabase, Running, Launched, Client) {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("backoff", "'1 ms'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    db.until("select launched_at is not null from rowcall.attempts").await;
    let task = db.connect_as(TASKS).await;
    (db, running, launched, task)
}

/// Everything a refused call must leave as it was.
async fn state(db: &TestDatabase) -> String {
    db.one(
        "select concat((select string_agg(f::text, ';' order by id) from rowcall.files f),
            (select string_agg(concat(report, result, message, started_at, ended_at), ';' order by id) from rowcall.attempts),
            (select count(*) from rowcall.jobs), (select count(*) from rowcall.history))",
    )
    .await
}

fn code(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |db| db.code().code().to_owned())
}

#[tokio::test]
async fn the_rights_are_those_documented_and_each_difference_is_named() {
    let db = TestDatabase::new().await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.grants_wrong()").await, 0);
    let named_but_missing: i64 = db
        .one(
            "select count(*) from rowcall_internal.grants() g, unnest(g.objects) o
             where o not in ('rowcall', 'rowcall_internal')
               and not exists (select from pg_proc where pronamespace = any (array['rowcall', 'rowcall_internal']::regnamespace[])
                               and regexp_replace(proname, '(_\\d+)+$', '_N') = o)
               and not exists (select from pg_class where relnamespace = any (array['rowcall', 'rowcall_internal']::regnamespace[]) and relname = o
                               and (g.kind = 'view') = (relkind = 'v'))",
        )
        .await;
    assert_eq!(named_but_missing, 0);
    db.run(
        "grant select on rowcall.parameters to rowcall_task; revoke execute on function rowcall.task_start from rowcall_task;
         grant execute on function rowcall.cancel(bigint, text) to public; grant update (status) on rowcall.files to rowcall_viewer",
    )
    .await;
    let database = Database::new(&settings(&db.url).database).unwrap();
    let client = database.get().await.unwrap();
    let found = rowcall::database::grant_problems(&client, Some(TASKS)).await.unwrap();
    let found: Vec<_> = found.iter().map(|p| p.problem.as_str()).collect();
    assert_eq!(found.len(), 4, "{found:?}");
    for part in [
        "rowcall_task has SELECT on table rowcall.parameters",
        "rowcall_task lacks EXECUTE on function rowcall.task_start",
        "PUBLIC has EXECUTE on function rowcall.cancel",
        "rowcall_viewer has UPDATE (status) on table rowcall.files",
    ] {
        assert!(found.iter().any(|problem| problem.starts_with(part)), "{part}: {found:?}");
    }
    let found = rowcall::database::grant_problems(&client, Some("postgres")).await.unwrap();
    assert!(found.iter().any(|p| p.problem.contains("postgres, is a superuser")), "{found:?}");
    db.run("select rowcall_internal.apply_grants()").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.grants_wrong()").await, 0);
}

#[tokio::test]
async fn every_function_pins_a_search_path_with_temporary_tables_last() {
    let db = TestDatabase::new().await;
    // Triggers of users run within these, and see their path; they are called with the one made for them.
    let loose: Option<String> = db
        .one(
            "select string_agg(proname, ', ') from pg_proc p where pronamespace = any (array['rowcall', 'rowcall_internal']::regnamespace[])
             and not coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false) and proname !~ '^(mark_rows|mark_all|write_rows|write_results)_\\d'",
        )
        .await;
    assert_eq!(loose, None);
}

#[tokio::test]
async fn a_task_reads_and_changes_only_through_the_task_functions() {
    let (db, running, _, task) = attacked().await;
    db.run("create schema elsewhere; create table elsewhere.secrets (id int)").await;
    let before = state(&db).await;
    for statement in [
        "select * from rowcall.parameters",
        "select * from rowcall.jobs",
        "select * from rowcall.files",
        "select * from rowcall.attempts",
        "select secret from rowcall_internal.instance",
        "update rowcall.files set status = 'DELETED'",
        "insert into rowcall.files default values",
        "select * from elsewhere.secrets",
        "select rowcall.cancel(1)",
        "select rowcall.rescan('rowcall.files')",
        "select rowcall_internal.open_attempt('x')",
        "select rowcall_internal.write_back('rowcall.files', null, array['{\"id\": 1}'::jsonb], array['[\"PROCESSING\"]'::jsonb], array['X'], null)",
        "select * from rowcall_internal.source_rows('rowcall.files', array['{\"id\": 1}'::jsonb])",
        "create table rowcall.mine (id int)",
        "create function rowcall.task_start(text, int) returns void language sql as 'select'",
        "begin; lock table rowcall_internal.wake_lock in share mode",
        "begin; lock table rowcall_internal.claim_lock in exclusive mode",
        "set role rowcall_owner",
    ] {
        let error = task.batch_execute(statement).await.expect_err(statement);
        task.batch_execute("rollback").await.unwrap();
        assert!(["42501", "3F000"].contains(&code(&error).as_str()), "{statement}: {error:?}");
    }
    assert_eq!(state(&db).await, before);
    running.stop().await;
}

#[tokio::test]
async fn tokens_that_are_guessed_settled_or_superseded_change_nothing() {
    let (db, mut running, first, task) = attacked().await;
    running.end(&first, End::exited(1));
    let second = running.launch().await;
    let calls = [
        "select rowcall.task_start($1)",
        "select rowcall.task_progress($1)",
        "select rowcall.task_succeed($1)",
        "select rowcall.task_fail($1, 'x')",
        "select rowcall.task_snooze($1, '1 minute')",
    ];
    db.until("select count(*) = 1 from rowcall.attempts where launched_at is not null and ended_at is null")
        .await;
    let before = state(&db).await;
    for token in [first.token.as_str(), "", "guessed", &"f".repeat(64), "' or true --"] {
        for call in calls {
            let error = task.query(call, &[&token]).await.expect_err(call);
            assert_eq!(code(&error), "RC001", "{call}");
        }
    }
    assert_eq!(state(&db).await, before, "the superseded token, too");
    task.query("select rowcall.task_succeed($1)", &[&second.token]).await.unwrap();
    running.end(&second, End::exited(0));
    db.until("select count(*) = 1 from rowcall.history").await;
    let before = state(&db).await;
    for call in calls {
        assert_eq!(code(&task.query(call, &[&second.token]).await.expect_err(call)), "RC001", "{call}");
    }
    assert_eq!(state(&db).await, before);
    running.stop().await;
}

#[tokio::test]
async fn ten_thousand_wrong_tokens_lock_nobody_out() {
    let (db, running, launched, task) = attacked().await;
    let attacker = db.connect_as(TASKS).await;
    let guessing = async {
        attacker
            .batch_execute(
                "create function pg_temp.guess(n int) returns bigint language plpgsql as $$
             declare refused bigint := 0;
             begin
                 for i in 1 .. n loop
                     begin
                         perform rowcall.task_start('guess ' || i);
                     exception when sqlstate 'RC001' then
                         refused := refused + 1;
                     end;
                 end loop;
                 return refused;
             end $$",
            )
            .await
            .unwrap();
        let refused: i64 = attacker.query_one("select pg_temp.guess(10000)", &[]).await.unwrap().get(0);
        refused
    };
    // Beside it, and afterwards.
    let working = async {
        task.query("select rowcall.task_start($1)", &[&launched.token]).await.unwrap();
        for _ in 0..100 {
            task.query("select rowcall.task_progress($1)", &[&launched.token]).await.unwrap();
        }
    };
    let (refused, ()) = tokio::join!(guessing, working);
    assert_eq!(refused, 10_000);
    task.query("select rowcall.task_succeed($1)", &[&launched.token]).await.unwrap();
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "PROCESSED");
    running.stop().await;
}

#[tokio::test]
async fn sql_in_what_a_task_sends_is_only_text() {
    let (db, running, launched, task) = attacked().await;
    let sql = "'; drop table rowcall.files; --\\ $$ %I {{ row.id }}";
    task.query("select rowcall.task_start($1, $2)", &[&launched.token, &sql]).await.unwrap();
    task.query("select rowcall.task_progress($1, 0.5, $2)", &[&launched.token, &sql]).await.unwrap();
    let result = serde_json::json!({ sql: sql });
    task.query("select rowcall.task_succeed($1, $2)", &[&launched.token, &result]).await.unwrap();
    let written: serde_json::Value = db.one("select attributes->'result' from rowcall.files").await;
    assert_eq!(written, result);
    running.end(&launched, End::exited(0));
    db.until("select count(*) = 1 from rowcall.history").await;
    running.stop().await;
}

#[tokio::test]
async fn sql_in_the_reason_of_a_failure_or_a_snooze_is_only_text() {
    let sql = "'; drop table rowcall.files; --\\ $$ %I {{ row.id }}";
    let detail = serde_json::json!({ sql: [sql] });
    for call in ["task_fail($1, $2, $3)", "task_snooze($1, '1 hour', $2) from (select $3::jsonb) as nothing"]
    {
        let (db, running, launched, task) = attacked().await;
        let start = "select rowcall.task_start($1, $2, $2)";
        task.query(start, &[&launched.token, &sql]).await.unwrap();
        task.query(&format!("select rowcall.{call}"), &[&launched.token, &sql, &detail]).await.unwrap();
        let told: Vec<String> = db.one("select array[message, executor] from rowcall.attempts").await;
        assert_eq!(told, [sql, sql], "{call}");
        running.stop().await;
    }
}

#[tokio::test]
async fn anothers_token_speaks_for_the_other_and_not_for_the_caller() {
    let (db, mut running, mine, task) = attacked().await;
    db.run("insert into rowcall.files default values").await;
    let other = running.launch().await;
    db.until("select count(*) = 2 from rowcall.attempts where launched_at is not null").await;
    task.query("select rowcall.task_start($1)", &[&mine.token]).await.unwrap();
    task.query("select rowcall.task_succeed($1, '{\"stolen\": true}')", &[&other.token]).await.unwrap();
    let rows: Vec<String> = db
        .one("select array_agg(concat_ws(' ', status, attributes->>'result') order by id) from rowcall.files")
        .await;
    assert_eq!(rows, ["PROCESSING", r#"PROCESSED {"stolen": true}"#]);
    let error = task.query("select rowcall.task_succeed($1)", &[&"0".repeat(64)]).await.unwrap_err();
    assert_eq!(code(&error), "RC001");
    running.stop().await;
}

#[tokio::test]
async fn huge_or_non_text_results_are_refused_and_the_task_may_go_on() {
    let (db, running, launched, task) = attacked().await;
    let before = state(&db).await;
    for (result, refusal) in [
        ("to_jsonb(repeat('x', 100 * 1024 * 1024))", "54000"),
        (r#"'{"a": "\u0000"}'::jsonb"#, "22P05"),
        ("to_jsonb(convert_from('\\xff'::bytea, 'UTF8'))", "22021"),
    ] {
        let call = format!("select rowcall.task_succeed($1, {result})");
        assert_eq!(code(&task.query(&call, &[&launched.token]).await.expect_err(&call)), refusal, "{call}");
    }
    assert_eq!(state(&db).await, before);
    task.query("select rowcall.task_succeed($1)", &[&launched.token]).await.unwrap();
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "PROCESSED");
    running.stop().await;
}

#[tokio::test]
async fn a_tasks_own_tables_and_functions_are_never_found_by_name() {
    let (db, running, launched, task) = attacked().await;
    // A trigger of the user's names its table without a schema, and runs with the owner's rights.
    db.run(
        "create table audit (said text); grant all on audit to rowcall_writer;
         create function note() returns trigger language plpgsql as $$ begin insert into audit values ('noted'); return null; end $$;
         create trigger note after update on rowcall.files for each statement execute function note()",
    )
    .await;
    let name: String = db.one("select current_database()::text").await;
    db.run(&format!("grant create on database {name} to {TASKS}")).await;
    task.batch_execute(
        "create schema trap; create table trap.attempts (id int);
         create function trap.sha256(bytea) returns bytea language sql as $$ select ''::bytea $$;
         create temp table audit (said text);
         create temp table pg_class (oid oid, relname text); create temp table attempts (id int);
         create function pg_temp.climb() returns trigger language plpgsql as
         $$ begin execute 'create table rowcall.owned ()'; return null; end $$;
         create trigger climb after insert on audit for each statement execute function pg_temp.climb();
         set search_path = trap, pg_temp, pg_catalog",
    )
    .await
    .unwrap();
    task.query("select rowcall.task_start($1)", &[&launched.token]).await.unwrap();
    task.query("select rowcall.task_succeed($1)", &[&launched.token]).await.unwrap();
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "PROCESSED");
    assert!(
        db.one::<bool>("select to_regclass('rowcall.owned') is null and exists (select from audit)").await
    );
    db.run(&format!("revoke create on database {name} from {TASKS}")).await;
    running.stop().await;
}

#[tokio::test]
async fn a_users_trigger_has_no_rights_over_what_is_rowcalls() {
    let db = TestDatabase::new().await;
    db.run(
        "create table tom (id int primary key, status text);
         create table said (who text, did text); grant insert on said to public;
         create function public.climb() returns trigger language plpgsql as $$
         declare attack text;
         begin
             foreach attack in array array[
                 'select secret from rowcall_internal.instance',
                 'insert into rowcall_internal.attempts (job_id) values (1)',
                 'update rowcall.parameters set priority = 7',
                 'update rowcall_internal.jobs set task = task',
                 'create function rowcall_internal.mine() returns int language sql as ''select 1''',
                 'create table rowcall_internal.mine ()',
                 'set role rowcall_owner',
                 'alter function rowcall_internal.write_back owner to rowcall_viewer'
             ] loop
                 begin
                     execute attack;
                     insert into public.said values (current_user, attack);
                 exception when others then
                     insert into public.said values (current_user, sqlstate);
                 end;
             end loop;
             return null;
         end $$;
         create trigger climb after update on tom for each statement execute function public.climb();
         select rowcall.watch('tom')",
    )
    .await;
    db.task("loader", "NEW", ("source_table, result_column", "'tom', null")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into tom values (1, 'NEW')").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from tom").await;
    let told: Vec<String> = db.one("select array_agg(distinct who || ' ' || did) from said").await;
    assert_eq!(told, ["rowcall_writer 42501"]);
    running.stop().await;
}

#[tokio::test]
async fn code_of_a_columns_type_has_no_rights_over_rowcalls_tables() {
    let db = TestDatabase::new().await;
    db.run(
        "create table said (who text); grant insert on said to public; create type mood as enum ('ok');
         create function public.mood_json(mood) returns json language plpgsql as
         $$ begin insert into public.said values (current_user); return to_json($1::text); end $$;
         create cast (mood as json) with function public.mood_json(mood);
         create table docs (id int primary key, m mood, status text); select rowcall.watch('docs')",
    )
    .await;
    let more = ("source_table, result_column, condition", "'docs', null, '$.m == \"ok\"'");
    db.task("loader", "NEW", more).await;
    let mut running = Running::start(&db).await;
    db.run("insert into docs values (1, 'ok', 'NEW')").await;
    running.launch().await;
    db.run("select rowcall.rescan('docs')").await;
    let told: Vec<String> = db.one("select array_agg(distinct who) from said").await;
    assert_eq!(told, ["rowcall_writer"]);
    running.stop().await;
}

#[tokio::test]
async fn public_is_searched_only_where_it_is_closed() {
    let db = TestDatabase::new().await;
    db.run("grant create on schema public to public").await;
    assert_eq!(db.one::<String>("select rowcall_internal.path_of_users()").await, "pg_catalog, pg_temp");
    db.run("revoke create on schema public from public").await;
    assert_eq!(
        db.one::<String>("select rowcall_internal.path_of_users()").await,
        "pg_catalog, public, pg_temp"
    );
}

#[tokio::test]
async fn an_operator_acts_on_jobs_and_edits_nothing() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let operator = db.connect().await;
    operator.batch_execute("set role rowcall_operator").await.unwrap();
    for allowed in [
        "select rowcall.cancel(id) from rowcall.jobs",
        "select rowcall.run('loader', 'rowcall.files', 1)",
        "select rowcall.pause('x'); select rowcall.resume()",
        "select * from rowcall.explain('rowcall.files', 1)",
    ] {
        operator.batch_execute(allowed).await.unwrap();
    }
    for forbidden in [
        "update rowcall.parameters set enabled = false",
        "select rowcall.register_source('rowcall.files', 'status')",
    ] {
        let refused = operator.batch_execute(forbidden).await.unwrap_err();
        let code = tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE;
        assert_eq!(refused.code(), Some(&code), "{forbidden}");
    }
}

#[tokio::test]
async fn viewers_see_and_admins_edit_and_neither_gets_at_the_secret() {
    let db = TestDatabase::new().await;
    let (viewer, admin) = (db.connect_as(VIEWER).await, db.connect_as(ADMIN).await);
    let edit = "insert into rowcall.parameters (name, on_status, runner, target) values ('load', 'NEW', 'docker', 'x')";
    admin.batch_execute(edit).await.unwrap();
    for client in [&viewer, &admin] {
        client
            .batch_execute("select * from rowcall.jobs, rowcall.attempts, rowcall.parameters")
            .await
            .unwrap();
        let error = client.batch_execute("select secret from rowcall_internal.instance").await.unwrap_err();
        assert_eq!(code(&error), "42501");
    }
    let kept: String = db.one("select changed_by from rowcall.parameters_history").await;
    assert_eq!(kept, ADMIN);
    for statement in [edit, "select rowcall.cancel(1)", "delete from rowcall.jobs"] {
        assert_eq!(code(&viewer.batch_execute(statement).await.unwrap_err()), "42501", "{statement}");
    }
    assert_eq!(code(&admin.batch_execute("delete from rowcall.jobs").await.unwrap_err()), "42501");
    // Nor by way of a task that is rendered from it; and what only a superuser owns is nobody's to hand over.
    db.run("create table public.payroll (id int primary key, status text)").await;
    for statement in [
        "select rowcall.watch('rowcall_internal.instance', 'only_one')",
        "select rowcall.register_source('rowcall_internal.instance', 'only_one')",
        "select rowcall.watch('rowcall_internal.attempts', 'outcome')",
        "select rowcall.watch('public.payroll')",
        "select rowcall.register_source('public.payroll', 'status')",
    ] {
        assert_eq!(code(&admin.batch_execute(statement).await.unwrap_err()), "42501", "{statement}");
    }
    assert_eq!(db.one::<i64>("select count(*) from rowcall.source_tables").await, 1);
    admin.batch_execute("select rowcall.watch('rowcall.files')").await.unwrap();
    assert_eq!(settings(&db.url).database.url, login(&db.url, DAEMON));
}

#[tokio::test]
async fn another_status_column_of_a_watched_table_takes_its_owner() {
    let db = TestDatabase::new().await;
    db.run("create table own (id int primary key, status text, other text); select rowcall.watch('own')")
        .await;
    let admin = db.connect_as(ADMIN).await;
    admin.batch_execute("select rowcall.watch('public.own')").await.unwrap();
    let refused = admin.batch_execute("select rowcall.watch('public.own', 'other')").await.unwrap_err();
    assert_eq!(code(&refused), "42501");
    assert_eq!(
        db.one::<String>("select status_column from rowcall.source_tables where relation = 'own'::regclass")
            .await,
        "status"
    );
    db.run("select rowcall.watch('own', 'other')").await;
}

#[tokio::test]
async fn a_schema_made_without_roles_is_handed_over_by_printed_sql() {
    let db = TestDatabase::new().await;
    db.run(
        "create table mine (id int primary key, status text); select rowcall.watch('mine'); alter schema rowcall owner to postgres;
         alter table rowcall_internal.jobs owner to postgres; alter function rowcall.task_fail owner to postgres;
         alter domain rowcall.outcome owner to postgres;
         revoke all on mine from rowcall_owner; revoke all on rowcall_internal.jobs from rowcall_dispatcher",
    )
    .await;
    assert!(db.one::<i64>("select count(*) from rowcall.grants_wrong()").await > 3);
    for _ in 0..2 {
        db.run(&rowcall::database::roles_sql()).await;
        assert_eq!(db.one::<i64>("select count(*) from rowcall.grants_wrong()").await, 0);
    }
}

/// `ROWCALL_WRITE_DOCS=1 cargo test` writes the page anew.
#[tokio::test]
async fn the_page_of_roles_is_printed_from_the_rights() {
    let db = TestDatabase::new().await;
    let rows: String = db
        .one(
            "with home as (select oid, nspname from pg_namespace where nspname in ('rowcall', 'rowcall_internal')),
                 object as (
                    select case relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end as kind, relname as name, nspname
                    from pg_class c join home on home.oid = c.relnamespace
                    union
                    select 'function', proname, nspname from pg_proc p join home on home.oid = p.pronamespace)
             select string_agg(format('| `%s` | %s | %s | %s | %s |', g.role, g.privileges, g.kind,
                (select string_agg(format('`%s%s`', nspname || '.', u.name), ', ' order by place)
                 from unnest(g.objects) with ordinality u(name, place) left join object o on (o.kind, o.name) = (g.kind, u.name)),
                g.why), E'\\n')
             from rowcall_internal.grants() g",
        )
        .await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/roles.md");
    let page = std::fs::read_to_string(path).unwrap();
    let begin = page.find("| role | may |").unwrap();
    let wanted = format!("{}| role | may | | on | why |\n|---|---|---|---|---|\n{rows}\n", &page[..begin]);
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    assert!(page == wanted, "docs/roles.md is not current: ROWCALL_WRITE_DOCS=1 cargo test writes it");
}
