//! Code of a watched table's owner runs while Rowcall reads and writes its rows. It gains nothing by what it leaves behind.

use rowcall::job::End;

use crate::support::{Running, TestDatabase, VIEWER, settings};

#[tokio::test]
async fn what_a_tables_owner_sets_ends_with_the_reading() {
    let db = TestDatabase::new().await;
    // Operators of another meaning, in the path of every reader of the row.
    db.run(
        "create schema evil; grant usage on schema evil to public; create table evil.seen (name text); grant all on evil.seen to public;
         create function evil.same(text, text) returns boolean language plpgsql as
            $$ begin insert into evil.seen values (current_user); return $1 operator(pg_catalog.=) $2; end $$;
         create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
         create type evil.mood as enum ('fine');
         create function evil.mood_json(evil.mood) returns json language plpgsql as $$ begin
            perform set_config('search_path', 'evil, pg_catalog', false);
            return to_json($1::text); end $$;
         create cast (evil.mood as json) with function evil.mood_json(evil.mood);
         create table public.trap (id int primary key, mood evil.mood, status text, attributes jsonb);
         select rowcall.watch('public.trap')",
    )
    .await;
    db.task("task", "NEW", ("source_table", "'public.trap'")).await;
    db.run("insert into public.trap values (1, 'fine', 'NEW')").await;
    let viewer = db.connect_as(VIEWER).await;
    viewer.query("select * from rowcall.preview('public.trap', 1)", &[]).await.unwrap();
    let path: String = viewer.query_one("show search_path", &[]).await.unwrap().get(0);
    assert_eq!(path, "\"$user\", public");
    let mut running = Running::start(&db).await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select exists (select from rowcall.history)").await;
    running.stop().await;
    let seen: Option<String> =
        db.one("select string_agg(distinct name, ' ') from evil.seen where name <> 'rowcall_writer'").await;
    assert_eq!(seen, None);
}

#[tokio::test]
async fn casts_of_a_type_that_a_column_gets_later_are_not_run() {
    for column in ["id", "status", "code"] {
        let db = TestDatabase::new().await;
        db.run(
            "create schema evil; grant usage on schema evil to public; create table evil.seen (who text); grant all on evil.seen to public;
             create domain public.code as int; create table public.trap (id int, status text, code public.code, attributes jsonb, primary key (id, code));
             select rowcall.watch('public.trap')",
        )
        .await;
        db.task("task", "NEW", ("source_table", "'public.trap'")).await;
        db.run("insert into public.trap values (1, 'NEW', 1)").await;
        assert_eq!(
            db.one::<String>("select row_key::text from rowcall.jobs").await,
            r#"{"id": 1, "code": 1}"#
        );
        // The owner of the table does that alone.
        db.run(&format!(
            "delete from public.trap; delete from rowcall.jobs; create type evil.word as enum ('2', 'NEW', 'OLD');
             create function evil.seen(evil.word) returns text language plpgsql as $$ begin
                insert into evil.seen values (current_user); return 'x'; end $$;
             create function evil.seen_json(evil.word) returns json language plpgsql as $$ begin
                insert into evil.seen values (current_user); return '1'; end $$;
             create cast (evil.word as text) with function evil.seen(evil.word) as assignment;
             create cast (evil.word as json) with function evil.seen_json(evil.word);
             alter table public.trap alter {column} type evil.word using 'OLD'::evil.word"
        ))
        .await;
        let values = if column == "status" { "(2, 'NEW', 2)" } else { "('2', 'NEW', '2')" };
        db.run(&format!("insert into public.trap values {values}; update public.trap set status = 'OLD'"))
            .await;
        assert_eq!(
            db.one::<Option<String>>("select string_agg(who, ' ') from evil.seen").await,
            None,
            "{column}"
        );
    }
}

/// A database whose one task has, from the third row on, a trigger that puts statements of its own in the place of ours; each
/// takes a number from a sequence, which keeps it when its transaction fails. All runs on one connection, whose statements have
/// their names before the trigger is there.
async fn replaced() -> (TestDatabase, Running) {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    db.run(
        "create sequence public.ran; grant all on sequence public.ran to public;
         create function public.replace_statements() returns trigger language plpgsql as $$
         declare theirs record; begin
            for theirs in select name, parameter_types from pg_prepared_statements where not from_sql loop
                execute format('deallocate %I', theirs.name);
                execute format('prepare %I%s as select nextval(''public.ran'')', theirs.name,
                    case when cardinality(theirs.parameter_types) > 0 then '(' || array_to_string(theirs.parameter_types, ',') || ')' else '' end);
            end loop;
            return new; end $$;",
    )
    .await;
    let mut settings = settings(&db.url);
    settings.database.pool_size = 1;
    let mut running = Running::with(settings, std::sync::Arc::default()).await;
    for _ in 1..=2 {
        run_another(&db, &mut running).await;
    }
    db.run("create trigger replace_statements before update on rowcall.files for each row execute function public.replace_statements()").await;
    (db, running)
}

async fn run_another(db: &TestDatabase, running: &mut Running) {
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select not exists (select from rowcall.files where status <> 'PROCESSED')").await;
}

/// The row that waits runs, and no statement of theirs has.
async fn runs_without_theirs(db: &TestDatabase, mut running: Running) {
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select not exists (select from rowcall.files where status <> 'PROCESSED')").await;
    running.stop().await;
    assert!(!db.one::<bool>("select is_called from public.ran").await);
}

#[tokio::test]
async fn a_statement_that_a_trigger_replaced_is_not_run() {
    let (db, mut running) = replaced().await;
    for _ in 1..=3 {
        run_another(&db, &mut running).await;
    }
    running.stop().await;
    assert!(!db.one::<bool>("select is_called from public.ran").await);
}

#[tokio::test]
async fn nor_is_it_run_after_that_transaction_has_failed() {
    let (db, running) = replaced().await;
    db.run(
        "alter table rowcall_internal.attempts add constraint none_now check (false) not valid;
         insert into rowcall.files default values",
    )
    .await;
    db.until("select exists (select from rowcall.jobs where reason ~ 'none_now')").await;
    db.run("alter table rowcall_internal.attempts drop constraint none_now").await;
    runs_without_theirs(&db, running).await;
}

#[tokio::test]
async fn nor_after_a_reading_that_no_handler_catches() {
    let (db, running) = replaced().await;
    // Postgres' handlers of "others" leave out a failed assertion, so that the statement that reads fails.
    db.run(
        "drop trigger replace_statements on rowcall.files;
         create function public.spoil() returns boolean language plpgsql as $$
         declare theirs record; begin
            if current_user <> 'rowcall_writer' then return true; end if;
            for theirs in select name, parameter_types from pg_prepared_statements where not from_sql loop
                execute format('deallocate %I', theirs.name);
                execute format('prepare %I%s as select nextval(''public.ran'')', theirs.name,
                    case when cardinality(theirs.parameter_types) > 0 then '(' || array_to_string(theirs.parameter_types, ',') || ')' else '' end);
            end loop;
            assert false;
            return true; end $$;
         create policy spoil on rowcall.files using (public.spoil()); alter table rowcall.files enable row level security;
         insert into rowcall.files default values",
    )
    .await;
    db.until("select exists (select from rowcall.jobs where reason ~ 'assertion')").await;
    db.run("alter table rowcall.files disable row level security").await;
    runs_without_theirs(&db, running).await;
}
