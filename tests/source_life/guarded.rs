//! Row security: a row that Rowcall may not see.

use serde_json::json;

use super::{orders, runs};
use crate::support::Running;

#[tokio::test]
async fn a_hidden_row_looks_gone_and_the_warnings_policy_shows_it() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("alter table orders enable row level security; insert into orders values (1, 'NEW')").await;
    db.until("select outcome = 'OBSOLETE' from rowcall.history").await;
    db.run(
        "create policy rowcall on orders to rowcall_writer using (true); insert into orders values (2, 'NEW')",
    )
    .await;
    runs(&mut running, json!({"id": 2})).await;
    db.until("select status = 'PROCESSED' from orders where id = 2").await;
    running.stop().await;
}
