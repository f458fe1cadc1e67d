//! Statements for a batch read what is of that batch, also by a plan that was made while their tables were small.

mod passes;

use std::sync::Arc;
use std::time::Duration;

use rowcall::job::End;

use crate::support::{Running, TestDatabase, settings};

/// More than a few, which go by other statements.
const BATCH: usize = 40;

async fn batch(db: &TestDatabase, running: &mut Running, done: usize) {
    db.run(&format!(
        "insert into rowcall.files (status) select 'REGISTERED' from generate_series(1, {BATCH})"
    ))
    .await;
    let mut launched = Vec::new();
    for _ in 0..BATCH {
        launched.push(running.launch().await);
    }
    for attempt in &launched {
        running.end(attempt, End::exited(0));
    }
    db.until(&format!("(select count(*) = {done} from rowcall.history)")).await;
}

#[tokio::test]
async fn a_batch_reads_its_own_rows_after_its_tables_have_grown() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.task("other", "OTHER", ("enabled", "false")).await;
    // What the janitor looks at is not of a batch.
    let mut settings = settings(&db.url);
    settings.dispatcher.janitor_interval = Duration::from_hours(1);
    let mut running = Running::with(settings, Arc::default()).await;
    batch(&db, &mut running, BATCH).await;
    // From here on there is one plan for each statement of a session, for tables of this size.
    db.run("vacuum analyze rowcall.files, rowcall_internal.jobs, rowcall_internal.attempts").await;
    batch(&db, &mut running, 2 * BATCH).await;
    db.run("insert into rowcall.files (status) select 'OTHER' from generate_series(1, 20000)").await;
    for round in 3..6 {
        batch(&db, &mut running, round * BATCH).await;
    }
    // Sessions tell what they have read at the latest as they end.
    running.stop().await;
    let read = "select string_agg(format('%s %s', indexrelid::regclass, idx_tup_read), ', ') from pg_stat_user_indexes
        where indexrelid in ('rowcall_internal.jobs_pkey'::regclass, 'rowcall_internal.attempts_pkey'::regclass)
          and idx_tup_read > 20000";
    assert_eq!(db.one::<Option<String>>(read).await, None);
}
