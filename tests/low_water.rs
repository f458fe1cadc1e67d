//! A busy dispatcher does not begin each look at the head of the queue, and leaves nothing behind for that.

use std::time::{Duration, Instant};

use crate::support::{Running, TestDatabase};

/// With a few of these in a second a dispatcher is busy.
const BURST: &str = "insert into rowcall.files (status) select 'REGISTERED' from generate_series(1, 250)";

async fn burst(db: &TestDatabase, running: &mut Running) {
    db.run(BURST).await;
    for _ in 0..250 {
        running.launch().await;
    }
}

#[tokio::test]
async fn a_job_that_commits_late_is_found_while_many_others_come() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    let late = db.connect().await;
    late.batch_execute("begin; insert into rowcall.files (id) values (-1)").await.unwrap();
    // Its job has been due since then. A dispatcher knows after a second that it is busy, and stays a second behind.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        burst(&db, &mut running).await;
    }
    late.batch_execute("commit").await.unwrap();
    let mut bursts = 0;
    while !db.one::<bool>("select exists (select from rowcall.attempts where row_key = '{\"id\": -1}')").await
    {
        burst(&db, &mut running).await;
        bursts += 1;
        assert!(bursts < 100, "it was never claimed");
    }
    running.stop().await;
}
