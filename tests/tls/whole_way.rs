//! Migration, daemon and task, every connection verified.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::process::Command;

use super::{Encrypted, ONLY_SSL, connect};
use crate::support::rowcall;

/// A database of its own on the encrypted server, as the superuser sees it, with these parameters.
pub async fn database(server: &Encrypted, host: &str, parameters: &str) -> String {
    let url = server.server.url("postgres");
    let client = connect(&url).await.unwrap();
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let name = format!("tls_{nanoseconds}");
    client.batch_execute(&format!("create database {name}")).await.unwrap();
    let url = url.replace("127.0.0.1", host);
    format!("{}/{name}?{parameters}", url.rsplit_once('/').unwrap().0)
}

/// `rowcall` that may run `rowcall-task`, which runs what the tests want.
pub fn command(url: &str, state: &Path) -> Command {
    let mut command = rowcall(url, state);
    let ours = Path::new(env!("CARGO_BIN_EXE_rowcall-task")).parent().unwrap();
    command.env("ROWCALL_RUNNERS__PROCESS__PROGRAMS", format!("/bin/, /usr/bin/, {}/", ours.display()));
    command
}

pub async fn succeed(command: &mut Command) -> String {
    let done = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    said
}

/// A task that asks libpq's way how it is connected.
pub const HOW: &str = r#"psql -X -At -c "select json_build_object('ssl', ssl, 'user', session_user) from pg_stat_ssl where pid = pg_backend_pid()""#;

pub async fn insert(url: &str) {
    let client = connect(url).await.unwrap();
    let target = env!("CARGO_BIN_EXE_rowcall-task");
    let insert = "insert into rowcall.parameters (name, on_status, runner, target, command, max_attempts)
        values ('how', 'REGISTERED', 'process', $1, array['exec', '--', '/bin/sh', '-c', $2], 1)";
    client.execute(insert, &[&target, &HOW]).await.unwrap();
    client.batch_execute("insert into rowcall.files default values").await.unwrap();
}

pub async fn row(url: &str) -> String {
    let client = connect(url).await.unwrap();
    let sql = "select concat_ws(' ', status, attributes) from rowcall.files";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn daemon_task_and_program_connect_under_verify_full() {
    let server = Encrypted::get();
    let url = database(server, "localhost", &format!("sslmode=verify-full&{}", server.roots())).await;
    let state = tempfile::tempdir().unwrap();
    succeed(command(&url, state.path()).arg("migrate")).await;
    insert(&url).await;
    succeed(command(&url, state.path()).args(["serve", "--drain"])).await;
    assert_eq!(row(&url).await, r#"PROCESSED {"result": {"ssl": true, "user": "postgres"}}"#);
}

#[tokio::test]
#[ignore = "needs the example file_loader: ./dev test"]
async fn the_example_loads_where_only_encrypted_logins_may_come_in() {
    let server = Encrypted::get();
    let url = database(server, "localhost", "sslmode=require").await;
    let state = tempfile::tempdir().unwrap();
    succeed(command(&url, state.path()).arg("migrate")).await;
    let client = connect(&url).await.unwrap();
    let loader = std::env::var("ROWCALL_TEST_LOADER").expect("ROWCALL_TEST_LOADER");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/airports.csv");
    client
        .batch_execute(&format!(
            "grant rowcall_task to only_ssl; grant create, usage on schema public to only_ssl;
             insert into rowcall.parameters (name, on_status, runner, target, max_attempts)
             values ('load', 'REGISTERED', 'process', '{loader}', 1);
             insert into rowcall.files (attributes) values ('{{\"path\": \"{path}\"}}')"
        ))
        .await
        .unwrap();
    let mut serve = command(&url, state.path());
    let tasks = server.url(ONLY_SSL, "localhost", "").replace("/postgres?", &format!("/{}?", name_of(&url)));
    serve.env("ROWCALL_TASKS__DATABASE_URL", tasks);
    serve.env("ROWCALL_RUNNERS__PROCESS__PROGRAMS", &loader);
    succeed(serve.args(["serve", "--drain"])).await;
    let why = "select string_agg(line, ' ') from rowcall.explain('rowcall.files', 1) line";
    let why: String = client.query_one(why, &[]).await.unwrap().get(0);
    assert!(row(&url).await.starts_with("PROCESSED"), "{why}");
}

/// The database that a URL names.
fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap().split('?').next().unwrap()
}
