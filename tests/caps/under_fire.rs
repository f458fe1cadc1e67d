//! Caps, exactly, while eight dispatchers claim and four people edit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::select_all;
use rowcall::job::End;
use tokio_postgres::Client;

use crate::support::{Running, TestDatabase, World, settings};

const CLAIMERS: usize = 8;
const ROWS: i64 = 100;

/// Written down by each statement that sets jobs to running, beside the caps as they stand. A claim that finds an edit
/// committed meanwhile is rolled back, and this with it. Witnesses of caps write one after the other, each after the
/// claim before it has committed: two claims that each thought themselves alone are counted together by the second.
const WITNESS: &str = "
    create table public.seen (task text, key text, running bigint, cap int, in_key bigint, key_cap int);
    grant all on public.seen to public;
    create function public.witness() returns trigger language plpgsql security definer as $$ begin
        if exists (select from new_rows n join rowcall.parameters p on p.name = n.task
                   where n.state = 'running' and coalesce(p.max_running::text, p.concurrency_key) is not null) then
            lock table public.seen in exclusive mode;
        end if;
        insert into public.seen
        select n.task, n.concurrency_key,
            (select count(*) from rowcall.jobs j where j.state = 'running' and j.task = n.task), p.max_running,
            (select count(*) from rowcall.jobs j where j.state = 'running' and j.task = n.task
                and j.concurrency_key = n.concurrency_key),
            case when p.concurrency_key is not null then p.max_running_per_key end
        from (select distinct n.task, n.concurrency_key from new_rows n join old_rows o using (id)
              where n.state = 'running' and o.state <> 'running') n
        join rowcall.parameters p on p.name = n.task;
        return null;
    end $$;
    create trigger witness after update on rowcall_internal.jobs referencing old table as old_rows new table as new_rows
        for each statement execute function public.witness();";

/// Edits until told to stop, one row after the other: editors of several rows at once may meet in a deadlock of their own.
async fn edit(client: Client, edits: Vec<&'static str>, over: Arc<AtomicBool>, made: Arc<AtomicU64>) {
    for sql in edits.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        client.batch_execute(sql).await.unwrap();
        made.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn caps_hold_while_eight_claim_and_four_edit() {
    let db = TestDatabase::new().await;
    let key = "'{{ row.attributes.customer }}'";
    db.task("capped", "C", ("max_running", "3")).await;
    db.task("keyed", "K", ("concurrency_key", key)).await;
    db.task("both", "B", ("max_running, concurrency_key, max_running_per_key", &format!("4, {key}, 2")))
        .await;
    db.task("free", "F", ("", "")).await;
    db.run(WITNESS).await;
    let world: Arc<World> = Arc::default();
    let mut dispatchers = Vec::new();
    for _ in 0..CLAIMERS {
        dispatchers.push(Running::with(settings(&db.url), Arc::clone(&world)).await);
    }

    let (over, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let everybodys_edits = [
        vec![
            "update rowcall.parameters set max_running = 2 + version % 4 where name = 'capped'",
            "select pg_sleep(0.15)",
        ],
        vec![
            "update rowcall.parameters set max_running_per_key = 1 + version % 3 where name = 'keyed'",
            "update rowcall.parameters set max_running_per_key = 1 + version % 3 where name = 'both'",
            "select pg_sleep(0.15)",
        ],
        vec![
            "update rowcall.parameters set max_running = case when version % 5 = 0 then null else 3 + version % 3 end
             where name = 'both'",
            "select pg_sleep(0.2)",
        ],
        vec![
            "update rowcall.parameters set enabled = not enabled, priority = version % 7 where name = 'free'",
            "update rowcall.parameters set enabled = not enabled where name = 'keyed'",
            "select rowcall.pause('for the test')",
            "select rowcall.resume()",
            "update rowcall.parameters set enabled = true where name = 'free'",
            "update rowcall.parameters set enabled = true where name = 'keyed'",
            "select pg_sleep(0.25)",
        ],
    ];
    let mut editors = Vec::new();
    for edits in everybodys_edits {
        editors.push(tokio::spawn(edit(db.connect().await, edits, Arc::clone(&over), Arc::clone(&made))));
    }
    db.run(&format!(
        "insert into rowcall.files (status, attributes)
         select s, jsonb_build_object('customer', 'c' || i % 5) from generate_series(1, {ROWS}) i, unnest('{{C,K,B,F}}'::text[]) s"
    ))
    .await;
    for _ in 0..4 * ROWS {
        let next = dispatchers.iter_mut().map(|running| Box::pin(running.launch()));
        let (launched, ..) = select_all(next).await;
        world.end(&launched.attempt, End::exited(0));
    }
    over.store(true, Ordering::Relaxed);
    for editor in editors {
        editor.await.unwrap();
    }
    db.run("update rowcall.parameters set enabled = true; select rowcall.resume()").await;
    db.until(&format!("select count(*) = {} from rowcall.files where status = 'PROCESSED'", 4 * ROWS)).await;

    let seen: String = db
        .one(
            "select string_agg(concat_ws(' ', task, 'cap', cap, 'highest', highest), '; ' order by task, cap) from (
                select task, cap, max(running) as highest from public.seen where cap is not null group by 1, 2
                union all
                select task || ' by key', key_cap, max(in_key) from public.seen where key_cap is not null group by 1, 2) x",
        )
        .await;
    println!(
        "{} edits, {} claims: {seen}",
        made.load(Ordering::Relaxed),
        db.one::<i64>("select count(*) from public.seen").await
    );
    let (beyond, reached): (i64, i64) = {
        let sql = "select count(*) filter (where running > cap or in_key > key_cap),
                count(distinct (task, cap)) filter (where running = cap) from public.seen";
        let row = db.client.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(beyond, 0, "{seen}");
    assert!(reached >= 2, "no cap was ever reached: {seen}");
    assert_eq!(world.distinct_launches() as i64, 4 * ROWS);
    for running in dispatchers {
        running.stop().await;
    }
}
