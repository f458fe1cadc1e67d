//! Renamed: the table, its schema, its columns.

use serde_json::json;

use super::{key_of, orders, runs};
use crate::support::Running;
use rowcall::job::End;

#[tokio::test]
async fn a_table_and_its_schema_may_be_renamed_while_jobs_run() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW')").await;
    let launched = running.launch().await;
    // The new schema is one that Rowcall's owner may not use yet.
    db.run(
        "alter table orders rename to bookings; create schema store; alter table bookings set schema store;
            select rowcall.watch('store.bookings')",
    )
    .await;
    db.run("alter schema store rename to shop; insert into shop.bookings values (2, 'NEW')").await;
    running.end(&launched, End::exited(0));
    runs(&mut running, json!({"id": 2})).await;
    db.until("select count(*) = 2 from shop.bookings where status = 'PROCESSED'").await;
    db.run("update shop.bookings set status = 'NEW' where id = 1").await;
    runs(&mut running, json!({"id": 1})).await;
    assert_eq!(db.one::<String>("select source_table::text from rowcall.parameters").await, "shop.bookings");
    running.stop().await;
}

#[tokio::test]
async fn a_table_moved_out_of_reach_says_what_gives_it_back() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("create schema store; alter table orders set schema store; insert into store.orders values (1, 'NEW')").await;
    db.until(
        "select reason like 'the row cannot be read: store.orders is out of reach: % may not use its schema. '
             'SELECT rowcall.watch(''store.orders'', ''status'');' from rowcall.jobs where state = 'blocked'",
    )
    .await;
    db.run("select rowcall.watch('store.orders')").await;
    runs(&mut running, json!({"id": 1})).await;
    db.until("select status = 'PROCESSED' from store.orders").await;
    running.stop().await;
}

#[tokio::test]
async fn columns_renamed_together_with_watch_lose_nothing() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW')").await;
    let launched = running.launch().await;
    // A second writer waits for the renaming and then knows nothing of it.
    let other = db.connect().await;
    db.run("begin; alter table orders rename id to number; alter table orders rename status to state").await;
    let waiting = tokio::spawn(async move {
        other.batch_execute("update orders set note = 'x'").await.unwrap();
    });
    db.run("select rowcall.watch('orders', 'state'); insert into orders values (2, 'NEW'); commit").await;
    waiting.await.unwrap();
    running.end(&launched, End::exited(0));
    runs(&mut running, json!({"number": 2})).await;
    db.until("select count(*) = 2 from orders where state = 'PROCESSED'").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0);
    assert_eq!(running.world.distinct_launches(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_column_renamed_alone_stops_no_writer_and_is_taken_up_later() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run(
        "update rowcall.parameters set enabled = false; insert into orders values (1, 'NEW'), (2, 'OTHER')",
    )
    .await;
    db.run("alter table orders rename status to state; update rowcall.parameters set enabled = true").await;
    let reason = "the row cannot be read: public.orders has changed since rowcall.watch(): it has no column status any more. \
                  SELECT rowcall.watch('public.orders', 'its status column');";
    db.until(&format!("select state = 'blocked' and reason = $${reason}$$ from rowcall.jobs")).await;
    // An insert is noted; an update is not, and its writer is warned.
    db.run("insert into orders values (3, 'NEW'); update orders set state = 'NEW' where id = 2").await;
    assert_eq!(
        db.one::<String>("select string_agg(state, ' ' order by id) from orders").await,
        "NEW NEW NEW",
        "the writer's work stands"
    );
    assert_eq!(
        db.one::<String>("select string_agg(distinct row_key::text, ' ') from rowcall.missed_rows").await,
        r#"{"id": 3}"#
    );
    assert!(!running.launched_more());

    db.run("select rowcall.watch('orders', 'state')").await;
    let (a, b) = (running.launch().await, running.launch().await);
    let mut keys = [key_of(&a).to_string(), key_of(&b).to_string()];
    keys.sort();
    assert_eq!(keys, [r#"{"id":1}"#, r#"{"id":3}"#]);
    assert_eq!(
        db.one::<i64>("select rowcall.rescan('orders')").await,
        1,
        "the updated row is found when asked for"
    );
    assert_eq!(key_of(&running.launch().await), json!({"id": 2}));
    running.stop().await;
}

#[tokio::test]
async fn a_run_that_ends_with_its_column_unknown_says_so_in_history() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW')").await;
    let launched = running.launch().await;
    db.run("alter table orders rename status to state").await;
    running.end(&launched, End::exited(0));
    db.until("select outcome = 'SUCCEEDED' and write_back like 'failed: public.orders has changed since rowcall.watch(): it has no column status any more.%' from rowcall.history").await;
    assert_eq!(db.one::<String>("select state from orders").await, "PROCESSING");
    running.stop().await;
}
