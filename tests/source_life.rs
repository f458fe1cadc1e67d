//! A source table over its life: renamed, changed, emptied, dropped, dumped and replayed, with jobs under way.

mod copied;
mod dropped;
mod guarded;
mod rekeyed;
mod renamed;

use crate::support::{Launched, Running, TestDatabase};
use rowcall::job::End;

/// The command of the tasks here, by which a launch tells its row.
const KEY: &str = "'{\"{{ job.row_key | tojson }}\"}'";

fn key_of(launched: &Launched) -> serde_json::Value {
    serde_json::from_str(&launched.attempt.request.command[0]).unwrap()
}

/// A table `public.orders` with a number as key, watched; status NEW asks for the task `book`.
async fn orders() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.run(
        "create table orders (id int primary key, status text, note text); select rowcall.watch('orders')",
    )
    .await;
    report_changes(&db, "orders").await;
    db.task("book", "NEW", ("source_table, result_column, command", &format!("'orders', null, {KEY}"))).await;
    db
}

/// So that `until` looks again when this table changes.
async fn report_changes(db: &TestDatabase, table: &str) {
    db.run(&format!(
        "create trigger test_changed after insert or update or delete on {table}
         for each statement execute function public.test_changed()"
    ))
    .await;
}

/// The next launch, which must be for this key; ended well.
async fn runs(running: &mut Running, key: serde_json::Value) -> Launched {
    let launched = running.launch().await;
    assert_eq!(key_of(&launched), key);
    running.end(&launched, End::exited(0));
    launched
}

#[tokio::test]
async fn a_last_update_that_nobody_may_write_is_left_alone() {
    let db = TestDatabase::new().await;
    db.run(
        "create table dated (id int primary key, status text, created timestamptz not null default now(), day date default '2020-01-01',
             last_update timestamp generated always as (day + time '12:00') stored);
         create table numbered (id int primary key, status text, created int generated always as identity,
             last_update bigint generated always as identity (start with 7));
         select rowcall.watch('dated'), rowcall.watch('numbered')",
    )
    .await;
    for table in ["dated", "numbered"] {
        report_changes(&db, table).await;
        db.task(table, "NEW", ("source_table, result_column, command", &format!("'{table}', null, {KEY}")))
            .await;
    }
    let mut running = Running::start(&db).await;
    db.run("insert into dated (id, status, created) values (1, 'NEW', '2001-02-03')").await;
    let one = serde_json::json!({"id": 1});
    runs(&mut running, one.clone()).await;
    db.until("select status = 'PROCESSED' and created = '2001-02-03' and last_update = '2020-01-01 12:00' from dated").await;
    db.run("insert into numbered (id, status) values (1, 'NEW')").await;
    runs(&mut running, one).await;
    db.until("select (status, created, last_update) = ('PROCESSED', 1, 7) from numbered").await;
    running.stop().await;

    db.run("create table computed (id int primary key, done boolean, status text generated always as (case when done then 'A' end) stored)")
        .await;
    let refused = db.refused("select rowcall.watch('computed')").await;
    assert!(refused.contains("column status of table public.computed is generated"), "{refused}");
}

#[tokio::test]
async fn a_truncated_table_leaves_nothing_to_do() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW')").await;
    let launched = running.launch().await;
    db.run("update rowcall.parameters set enabled = false; insert into orders values (2, 'NEW'); truncate orders;
            update rowcall.parameters set enabled = true")
        .await;
    db.until("select outcome = 'OBSOLETE' from rowcall.history where row_key = '{\"id\": 2}'").await;
    running.end(&launched, End::exited(0));
    db.until("select outcome = 'SUCCEEDED' and write_back = 'deleted' from rowcall.history where row_key = '{\"id\": 1}'").await;
    db.run("insert into orders values (1, 'NEW')").await;
    runs(&mut running, serde_json::json!({"id": 1})).await;
    db.until("select status = 'PROCESSED' from orders").await;
    running.stop().await;
}
