//! How many run at once, and who comes first.

mod under_fire;

use std::sync::Arc;

use crate::support::{Running, TestDatabase, settings};
use rowcall::dispatcher::Mode;
use rowcall::job::End;

/// A task with one run per customer, counted where it cannot be missed: after every statement that changes jobs.
async fn by_customer(more: (&str, &str)) -> TestDatabase {
    let db = TestDatabase::new().await;
    let columns = format!("concurrency_key, command{}{}", if more.0.is_empty() { "" } else { ", " }, more.0);
    let values = format!(
        "'{{{{ row.attributes.customer }}}}', '{{\"{{{{ row.attributes.customer }}}}\"}}'{}{}",
        if more.1.is_empty() { "" } else { ", " },
        more.1
    );
    db.task("loader", "REGISTERED", (&columns, &values)).await;
    db.run(
        "create table public.highest (key text, running bigint); grant all on public.highest to public;
         create function public.count_running() returns trigger language plpgsql as $$ begin
             insert into public.highest select concurrency_key, count(*) from rowcall.jobs where state = 'running' group by 1;
             return null; end $$;
         create trigger count_running after update on rowcall_internal.jobs for each statement execute function public.count_running()",
    )
    .await;
    db
}

#[tokio::test]
async fn a_key_has_its_own_cap_and_does_not_hold_up_other_keys() {
    let db = by_customer(("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (attributes) select '{\"customer\": \"busy\"}' from generate_series(1, 300);
            insert into rowcall.files (attributes) values ('{\"customer\": \"b\"}'), ('{\"customer\": \"c\"}')").await;
    let mut customers = Vec::new();
    for _ in 0..3 {
        customers.push(running.launch().await.attempt.request.command.join(""));
    }
    customers.sort();
    assert_eq!(customers, ["b", "busy", "c"]);
    assert_eq!(db.one::<i64>("select max(running) from public.highest").await, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_job_whose_key_has_room_starts_without_being_keyed_first() {
    let db = by_customer(("max_running_per_key", "2")).await;
    db.run(
        "create table public.keyed_first (id bigint); grant all on public.keyed_first to public;
         create function public.keyed_first() returns trigger language plpgsql as $$ begin
             insert into public.keyed_first values (new.id); return null; end $$;
         create trigger keyed_first after update on rowcall_internal.jobs for each row
             when (new.state = 'pending' and new.concurrency_key is not null) execute function public.keyed_first()",
    )
    .await;
    // The order of one key, two of which are claimed with others, and of which the third has no room.
    db.run("insert into rowcall.files (id, attributes) values (1, '{\"customer\": \"a\"}'), (2, '{\"customer\": \"b\"}'),
                (3, '{\"customer\": \"a\"}'), (4, '{\"customer\": \"a\"}'), (5, '{\"customer\": \"c\"}')").await;
    let mut running = Running::start(&db).await;
    let mut launched = Vec::new();
    for _ in 0..4 {
        launched.push(running.launch().await);
    }
    let row = "select string_agg(row_key->>'id', ' ' order by id) from rowcall.jobs where state = 'running'";
    assert_eq!(db.one::<String>(row).await, "1 2 3 5");
    db.until("select concurrency_key = 'a' from rowcall.jobs where state = 'pending'").await;
    let keyed =
        "select string_agg(row_key->>'id', ' ') from public.keyed_first k join rowcall.jobs j using (id)";
    assert_eq!(db.one::<String>(keyed).await, "4");
    // One that comes in later waits behind it, also while there is room for one.
    running.end(&launched[0], End::exited(0));
    assert_eq!(running.launch().await.attempt.job_id.get(), 4);
    assert_eq!(db.one::<i64>("select max(running) from public.highest").await, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_job_without_its_key_waits_behind_those_that_have_theirs() {
    let db = by_customer(("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id, attributes) values (1, '{\"customer\": \"a\"}')").await;
    let first = running.launch().await;
    db.run("insert into rowcall.files (id, attributes) values (2, '{\"customer\": \"a\"}')").await;
    db.until("select concurrency_key = 'a' from rowcall.jobs where row_key = '{\"id\": 2}'").await;
    // The second is in the hands of another session when the key has room again, and the third is not.
    let holder = db.connect().await;
    holder
        .batch_execute("begin; select from rowcall_internal.jobs where row_key = '{\"id\": 2}' for update")
        .await
        .unwrap();
    running.end(&first, End::exited(0));
    db.until("exists (select from rowcall.history)").await;
    db.run("insert into rowcall.files (id, attributes) values (3, '{\"customer\": \"a\"}')").await;
    db.until("select concurrency_key = 'a' from rowcall.jobs where row_key = '{\"id\": 3}'").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs where state = 'running'").await, 0);
    holder.batch_execute("commit").await.unwrap();
    db.run("select pg_notify('rowcall_control', '')").await;
    assert_eq!(running.launch().await.attempt.job_id.get(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_key_far_down_the_queue_is_found_behind_a_busy_one() {
    let db = by_customer(("", "")).await;
    let mut one_by_one = settings(&db.url);
    one_by_one.dispatcher.batch = 1;
    db.run(
        "insert into rowcall.files (attributes) select '{\"customer\": \"m\"}' from generate_series(1, 300)",
    )
    .await;
    let mut running = Running::with(one_by_one, Arc::default()).await;
    assert_eq!(running.launch().await.attempt.request.command, ["m"]);
    db.run(
        "insert into rowcall.files (attributes) values ('{\"customer\": \"a\"}'), ('{\"customer\": \"z\"}')",
    )
    .await;
    let mut others =
        [running.launch().await, running.launch().await].map(|l| l.attempt.request.command.join(""));
    others.sort();
    assert_eq!(others, ["a", "z"]);
    assert_eq!(db.one::<i64>("select max(running) from public.highest").await, 1);
    running.stop().await;
}

#[tokio::test]
async fn every_job_of_a_key_gets_its_turn() {
    let db = by_customer(("max_running_per_key, max_running", "2, 5")).await;
    let mut dispatchers = [
        Running::start(&db).await,
        Running::with(settings(&db.url), Arc::default()).await,
        Running::with(settings(&db.url), Arc::default()).await,
    ];
    db.run(
        "insert into rowcall.files (attributes)
            select jsonb_build_object('customer', 'c' || i % 4) from generate_series(1, 80) i",
    )
    .await;
    for _ in 0..80 {
        let [a, b, c] = &mut dispatchers;
        tokio::select! {
            l = a.launch() => a.end(&l, End::exited(0)),
            l = b.launch() => b.end(&l, End::exited(0)),
            l = c.launch() => c.end(&l, End::exited(0)),
        }
    }
    db.until("select count(*) = 80 from rowcall.history where outcome = 'SUCCEEDED'").await;
    assert_eq!(db.one::<i64>("select max(running) from public.highest").await, 2);
    for running in dispatchers {
        running.stop().await;
    }
}

#[tokio::test]
async fn a_row_that_changes_its_key_is_counted_by_the_new_one() {
    let db = by_customer(("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id, attributes) values (1, '{\"customer\": \"a\"}')").await;
    let first = running.launch().await;
    db.run("insert into rowcall.files (id, attributes) values (2, '{\"customer\": \"a\"}')").await;
    db.until("select concurrency_key = 'a' from rowcall.jobs where row_key = '{\"id\": 2}'").await;
    db.run("update rowcall.files set attributes = '{\"customer\": \"b\"}' where id = 2").await;
    running.end(&first, End::exited(0));
    assert_eq!(running.launch().await.attempt.request.command, ["b"]);
    assert_eq!(
        db.one::<String>("select concurrency_key from rowcall.jobs where row_key = '{\"id\": 2}'").await,
        "b"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_rendered_blocks_its_job_alone() {
    let db = by_customer(("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id, attributes) values (1, '{}'), (2, '{\"customer\": \"a\"}')").await;
    assert_eq!(running.launch().await.attempt.request.command, ["a"]);
    db.until("select reason like 'parameters.concurrency_key: {{ row.attributes.customer }}: a name in it%' from rowcall.jobs where state = 'blocked'").await;
    db.run("update rowcall.files set attributes = '{\"customer\": \"z\"}' where id = 1").await;
    assert_eq!(running.launch().await.attempt.request.command, ["z"]);
    running.stop().await;
}

#[tokio::test]
async fn a_key_taken_back_frees_the_jobs_that_waited_for_it() {
    let db = by_customer(("", "")).await;
    let mut running = Running::start(&db).await;
    db.run(
        "insert into rowcall.files (attributes) select '{\"customer\": \"a\"}' from generate_series(1, 5)",
    )
    .await;
    running.launch().await;
    db.until("select count(*) = 4 from rowcall.jobs where state = 'pending' and concurrency_key = 'a'").await;
    db.run("update rowcall.parameters set concurrency_key = null").await;
    for _ in 0..4 {
        running.launch().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn an_uncapped_flood_does_not_take_the_place_of_a_capped_task() {
    let db = TestDatabase::new().await;
    db.task("flood", "F", ("", "")).await;
    db.task("capped", "C", ("max_running, priority", "10, 5")).await;
    db.run("insert into rowcall.files (status) select 'F' from generate_series(1, 50); insert into rowcall.files (status) values ('C')")
        .await;
    let mut few = settings(&db.url);
    few.dispatcher.batch = 1;
    few.dispatcher.launch_concurrency = 1;
    let mut running = Running::with(few, Arc::default()).await;
    assert_eq!(running.launch().await.attempt.task, "capped");
    assert_eq!(running.launch().await.attempt.task, "flood");
    running.stop().await;
}

#[tokio::test]
async fn tasks_of_one_priority_take_turns() {
    let db = TestDatabase::new().await;
    for name in ["a", "b", "c"] {
        db.task(name, name, ("", "")).await;
    }
    db.task("first", "first", ("priority", "1")).await;
    db.run(
        "insert into rowcall.files (status) select 'a' from generate_series(1, 6);
         update rowcall.jobs set due_at = now() - interval '1 hour';
         insert into rowcall.files (status) values ('b'), ('b'), ('b'), ('c'), ('first')",
    )
    .await;
    let mut one_by_one = settings(&db.url);
    one_by_one.dispatcher.batch = 1;
    one_by_one.dispatcher.launch_concurrency = 1;
    // A backlog of an hour is worth no point.
    one_by_one.dispatcher.priority_ageing = std::time::Duration::from_hours(24);
    let mut running = Running::with(one_by_one, Arc::default()).await;
    let mut order = String::new();
    for _ in 0..11 {
        order += &running.launch().await.attempt.task;
        order += " ";
    }
    assert_eq!(order, "first a b c a b a b a a a ");
    running.stop().await;
}

#[tokio::test]
async fn low_priority_rises_with_age() {
    let db = TestDatabase::new().await;
    db.task("low", "L", ("priority", "-10")).await;
    db.task("high", "H", ("priority", "10")).await;
    db.run(
        "insert into rowcall.files (status) values ('L'), ('L'), ('H'), ('H');
            update rowcall.jobs set due_at = now() - interval '21 minutes' where row_key = '{\"id\": 1}';
            update rowcall.jobs set due_at = now() - interval '19 minutes' where row_key = '{\"id\": 2}'",
    )
    .await;
    let mut one_by_one = settings(&db.url);
    one_by_one.dispatcher.batch = 1;
    one_by_one.dispatcher.launch_concurrency = 1;
    let mut running = Running::with(one_by_one, Arc::default()).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(running.launch().await.attempt.task);
    }
    assert_eq!(order, ["low", "high", "high", "low"]);
    running.stop().await;
}

#[tokio::test]
async fn the_best_job_in_somebodys_hands_holds_up_no_other() {
    let db = TestDatabase::new().await;
    db.task("first", "F", ("priority", "50")).await;
    db.task("second", "S", ("", "")).await;
    db.run("insert into rowcall.files (status) values ('F'), ('S')").await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.jobs where task = 'first' for update").await.unwrap();
    let mut one_by_one = settings(&db.url);
    one_by_one.dispatcher.batch = 1;
    let mut running = Running::with(one_by_one, Arc::default()).await;
    assert_eq!(running.launch().await.attempt.task, "second");
    holder.batch_execute("commit").await.unwrap();
    running.wake(&db).await;
    assert_eq!(running.launch().await.attempt.task, "first");
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_claimed_while_all_is_paused() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("update rowcall.control set paused_at = now(); insert into rowcall.files default values").await;
    let running = Running::start(&db).await;
    let drained = {
        // One that runs what is due and ends has looked, and found nothing that it may take.
        let make = |_: &_, _: &_| Ok(rowcall::runners::Runners::default());
        rowcall::dispatcher::Dispatcher::start(settings(&db.url), Mode::Drain, make).await.unwrap()
    };
    drained.finish().await.unwrap();
    running.beats(&db).await;
    assert_eq!(db.one::<String>("select state from rowcall.jobs").await, "pending");
    let mut running = running;
    db.run("update rowcall.control set paused_at = null; select pg_notify('rowcall_control', '')").await;
    running.launch().await;
    running.stop().await;
}
