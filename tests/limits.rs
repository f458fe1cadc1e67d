//! Limits of the server and of roles: a dispatcher works with what there is, and waits for what there is not.

use std::sync::Arc;
use std::time::Duration;

use rowcall::database::{Database, DatabaseError, Statements as _};
use rowcall::job::End;

use crate::support::{
    DAEMON, LOGIN_PASSWORD, Running, TestDatabase, hear_beats, settings, settings_as_owner,
};

async fn run_some(db: &TestDatabase, running: &mut Running, rows: usize) {
    db.run(&format!("insert into rowcall.files select from generate_series(1, {rows})")).await;
    for _ in 0..rows {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
}

#[tokio::test]
async fn the_limits_of_a_role_are_not_those_of_its_statements() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    let name: String = db.one("select quote_ident(current_database())").await;
    let limits = [
        "default_transaction_isolation = 'serializable'",
        "statement_timeout = '3s'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1s'",
    ];
    for limit in limits {
        db.run(&format!("alter role {DAEMON} in database {name} set {limit}")).await;
    }
    let idle = format!("alter role {DAEMON} in database {name} set idle_session_timeout = '300ms'");
    let has_idle = db.one::<i32>("select current_setting('server_version_num')::int").await >= 140_000;
    if has_idle {
        db.run(&idle).await;
    }
    let mut running = Running::start(&db).await;
    run_some(&db, &mut running, 20).await;
    let listens =
        "select max(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'";
    let begins = async {
        loop {
            if let Some(pid) = db.one::<Option<i32>>(listens).await {
                return pid;
            }
        }
    };
    let listener = tokio::time::timeout(Duration::from_secs(20), begins).await.expect("it listens");
    for _ in 0..3 {
        hear_beats(&db).await;
    }
    run_some(&db, &mut running, 20).await;
    if has_idle {
        assert_eq!(db.one::<Option<i32>>(listens).await, Some(listener), "its silence is no fault");
    }
    running.stop().await;
    // Also after code of users has run.
    let mut settings = settings(&db.url).database;
    settings.pool_size = 1;
    let database = Database::new(&settings).unwrap();
    database.look_for_pooler().await.unwrap();
    for _ in 0..2 {
        let client = database.get().await.unwrap();
        let now = "select concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
            current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation'))";
        let now = client.one(now, &[]).await.unwrap();
        assert_eq!(now.get::<_, &str>(0), "1min 10s 1min read committed");
        client.users_ran();
        database.give_back(client);
    }
}

#[tokio::test]
async fn few_connections_are_enough() {
    let db = TestDatabase::new().await;
    db.task("task", "REGISTERED", ("", "")).await;
    // One for its beats, one that listens, one that sleeps, and one for all work: fewer than its pool may have.
    let role = format!("narrow_{}", db.one::<String>("select right(current_database(), 20)").await);
    db.run(&format!(
        "create role {role} login password '{LOGIN_PASSWORD}' in role rowcall_dispatcher connection limit 4"
    ))
    .await;
    let mut settings = settings(&db.url);
    settings.database.url = crate::support::login(&db.url, &role);
    let mut running = Running::with(settings, Arc::default()).await;
    run_some(&db, &mut running, 10).await;
    // None at all for a while, and then as many as it wants.
    db.run(&format!(
        "alter role {role} connection limit 0;
         select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'"
    ))
    .await;
    db.run("insert into rowcall.files default values").await;
    db.run(&format!("alter role {role} connection limit -1")).await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    running.stop().await;
}

#[tokio::test]
async fn a_full_pool_is_told_and_keeps_its_connections() {
    let db = TestDatabase::new().await;
    let mut settings = settings_as_owner(&db.url).database;
    settings.pool_size = 1;
    settings.connect_timeout = Duration::from_millis(300);
    let database = Database::new(&settings).unwrap();
    let backend = async |client: &rowcall::database::Session| {
        client.one("select pg_backend_pid()", &[]).await.unwrap().get::<_, i32>(0)
    };
    let client = database.get().await.unwrap();
    let before = backend(&client).await;
    let waits = async { database.get().await.map(drop) };
    let refused = database.within(Duration::from_secs(20), waits).await.unwrap_err();
    assert!(matches!(refused, DatabaseError::Busy(1)), "{refused:?}");
    assert!(!refused.is_away() && refused.to_string().contains("database.pool_size"), "{refused}");
    drop(client);
    assert_eq!(backend(&database.get().await.unwrap()).await, before);
}
