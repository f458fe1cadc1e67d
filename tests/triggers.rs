//! A job exists if and only if the row's change committed.

use crate::support::{Running, TestDatabase};
use rowcall::job::End;

#[tokio::test]
async fn an_insert_runs_its_task_and_the_row_ends_processed() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    db.until("select status = 'PROCESSING' from rowcall.files").await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    assert_eq!(db.jobs("loader").await, 0);
    running.stop().await;
}
