//! Another primary key: of another type, of other columns. The jobs go with their rows.

use serde_json::json;

use super::{key_of, orders, runs};
use crate::support::{Running, TestDatabase};
use rowcall::job::End;

async fn keys(db: &TestDatabase) -> String {
    db.one("select coalesce(string_agg(row_key::text, ' ' order by row_key::text), 'none') from rowcall.jobs")
        .await
}

#[tokio::test]
async fn a_wider_number() {
    let db = orders().await;
    db.run("insert into orders values (1, 'NEW'); alter table orders alter id type bigint").await;
    let mut running = Running::start(&db).await;
    runs(&mut running, json!({"id": 1})).await;
    db.until("select status = 'PROCESSED' from orders").await;
    // Also a number that the old type does not hold.
    db.run("insert into orders values (5000000000, 'NEW')").await;
    runs(&mut running, json!({"id": 5_000_000_000_i64})).await;
    db.until("select count(*) = 2 from orders where status = 'PROCESSED'").await;
    running.stop().await;
}

#[tokio::test]
async fn numbers_become_texts_and_no_row_runs_twice_at_once() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW')").await;
    let launched = running.launch().await;
    db.run(
        "update rowcall.parameters set enabled = false; insert into orders values (2, 'NEW'), (3, 'NEW');
            alter table orders alter id type text; update orders set status = 'NEW' where id in ('1', '2')",
    )
    .await;
    // Between the change and the new watch, triggers know the rows of jobs by their digits; jobs with a new key nothing can claim.
    db.run("insert into orders values ('x9', 'NEW'); update orders set status = 'NEW' where id = 'x9'").await;
    assert_eq!(keys(&db).await, r#"{"id": "x9"} {"id": 1} {"id": 2} {"id": 3}"#);
    db.run(
        "update orders set status = 'X' where id = '2'; update orders set status = 'NEW' where id = '2';
            select rowcall.watch('orders')",
    )
    .await;
    assert_eq!(keys(&db).await, r#"{"id": "1"} {"id": "2"} {"id": "3"} {"id": "x9"}"#);
    assert!(
        db.one::<bool>("select bool_and(short_key = rowcall.short_key(row_key)) from rowcall.jobs").await
    );
    assert!(
        db.one::<bool>("select run_again from rowcall.jobs where state = 'running'").await,
        "the wish made meanwhile is kept"
    );
    db.run("update rowcall.parameters set enabled = true").await;
    for _ in 0..3 {
        let next = running.launch().await;
        assert_ne!(key_of(&next), json!({"id": "1"}), "it runs still");
        running.end(&next, End::exited(0));
    }
    running.end(&launched, End::exited(0));
    runs(&mut running, json!({"id": "1"})).await;
    db.until("select count(*) = 4 from orders where status = 'PROCESSED'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_number_under_another_name() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW')").await;
    let launched = running.launch().await;
    db.run(
        "update rowcall.parameters set enabled = false; insert into orders values (2, 'NEW');
            alter table orders rename id to no; select rowcall.watch('orders'); update rowcall.parameters set enabled = true",
    )
    .await;
    assert_eq!(keys(&db).await, r#"{"no": 1} {"no": 2}"#);
    runs(&mut running, json!({"no": 2})).await;
    running.end(&launched, End::exited(0));
    db.until("select count(*) = 2 from orders where status = 'PROCESSED'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_number_from_another_column() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW'), (2, 'NEW')").await;
    let launched = [running.launch().await, running.launch().await];
    // Each row's new key is the old one of another row.
    db.run(
        "update rowcall.parameters set enabled = false; insert into orders values (3, 'NEW'), (4, 'NEW');
            alter table orders add no int; update orders set no = id + 1; alter table orders alter no set not null, add unique (no);
            select rowcall.watch('orders', key => '{no}')",
    )
    .await;
    assert_eq!(keys(&db).await, r#"{"no": 2} {"no": 3} {"no": 4} {"no": 5}"#);
    assert!(
        db.one::<bool>("select not bool_or(run_again) and bool_and(short_key = rowcall.short_key(row_key)) from rowcall.jobs")
            .await
    );
    db.run("update rowcall.parameters set enabled = true").await;
    for launched in &launched {
        running.end(launched, End::exited(0));
    }
    for _ in 0..2 {
        let next = running.launch().await;
        running.end(&next, End::exited(0));
    }
    db.until("select count(*) = 4 from orders where status = 'PROCESSED'").await;
    running.stop().await;
}

#[tokio::test]
async fn texts_become_numbers_and_a_wish_made_meanwhile_is_kept() {
    let db = orders().await;
    db.run("alter table orders alter id type text; select rowcall.watch('orders')").await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values ('1', 'NEW')").await;
    let launched = running.launch().await;
    db.run(
        "update rowcall.parameters set enabled = false; alter table orders alter id type int using id::int;
            update orders set status = 'X'; update orders set status = 'NEW'; select rowcall.watch('orders')",
    )
    .await;
    assert_eq!(keys(&db).await, r#"{"id": 1}"#);
    assert!(db.one::<bool>("select run_again and state = 'running' from rowcall.jobs").await);
    db.run("update rowcall.parameters set enabled = true").await;
    running.end(&launched, End::exited(0));
    runs(&mut running, json!({"id": 1})).await;
    db.until("select status = 'PROCESSED' from orders").await;
    running.stop().await;
}

#[tokio::test]
async fn other_columns() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW', 'a')").await;
    let launched = running.launch().await;
    db.run("update rowcall.parameters set enabled = false; insert into orders values (2, 'NEW', 'b'), (3, 'NEW', 'c');
            delete from orders where id = 3;
            alter table orders drop constraint orders_pkey, add primary key (note, id);
            alter table orders rename note to \"The Code\"; select rowcall.watch('orders')")
        .await;
    assert_eq!(keys(&db).await, r#"{"id": 1, "The Code": "a"} {"id": 2, "The Code": "b"} {"id": 3}"#);
    db.run("update rowcall.parameters set enabled = true").await;
    running.end(&launched, End::exited(0));
    runs(&mut running, json!({"The Code": "b", "id": 2})).await;
    db.until("select count(*) = 2 from orders where status = 'PROCESSED'").await;
    db.until("select outcome = 'OBSOLETE' from rowcall.history where row_key = '{\"id\": 3}'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_key_that_is_gone() {
    let db = orders().await;
    db.run("insert into orders values (1, 'NEW', 'a'); alter table orders drop column id; alter table orders add primary key (note)").await;
    let mut running = Running::start(&db).await;
    db.until("select state = 'blocked' and reason like '%its primary key is (note) now.%' from rowcall.jobs")
        .await;
    // Another column in its place, in which nothing has the old key's value.
    db.run("select rowcall.watch('orders')").await;
    db.until("select outcome = 'OBSOLETE' from rowcall.history").await;
    assert_eq!(db.one::<i64>("select rowcall.rescan('orders')").await, 1);
    runs(&mut running, json!({"note": "a"})).await;
    running.stop().await;

    db.run(
        "alter table orders drop constraint orders_pkey; update rowcall.parameters set enabled = false;
            update orders set status = 'NEW'",
    )
    .await;
    let refused = db.refused("select rowcall.watch('orders')").await;
    assert!(refused.contains("table public.orders has no primary key"), "{refused}");
}

#[tokio::test]
async fn a_key_named_later_takes_the_jobs_along() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW', 'a')").await;
    let launched = running.launch().await;
    db.run("update rowcall.parameters set enabled = false; insert into orders values (2, 'NEW', 'b');
            alter table orders alter note set not null, add unique (note); select rowcall.watch('orders', key => '{note}')")
        .await;
    assert_eq!(keys(&db).await, r#"{"note": "a"} {"note": "b"}"#);
    db.run("update rowcall.parameters set enabled = true").await;
    running.end(&launched, End::exited(0));
    runs(&mut running, json!({"note": "b"})).await;
    db.until("select count(*) = 2 from orders where status = 'PROCESSED'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_named_key_that_is_lost_blocks_jobs_with_the_way_back() {
    let db = orders().await;
    db.run("alter table orders alter note set not null, add unique (note); select rowcall.watch('orders', key => '{note}');
            insert into orders values (1, 'NEW', 'a'); alter table orders rename note to code")
        .await;
    let mut running = Running::start(&db).await;
    db.until(
        "select state = 'blocked' and reason like '%table public.orders has no column note. Name its key as it is now: '
             'SELECT rowcall.watch(''public.orders'', ''status'', key => ''{columns}'');' from rowcall.jobs",
    )
    .await;
    let refused = db.refused("select rowcall.watch('orders')").await;
    assert!(refused.contains("table public.orders has no column note"), "{refused}");
    db.run("select rowcall.watch('orders', key => '{code}')").await;
    runs(&mut running, json!({"code": "a"})).await;
    db.until("select status = 'PROCESSED' from orders").await;
    running.stop().await;
}

#[tokio::test]
async fn strings_become_citext_and_their_jobs_go_on() {
    let db = orders().await;
    db.run(
        "create extension citext; alter table orders alter id type text; select rowcall.watch('orders');
            update rowcall.parameters set enabled = false; insert into orders values ('Ada', 'NEW');
            alter table orders alter id type citext; select rowcall.watch('orders')",
    )
    .await;
    assert_eq!(keys(&db).await, r#"{"id": "ada"}"#);
    let mut running = Running::start(&db).await;
    db.run("update rowcall.parameters set enabled = true").await;
    runs(&mut running, json!({"id": "ada"})).await;
    db.until("select status = 'PROCESSED' from orders").await;
    running.stop().await;
}
