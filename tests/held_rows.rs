//! One bad row stops nobody: what a transaction holds, or a rule refuses, stalls only itself.

use std::sync::Arc;
use std::time::Duration;

use rowcall::job::End;

use crate::support::{Launched, Running, TestDatabase, settings};

async fn insert(db: &TestDatabase, rows: i32) {
    db.run(&format!("insert into rowcall.files select from generate_series(1, {rows})")).await;
}

/// The launches of so many rows, in the order of their rows.
async fn launches(running: &mut Running, rows: usize) -> Vec<Launched> {
    let mut launches = Vec::new();
    for _ in 0..rows {
        launches.push(running.launch().await);
    }
    launches.sort_by_key(|launched| launched.attempt.request.command[0].parse::<i64>().unwrap());
    launches
}

async fn statuses(db: &TestDatabase) -> String {
    db.one("select string_agg(status, ' ' order by id) from rowcall.files").await
}

#[tokio::test]
async fn a_row_held_at_claim_time_runs_later_and_the_others_now() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("command", "array['{{ row.id }}']")).await;
    insert(&db, 3).await;
    let other = db.connect().await;
    other.batch_execute("begin; select from rowcall.files where id = 2 for update").await.unwrap();
    let mut running = Running::start(&db).await;
    for launched in launches(&mut running, 2).await {
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 2 from rowcall.history").await;
    assert_eq!(statuses(&db).await, "PROCESSED REGISTERED PROCESSED");
    let waiting: String = db.one("select concat_ws(' ', attempt_count, reason) from rowcall.jobs").await;
    assert!(waiting.is_empty() || waiting.starts_with('0'), "{waiting}");
    other.batch_execute("commit").await.unwrap();
    let last = running.launch().await;
    assert_eq!(last.attempt.number, 1);
    running.end(&last, End::exited(0));
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn rows_held_at_settle_time_settle_later_and_the_others_now() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("command", "array['{{ row.id }}']")).await;
    let mut few = settings(&db.url);
    // As many are held as fit into a batch.
    few.dispatcher.batch = 3;
    let mut running = Running::with(few, Arc::default()).await;
    insert(&db, 20).await;
    let launches = launches(&mut running, 20).await;
    let other = db.connect().await;
    other.batch_execute("begin; select from rowcall.files where id <= 6 for update").await.unwrap();
    for launched in &launches[..6] {
        running.end(launched, End::exited(0));
    }
    running.end(&launches[6], End::exited(0));
    db.until("select count(*) = 1 from rowcall.history").await;
    for launched in &launches[7..] {
        running.end(launched, End::exited(0));
    }
    db.until("select count(*) = 14 from rowcall.history").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.files where status = 'PROCESSED'").await, 14);
    other.batch_execute("commit").await.unwrap();
    db.until("select count(*) = 20 from rowcall.history").await;
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn a_row_being_set_back_while_its_end_is_settled_runs_once_more() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("command", "array['{{ row.id }}']")).await;
    let mut running = Running::start(&db).await;
    insert(&db, 2).await;
    let first = launches(&mut running, 2).await;
    let other = db.connect().await;
    other.batch_execute("begin; update rowcall.files set status = 'REGISTERED' where id = 1").await.unwrap();
    for launched in &first {
        running.end(launched, End::exited(0));
    }
    db.until("select count(*) = 1 from rowcall.history").await;
    assert_eq!(statuses(&db).await, "PROCESSING PROCESSED");
    other.batch_execute("commit").await.unwrap();
    let again = running.launch().await;
    assert_eq!((again.attempt.number, again.attempt.job_id != first[0].attempt.job_id), (1, true));
    assert_eq!(statuses(&db).await, "PROCESSING PROCESSED");
    running.end(&again, End::exited(0));
    db.until("select count(*) = 3 from rowcall.history").await;
    assert_eq!(statuses(&db).await, "PROCESSED PROCESSED");
    running.stop().await;
}

#[tokio::test]
async fn a_row_refusing_its_running_status_is_blocked_with_the_reason() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("command", "array['{{ row.id }}']")).await;
    db.run("alter table rowcall.files add constraint no_two_runs check (id <> 2 or status <> 'PROCESSING')")
        .await;
    let mut running = Running::start(&db).await;
    insert(&db, 3).await;
    for launched in launches(&mut running, 2).await {
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 2 from rowcall.history").await;
    assert_eq!(statuses(&db).await, "PROCESSED REGISTERED PROCESSED");
    let blocked: String =
        db.one("select concat_ws(' ', state, attempt_count, reason) from rowcall.jobs").await;
    assert!(blocked.starts_with("blocked 0 status_running cannot be written: "), "{blocked}");
    assert!(blocked.contains("no_two_runs"), "{blocked}");
    running.stop().await;
}

