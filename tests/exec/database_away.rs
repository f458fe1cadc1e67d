//! What `rowcall-task exec` does when the database is away, or has another word for it than "go on".

use super::{Attempt, text};
use crate::support::{Proxy, TestDatabase, rowcall_task};

#[tokio::test]
async fn a_lost_connection_delays_the_report_but_disturbs_no_program() {
    let attempt = Attempt::new(("", "")).await;
    let (up, gate, held) = (attempt.fifo("up"), attempt.fifo("gate"), attempt.fifo("held"));
    let ended = held.closed();
    let proxy = Proxy::new(&attempt.db.url).await;
    let script = format!(
        r#"exec 9> {}; echo > {}; read x < {}; echo '{{"n": 1}}'"#,
        held.path(),
        up.path(),
        gate.path()
    );
    let url = proxy.url(&attempt.db.url);
    let child = attempt.spawn_at(&url, &["--heartbeat-interval", "20ms"], &["sh", "-c", &script]);
    up.read().await;
    proxy.cut();
    gate.open().await;
    ended.await;
    assert_eq!(attempt.report().await, "");
    proxy.mend();
    let done = child.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), attempt.report().await.as_str()), (Some(0), "succeeded"));
}

#[tokio::test]
async fn a_report_that_is_never_heard_leaves_with_69() {
    let attempt = Attempt::new(("", "")).await;
    let (up, gate) = (attempt.fifo("up"), attempt.fifo("gate"));
    let proxy = Proxy::new(&attempt.db.url).await;
    let script = format!("echo > {}; read x < {}; exit 3", up.path(), gate.path());
    let url = proxy.url(&attempt.db.url);
    let child = attempt.spawn_at(&url, &["--report-limit", "500ms"], &["sh", "-c", &script]);
    up.read().await;
    proxy.cut();
    gate.open().await;
    let done = child.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(69));
    assert!(text(&done.stderr).contains("the end (exit code 3) was not reported"), "{}", text(&done.stderr));
}

#[tokio::test]
async fn a_sign_in_that_is_refused_is_no_verdict_on_the_report() {
    let attempt = Attempt::new(("", "")).await;
    let (up, gate) = (attempt.fifo("up"), attempt.fifo("gate"));
    // Roles belong to the whole server, which other tests use.
    let role: String = attempt.db.one("select 'away_' || current_database()").await;
    attempt.db.run(&format!("create role {role} login password 'first' in role rowcall_task")).await;
    let (_, place) = attempt.db.url.rsplit_once('@').unwrap();
    let url = format!("postgresql://{role}:first@{place}");
    let script = format!("echo > {}; read x < {}", up.path(), gate.path());
    let child = attempt.spawn_at(&url, &["--report-limit", "500ms"], &["sh", "-c", &script]);
    up.read().await;
    attempt.db.run(&format!("alter role {role} password 'second'")).await;
    attempt
        .db
        .run(&format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'"))
        .await;
    gate.open().await;
    let done = child.wait_with_output().await.unwrap();
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(69), "{said}");
    assert!(
        said.contains("its success is lost") && said.contains("password authentication failed"),
        "{said}"
    );
    attempt.db.run(&format!("drop role {role}")).await;
}

#[tokio::test]
async fn a_program_whose_attempt_is_over_is_stopped() {
    let attempt = Attempt::new(("", "")).await;
    let up = attempt.fifo("up");
    let child =
        attempt.spawn(&["--heartbeat-interval", "50ms"], &format!("echo > {}; exec sleep 1000", up.path()));
    up.read().await;
    attempt.db.run("select rowcall.cancel(id, 'not needed') from rowcall.jobs").await;
    let done = child.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(77));
    assert!(text(&done.stderr).contains("not needed") || text(&done.stderr).contains("no open attempt"));
    assert_eq!(attempt.report().await, "");
}

#[tokio::test]
async fn a_second_executor_starts_nothing() {
    let attempt = Attempt::new(("", "")).await;
    let (up, gate) = (attempt.fifo("up"), attempt.fifo("gate"));
    let first = attempt.spawn(&[], &format!("echo > {}; read x < {}", up.path(), gate.path()));
    up.read().await;
    let second = attempt.run("echo started").await;
    assert_eq!((second.status.code(), text(&second.stdout)), (Some(77), ""));
    assert!(text(&second.stderr).contains("another executor"), "{}", text(&second.stderr));
    gate.open().await;
    assert!(first.wait_with_output().await.unwrap().status.success());
    assert_eq!(attempt.report().await, "succeeded");
}

#[tokio::test]
async fn a_wrong_call_or_an_absent_database_starts_nothing() {
    let run = async |token: &str, url: &str| {
        let options = ["--start-limit", "300ms"];
        rowcall_task(token, url, &options, &["echo", "started"]).output().await.unwrap()
    };
    for (token, url, code, said) in [
        ("", "postgresql://u@127.0.0.1:1/db", 64, "ROWCALL_TOKEN and ROWCALL_DATABASE_URL must be set"),
        ("token", "", 64, "ROWCALL_TOKEN and ROWCALL_DATABASE_URL must be set"),
        ("token", "nonsense", 64, "ROWCALL_DATABASE_URL: the database URL"),
        ("token", "postgresql://u:hunter2@127.0.0.1:1/db", 69, "the program was not started"),
    ] {
        let done = run(token, url).await;
        let stderr = text(&done.stderr);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(code), ""), "{url}: {stderr}");
        assert!(stderr.contains(said) && !stderr.contains("hunter2"), "{stderr}");
    }
    let db = TestDatabase::new().await;
    let done = run("no attempt's token", &db.url).await;
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(77), ""));
    assert!(text(&done.stderr).contains("no open attempt"), "{}", text(&done.stderr));
}
