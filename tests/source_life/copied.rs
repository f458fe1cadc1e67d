//! Dumped and restored, and replayed by logical replication.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use super::{orders, runs};
use crate::support::{Running, TestDatabase, server_program, settings};
use rowcall::job::End;

/// Output of a program, which must succeed.
fn output(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn a_dump_restores_rows_triggers_and_jobs() {
    let (Some(pg_dump), Some(psql)) = (server_program("pg_dump"), server_program("psql")) else {
        eprintln!("left out: no pg_dump and psql in PATH or /usr/lib/postgresql/*/bin");
        return;
    };
    let db = orders().await;
    let theirs = db.one::<String>("show server_version_num").await.parse::<u32>().unwrap() / 10_000;
    let version = output(Command::new(&pg_dump).arg("--version"));
    let ours: u32 = version.split([' ', '.']).find_map(|word| word.trim().parse().ok()).unwrap();
    if ours < theirs {
        eprintln!("left out: pg_dump {ours} cannot dump a server of version {theirs}");
        return;
    }
    db.run(
        "create schema store; alter table orders set schema store; select rowcall.watch('store.orders');
            insert into store.orders values (1, 'NEW')",
    )
    .await;
    let mut running = Running::start(&db).await;
    runs(&mut running, json!({"id": 1})).await;
    db.until("select status = 'PROCESSED' from store.orders").await;
    db.run("insert into store.orders values (2, 'NEW')").await;
    let launched = running.launch().await;
    db.run("update rowcall.parameters set enabled = false; insert into store.orders values (3, 'NEW')").await;
    let world = Arc::clone(&running.world);
    running.stop().await;

    let dump = tempfile::NamedTempFile::new().unwrap();
    output(Command::new(&pg_dump).arg("--file").arg(dump.path()).arg(&db.url));
    let (moved, copy) = (TestDatabase::empty().await, TestDatabase::empty().await);
    for place in [&moved, &copy] {
        let args = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"];
        output(Command::new(&psql).args(args).arg(dump.path()).arg(&place.url));
        for what in [
            "store.orders",
            "rowcall.jobs",
            "rowcall.attempts",
            "rowcall.history",
            "rowcall.parameters",
            "rowcall.source_tables",
            "rowcall.missed_rows",
        ] {
            let all =
                format!("select coalesce(string_agg(t::text, '; ' order by t::text), 'none') from {what} t");
            assert_eq!(place.one::<String>(&all).await, db.one::<String>(&all).await, "{what}");
        }
    }

    // In the original's place: what runs is followed to its end, what waits is run.
    // The original is gone, as "rowcall serve --same-database" says.
    moved.run("select rowcall_internal.copied_from(true)").await;
    let mut running = Running::with(settings(&moved.url), world).await;
    running.end(&launched, End::exited(0));
    moved.until("select status = 'PROCESSED' from store.orders where id = 2").await;
    moved.run("update rowcall.parameters set enabled = true").await;
    runs(&mut running, json!({"id": 3})).await;
    moved.until("select count(*) = 3 from store.orders where status = 'PROCESSED'").await;
    moved.run("insert into store.orders values (4, 'NEW')").await;
    runs(&mut running, json!({"id": 4})).await;
    running.stop().await;

    // Beside it: nothing of the original's is touched.
    assert_eq!(copy.one::<i64>("select rowcall.new_identity()").await, 2);
    copy.run("update rowcall.parameters set enabled = true").await;
    let mut running = Running::start(&copy).await;
    assert_eq!(copy.one::<i64>("select rowcall.rescan('store.orders')").await, 1);
    runs(&mut running, json!({"id": 3})).await;
    copy.run("insert into store.orders values (4, 'NEW')").await;
    runs(&mut running, json!({"id": 4})).await;
    copy.until("select count(*) = 3 from store.orders where status = 'PROCESSED'").await;
    assert_eq!(
        copy.one::<String>("select status from store.orders where id = 2").await,
        "PROCESSING",
        "it runs elsewhere: somebody must decide about it"
    );
    running.stop().await;
}

#[tokio::test]
async fn rows_of_a_session_with_triggers_off_are_found_by_a_rescan() {
    let db = orders().await;
    let mut running = Running::start(&db).await;
    db.run("set session_replication_role = replica; insert into orders values (1, 'NEW'), (2, 'OTHER'), (3, 'NEW');
            update orders set status = 'NEW' where id = 2; reset session_replication_role")
        .await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    assert_eq!(db.one::<i64>("select rowcall.rescan('orders')").await, 3);
    for _ in 0..3 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 3 from orders where status = 'PROCESSED'").await;
    assert_eq!(db.one::<i64>("select rowcall.rescan('orders')").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn logical_replication_makes_no_jobs_but_rescan_finds_its_rows() {
    let (publisher, db) = (TestDatabase::empty().await, orders().await);
    if publisher.one::<String>("show wal_level").await != "logical" {
        eprintln!("left out: this server's wal_level is not logical");
        return;
    }
    let name = publisher.one::<String>("select current_database()::text").await;
    publisher.run("create table orders (id int primary key, status text, note text); create publication orders for table orders").await;
    publisher.run(&format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
    // So that the worker's own changes are heard of. It fires no triggers for statements.
    db.run(
        "create trigger replayed after insert or update on orders for each row execute function public.test_changed();
         alter table orders enable always trigger replayed",
    )
    .await;
    // The server connects to itself, and in a container it has another port inside than outside.
    let password = publisher
        .url
        .split_once("://")
        .and_then(|(_, rest)| Some(rest.split_once('@')?.0.split_once(':')?.1));
    let publishing: String = publisher
        .one(
            "select format('host=%s port=%s user=%s dbname=%s', split_part(current_setting('unix_socket_directories'), ', ', 1),
                current_setting('port'), current_user, current_database())",
        )
        .await;
    db.run(&format!(
        "create subscription {name} connection '{publishing} password={}' publication orders
         with (create_slot = false, copy_data = false)",
        password.unwrap_or("none")
    ))
    .await;
    publisher.run("insert into orders values (1, 'NEW'), (2, 'OTHER')").await;
    publisher.run("update orders set status = 'NEW' where id = 2").await;
    db.until("select count(*) = 2 from orders where status = 'NEW'").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0);
    assert_eq!(db.one::<i64>("select rowcall.rescan('orders')").await, 2);
    let mut running = Running::start(&db).await;
    for _ in 0..2 {
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
    }
    db.until("select count(*) = 2 from orders where status = 'PROCESSED'").await;
    // A row of one's own beside the replicated ones asks as ever.
    db.run("insert into orders values (3, 'NEW')").await;
    runs(&mut running, json!({"id": 3})).await;
    running.stop().await;
    // Its slot goes with it: one left behind would keep the server from recycling its log.
    db.run(&format!("drop subscription {name}")).await;
}