#[tokio::test]
async fn a_row_refusing_its_end_ends_its_job_and_the_history_says_so() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("command", "array['{{ row.id }}']")).await;
    db.run(
        "create function never() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$;
         create trigger never before update on rowcall.files for each row
         when (new.id = 2 and new.status = 'PROCESSED') execute function never()",
    )
    .await;
    let mut running = Running::start(&db).await;
    insert(&db, 3).await;
    for launched in launches(&mut running, 3).await {
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 3 from rowcall.history").await;
    assert_eq!(statuses(&db).await, "PROCESSED PROCESSING PROCESSED");
    let told: String = db
        .one("select concat_ws(' ', outcome, write_back) from rowcall.history where row_key->>'id' = '2'")
        .await;
    assert!(told.starts_with("SUCCEEDED") && told.contains("not this one"), "{told}");
    let others: i64 = db.one("select count(*) from rowcall.history where write_back is null").await;
    assert_eq!(others, 2);
    running.stop().await;
}

/// A table whose rows some reader cannot read.
async fn documents() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.run("create table documents (id int primary key, status text, doc json, attributes jsonb); select rowcall.watch('documents')")
        .await;
    db.task("task", "NEW", ("source_table, command", "'documents', array['{{ row.id }}']")).await;
    db
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_blocked_alone() {
    let db = documents().await;
    db.run(
        "insert into documents (id, status, doc) select i, 'NEW',
             case i when 7 then json '{\"a\": \"\\u0000\"}' when 8 then to_json(repeat('x', 17000000)) else json '{}' end
         from generate_series(1, 20) i",
    )
    .await;
    let mut running = Running::start(&db).await;
    for launched in launches(&mut running, 18).await {
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 18 from documents where status = 'PROCESSED'").await;
    let reasons: String =
        db.one("select string_agg(row_key->>'id' || ': ' || reason, '; ' order by row_key->>'id') from rowcall.jobs where state = 'blocked'")
            .await;
    assert!(
        reasons.starts_with("7: the row cannot be read: unsupported Unicode escape sequence; 8: "),
        "{reasons}"
    );
    assert!(
        reasons.contains("bytes as JSON; 16777216 are read. Keep large values in another table"),
        "{reasons}"
    );
    // A mended row runs.
    db.run("update documents set doc = '{}' where id = 7").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    running.stop().await;
}

#[tokio::test]
async fn rows_too_large_to_be_read_at_once_all_run() {
    let db = documents().await;
    db.run("insert into documents (id, status, doc) select i, 'NEW', to_json(repeat('x', 4000000)) from generate_series(1, 20) i")
        .await;
    let mut running = Running::start(&db).await;
    for launched in launches(&mut running, 20).await {
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 20 from documents where status = 'PROCESSED'").await;
    let again = "select count(job) from rowcall.run('task', 'documents', array(select jsonb_build_object('id', id) from documents))";
    assert_eq!(db.one::<i64>(again).await, 20);
    running.stop().await;
}

#[tokio::test]
async fn a_missed_row_that_cannot_be_read_is_missed_alone() {
    let db = documents().await;
    db.run("update rowcall.parameters set condition = '$.id > 0'").await;
    db.run("insert into documents (id, status, doc) select i, 'NEW', case i when 2 then json '{\"a\": \"\\u0000\"}' else json '{}' end
            from generate_series(1, 3) i")
        .await;
    assert_eq!(
        db.one::<i64>("select count(*) from rowcall.missed_rows").await,
        3,
        "one statement, one error"
    );
    let mut running = Running::start(&db).await;
    for launched in launches(&mut running, 2).await {
        running.end(&launched, End::exited(0));
    }
    db.until("select string_agg(row_key->>'id', ' ') = '2' from rowcall.missed_rows").await;
    db.run("update documents set doc = '{}' where id = 2").await;
    launches(&mut running, 1).await;
    db.until("not exists (select from rowcall.missed_rows)").await;
    running.stop().await;
}

#[tokio::test]
async fn a_task_is_warned_that_its_row_cannot_be_read() {
    let db = documents().await;
    let mut running = Running::start(&db).await;
    db.run("insert into documents (id, status, doc) values (1, 'NEW', '{}')").await;
    let launched = running.launch().await;
    db.run(r#"update documents set doc = '{"a": "\u0000"}'"#).await;
    let (client, ear) = crate::ear::Ear::open(&db).await;
    let rows =
        client.query("select row_data::text from rowcall.task_start($1)", &[&launched.token]).await.unwrap();
    assert_eq!(rows[0].get::<_, Option<String>>(0), None);
    let warned = ear.notices().concat();
    assert!(warned.contains("row_data is null, because the row cannot be read"), "{warned}");
    running.stop().await;
}

#[tokio::test]
async fn a_job_runs_with_the_row_as_it_is_when_marked() {
    let db = TestDatabase::new().await;
    // The mark of one row takes as long as the test wants; it is between the reading of the other row and its mark.
    db.run(
        "create table public.slow (id int primary key, status text, attributes jsonb);
         create table public.go ();
         grant select, update, trigger on public.slow to rowcall_writer;
         grant select on public.go to rowcall_writer;
         select rowcall.watch('public.slow');
         create function public.hold() returns trigger language plpgsql as $$
         begin
            perform pg_advisory_xact_lock(42);
            while not exists (select from public.go) loop end loop;
            return new;
         end $$;
         create trigger hold before update on public.slow for each row execute function public.hold()",
    )
    .await;
    db.task("slow", "NEW", ("source_table, priority", "'public.slow', 10")).await;
    db.task("loader", "NEW", ("command", "'{\"{{ row.attributes.path }}\"}'")).await;
    db.run(
        "begin; insert into public.slow values (1, 'NEW'); insert into rowcall.files (status, attributes) values ('NEW', '{\"path\": \"old\"}'); commit",
    )
    .await;
    let mut running = Running::start(&db).await;
    let held = "select count(*) from pg_locks where locktype = 'advisory' and objid = 42 and granted";
    let marking = async { while db.one::<i64>(held).await == 0 {} };
    tokio::time::timeout(Duration::from_secs(20), marking).await.expect("the slow row is marked");
    db.run(r#"update rowcall.files set attributes = '{"path": "new"}'"#).await;
    db.run("insert into public.go default values").await;
    let mut commands = vec![];
    for _ in 0..2 {
        commands.extend(running.launch().await.attempt.request.command.clone());
    }
    assert_eq!(commands, ["new"]);
    assert_eq!(db.one::<i64>("select count(*) from rowcall.attempts").await, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_changes_while_its_batch_is_written_is_written() {
    let db = TestDatabase::new().await;
    // The first row's trigger waits until another session has changed the second.
    db.run(
        "create table public.changed ();
         create function public.wait() returns trigger language plpgsql as $$ begin
             perform pg_advisory_lock(1);
             loop
                 exit when exists (select from public.changed);
                 perform pg_sleep(0.005);
             end loop;
             return new;
         end $$;
         insert into rowcall.files (id, status) values (1, 'A'), (2, 'A');
         create trigger wait before update on rowcall.files for each row when (old.id = 1) execute function public.wait();
         grant select on public.changed to rowcall_writer",
    )
    .await;
    let other = db.connect().await;
    let change = "
        do $$ begin
            loop
                exit when exists (select from pg_locks l join pg_database d on d.oid = l.database
                    where l.locktype = 'advisory' and l.objid = 1 and d.datname = current_database());
                perform pg_sleep(0.005);
            end loop;
        end $$;
        begin; update rowcall.files set attributes = '{\"by\": \"a user\"}' where id = 2; insert into public.changed default values; commit";
    let write = "
        select string_agg(state, ' ' order by place) from rowcall_internal.write_back('rowcall.files', 'attributes',
            array['{\"id\": 1}', '{\"id\": 2}']::jsonb[], array['[\"A\"]', '[\"A\"]']::jsonb[], array['B', 'B'],
            array['{\"lines\": 1}', '{\"lines\": 2}']::jsonb[])";
    let (states, changed) = tokio::join!(db.one::<String>(write), other.batch_execute(change));
    changed.unwrap();
    assert_eq!(states, "written written");
    let rows = "select string_agg(status || attributes, ' ' order by id) from rowcall.files";
    assert_eq!(db.one::<String>(rows).await, r#"B{"lines": 1} B{"by": "a user", "lines": 2}"#);
}

#[tokio::test]
async fn an_end_waits_while_the_server_has_no_room_for_it() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    db.run(
        "create table no_room (only_one boolean); insert into no_room values (true); grant select on no_room to rowcall_writer;
         create function no_room() returns trigger language plpgsql as $$ begin
            if exists (select from public.no_room) then raise 'could not extend file' using errcode = '53100'; end if;
            return new; end $$;
         create trigger no_room before update on rowcall.files for each row
         when (new.status = 'PROCESSED') execute function no_room()",
    )
    .await;
    let mut running = Running::start(&db).await;
    insert(&db, 1).await;
    let launched = running.launch().await;
    // The second try to settle has come.
    let tries = "create sequence public.tries; grant usage on sequence public.tries to rowcall_writer;
        create function public.tried() returns trigger language plpgsql as $$ begin perform nextval('public.tries'); return null; end $$;
        create trigger a_try before update on rowcall.files for each statement execute function public.tried()";
    db.run(tries).await;
    running.end(&launched, End::exited(0));
    while db.one::<i64>("select last_value from public.tries").await < 4 {}
    assert_eq!(db.one::<i64>("select count(*) from rowcall.history").await, 0);
    db.run("delete from no_room").await;
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    db.until("select count(*) = 1 from rowcall.history where outcome = 'SUCCEEDED' and write_back is null")
        .await;
    running.stop().await;
}
