//! Dropped, and made anew.

use serde_json::json;

use super::{KEY, orders, report_changes, runs};
use crate::support::{Running, TestDatabase};
use rowcall::database::migrate;
use rowcall::job::End;

#[tokio::test]
async fn a_dropped_table_holds_up_nobody_else() {
    let db = orders().await;
    db.task("other", "REGISTERED", ("command", KEY)).await;
    report_changes(&db, "rowcall.missed_rows").await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (1, 'NEW')").await;
    let launched = running.launch().await;
    db.run("update rowcall.parameters set enabled = false where name = 'book'; insert into orders values (2, 'NEW');
            insert into rowcall.missed_rows (source_table, row_key, error) values ('orders', '{\"id\": 3}', 'of a test');
            drop table orders; update rowcall.parameters set enabled = true; insert into rowcall.files default values")
        .await;
    let id = db.one::<i64>("select id from rowcall.files").await;
    runs(&mut running, json!({"id": id})).await;
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    let reason = "the row cannot be read: the table was dropped: SELECT rowcall.forget_dropped();";
    db.until(&format!(
        "select state = 'blocked' and reason = '{reason}' from rowcall.jobs where row_key = '{{\"id\": 2}}'"
    ))
    .await;
    running.end(&launched, End::exited(0));
    db.until("select outcome = 'SUCCEEDED' and write_back like 'failed: %' from rowcall.history where task = 'book' and row_key = '{\"id\": 1}'").await;

    // As a bare number, but readable; and everything else goes on.
    assert!(
        db.one::<bool>("select source_table::text ~ '^[0-9]+$' from rowcall.parameters where name = 'book'")
            .await
    );
    assert_eq!(
        db.one::<String>("select string_agg(distinct new->>'source_table', ' ') from rowcall.parameters_history where name = 'book'
                          and operation = 'INSERT'").await,
        "public.orders",
        "where a DBA finds the name"
    );
    db.run(
        "update rowcall_internal.functions set checksum = ''; select count(*) from rowcall.grants_wrong()",
    )
    .await;
    migrate(&mut db.connect().await, |_| {}).await.unwrap();
    assert_eq!(db.one::<i64>("select count(*) from rowcall.grants_wrong()").await, 0);
    db.run("update rowcall.parameters set timeout = '2 hours', enabled = false where name = 'book'").await;

    assert_eq!(db.one::<i64>("select rowcall.forget_dropped()").await, 1);
    assert_eq!(
        db.one::<String>(
            "select outcome || ': ' || message from rowcall.history where row_key = '{\"id\": 2}'"
        )
        .await,
        "CANCELLED: the table is no longer watched"
    );
    assert_eq!(db.one::<i64>("select count(*) from rowcall.source_tables").await, 1);
    db.until("not exists (select from rowcall.missed_rows)").await;
    assert_eq!(db.one::<i64>("select count(*) from pg_proc where proname ~ '^on_(insert|update)_[0-9]' and pronamespace = 'rowcall_internal'::regnamespace").await, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_table_made_anew_under_the_name_is_another_table() {
    let db = orders().await;
    db.run("update rowcall.parameters set enabled = false; insert into orders values (1, 'NEW'); drop table orders;
            create table orders (id int primary key, status text)")
        .await;
    report_changes(&db, "orders").await;
    db.run("insert into orders values (1, 'NEW')").await;
    // The task is still that of the old one.
    db.run("select rowcall.watch('orders')").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs").await, 0, "watch has tidied up");
    db.run("insert into orders values (2, 'NEW')").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    db.run("update rowcall.parameters set source_table = 'orders', enabled = true").await;
    let mut running = Running::start(&db).await;
    db.run("insert into orders values (3, 'NEW')").await;
    runs(&mut running, json!({"id": 3})).await;
    assert_eq!(db.one::<i64>("select rowcall.rescan('orders')").await, 2);
    for _ in 0..2 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 3 from orders where status = 'PROCESSED'").await;
    running.stop().await;
}

#[tokio::test]
async fn a_detached_partition_asks_for_nothing() {
    let db = TestDatabase::new().await;
    db.run(
        "create table parts (id int primary key, status text) partition by range (id);
         create table parts_low partition of parts for values from (0) to (100);
         create table parts_high partition of parts for values from (100) to (200);
         select rowcall.watch('parts')",
    )
    .await;
    db.task("book", "NEW", ("source_table, result_column", "'parts', null")).await;
    db.run("insert into parts_low values (1, 'NEW'); insert into parts values (101, 'NEW')").await;
    assert_eq!(db.jobs("book").await, 2);
    db.run(
        "alter table parts detach partition parts_low; insert into parts_low values (2, 'NEW');
         update parts_low set status = 'NEW'; insert into parts_low values (3, 'OLD'); update parts_low set status = 'NEW';
         insert into parts values (102, 'NEW')",
    )
    .await;
    assert_eq!(db.jobs("book").await, 3);
}
