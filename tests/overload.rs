//! A million rows at once: the daemon and the writer's session stay small, and other tasks do not wait for them.

use std::time::{Duration, Instant};

use tokio::process::Child;

use crate::support::{TestDatabase, log_to, rowcall};

const ROWS: i64 = 1_000_000;

/// A daemon may take so much, in KiB, however much waits.
const DAEMON: u64 = 64 * 1024;

/// The session of a writer may take so much more for its statement than without us: the rows of a statement are kept in memory up to
/// work_mem, and on disk from there on; events of triggers are few, as they are of statements.
const WRITER: u64 = 64 * 1024;

/// A row of another task is launched within this time, in the middle of the flood.
const SOON: Duration = Duration::from_secs(5);

/// How a flood comes.
enum Flood {
    InOneTransaction,
    InAThousand,
}

/// What a process holds for itself alone, and what it has held at most, in KiB.
fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// What a session holds at most while it inserts.
async fn insert(db: &TestDatabase, table: &str, flood: &Flood) -> u64 {
    let writer = db.connect().await;
    let pid: i32 = writer.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let times = if matches!(flood, Flood::InAThousand) { 1000 } else { 1 };
    let sql = format!(
        "insert into {table} (status, attributes) select 'FLOOD', '{{\"size\": 1}}' from generate_series(1, {})",
        ROWS / times
    );
    let writing = async {
        for _ in 0..times {
            writer.batch_execute(&sql).await.unwrap();
        }
    };
    tokio::pin!(writing);
    let mut most = 0;
    loop {
        tokio::select! {
            () = &mut writing => return most,
            () = tokio::time::sleep(Duration::from_millis(50)) => most = most.max(memory(pid as u32, "RssAnon")),
        }
    }
}

/// Inserts a row of a small task, and waits until its program has run.
async fn a_small_one_runs(db: &TestDatabase) -> Duration {
    let begun = Instant::now();
    let id: i64 = db.one("insert into rowcall.files (status) values ('SMALL') returning id").await;
    db.until(&format!("select status = 'PROCESSED' from rowcall.files where id = {id}")).await;
    begun.elapsed()
}

async fn a_flood(flood: Flood) {
    let db = TestDatabase::new().await;
    for task in ["flood", "small"] {
        db.task(task, &task.to_uppercase(), ("runner, target", "'process', '/bin/true'")).await;
    }
    db.run("create table public.plain (like rowcall.files including all)").await;
    let directory = tempfile::tempdir().unwrap();
    let mut command = rowcall(&db.url, &directory.path().join("state"));
    let log = log_to(&mut command, directory.path());
    let mut daemon: Child = command.arg("serve").spawn().unwrap();
    a_small_one_runs(&db).await;
    let without = insert(&db, "public.plain", &flood).await;
    let with = insert(&db, "rowcall.files", &flood).await;
    assert!(with < without + WRITER, "the writer's session took {with} KiB, and {without} without us");
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        slowest = slowest.max(a_small_one_runs(&db).await);
    }
    let most = memory(daemon.id().unwrap(), "VmHWM");
    eprintln!("writer {with} KiB, without us {without}; daemon {most} KiB; a small task after {slowest:?}");
    assert!(slowest < SOON, "a small task ended after {slowest:?}");
    assert!(most < DAEMON, "the daemon took {most} KiB");
    let waiting = db.jobs("flood").await;
    assert!(waiting > ROWS / 2, "of the flood only {waiting} wait: it proves nothing");
    daemon.kill().await.unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains(" ERROR ") && !log.contains(" WARN "), "{log}");
}

#[tokio::test]
#[ignore = "needs the machine for itself: ./dev test"]
async fn a_million_rows_in_one_transaction_leave_all_others_alone() {
    a_flood(Flood::InOneTransaction).await;
}

#[tokio::test]
#[ignore = "needs the machine for itself: ./dev test"]
async fn a_million_rows_in_a_thousand_transactions_leave_all_others_alone() {
    a_flood(Flood::InAThousand).await;
}
