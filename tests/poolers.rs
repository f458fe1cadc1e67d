//! Behind a pooler that gives each transaction another session of the server, all works as without one.

use std::sync::Arc;
use std::time::Duration;

use rowcall::dispatcher::Mode;
use rowcall::job::End;
use rowcall::settings::Settings;
use tokio_postgres::{Client, NoTls};

use crate::support::{
    Bouncer, DAEMON, PgBouncer, Running, SHARED, TestDatabase, login, process_settings, rowcall, settings,
    start_process,
};

const HOUR: Duration = Duration::from_hours(1);

/// Each test with each PgBouncer.
macro_rules! with_each {
    ($($name:ident),+ $(,)?) => {
        mod with_pgbouncer {
            $(
                #[tokio::test]
                #[ignore = "needs PgBouncer: ./dev test"]
                async fn $name() {
                    super::$name(crate::support::Bouncer::Installed).await;
                }
            )+
        }

        mod with_newer_pgbouncer {
            $(
                #[tokio::test]
                #[ignore = "needs Docker and an image of PgBouncer: ./dev test"]
                async fn $name() {
                    super::$name(crate::support::Bouncer::Newer).await;
                }
            )+
        }
    };
}

with_each!(
    two_dispatchers_share_sessions,
    tasks_report_through_it,
    listen_url_leads_past_it,
    commands_work_through_it,
);

fn behind(bouncer: &PgBouncer, mut settings: Settings) -> Settings {
    settings.database.url = bouncer.url(&settings.database.url);
    settings.tasks.database_url = bouncer.url(&settings.tasks.database_url);
    settings.dispatcher.poll_interval_without_listen = Duration::from_millis(100);
    settings
}

/// Every session that the pooler has for the daemon's login, each held by a transaction.
async fn sessions(bouncer: &PgBouncer, db: &TestDatabase) -> Vec<Client> {
    let mut sessions = Vec::new();
    for _ in 0..SHARED {
        let (client, connection) =
            tokio_postgres::connect(&bouncer.url(&login(&db.url, DAEMON)), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("begin").await.unwrap();
        sessions.push(client);
    }
    sessions
}

async fn two_dispatchers_share_sessions(which: Bouncer) {
    let db = TestDatabase::new().await;
    let bouncer = PgBouncer::start(which, &db.url).await;
    db.task("task", "REGISTERED", ("max_attempts, backoff, timeout", "2, '10 ms', '1 h'")).await;
    // What a trigger of a user does to its session is nothing to the next transaction.
    db.run(
        "create function public.meddle() returns trigger language plpgsql as $$
         begin
            perform set_config('default_transaction_read_only', 'on', false), pg_advisory_lock(7);
            return new;
         end $$;
         create trigger meddle before update on rowcall.files for each row execute function public.meddle()",
    )
    .await;
    let world = Arc::default();
    let mut first = Running::with(behind(&bouncer, settings(&db.url)), Arc::clone(&world)).await;
    let mut second = Running::with(behind(&bouncer, settings(&db.url)), Arc::clone(&world)).await;
    db.run("insert into rowcall.files select from generate_series(1, 60)").await;
    // Each first attempt fails, each second succeeds; an edit of the parameters comes between.
    for round in 0..120 {
        let launched = tokio::select! {
            launched = first.launch() => launched,
            launched = second.launch() => launched,
        };
        let code = i32::from(launched.attempt.number == 1);
        first.end(&launched, End::exited(code));
        if round == 30 {
            db.run("update rowcall.parameters set priority = 1").await;
        }
    }
    db.until("select count(*) = 60 from rowcall.files where status = 'PROCESSED'").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.attempts").await, 120);
    assert_eq!(world.distinct_launches(), 120);
    first.stop().await;
    second.stop().await;
    for session in sessions(&bouncer, &db).await {
        let left: String = session
            .query_typed_one(
                "select concat_ws(' ', (select count(*) from pg_prepared_statements),
                    (select count(*) from pg_listening_channels()), current_setting('default_transaction_read_only'),
                    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()))",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(left, "0 0 off 0");
    }
}

async fn tasks_report_through_it(which: Bouncer) {
    let db = TestDatabase::new().await;
    let bouncer = PgBouncer::start(which, &db.url).await;
    let state = tempfile::tempdir().unwrap();
    let task = env!("CARGO_BIN_EXE_rowcall-task");
    let command = r#"'{exec,--,/bin/sh,-c,"echo ''{\"n\": {{ row.id }}}''"}'"#;
    db.task("task", "REGISTERED", ("runner, target, command", &format!("'process', '{task}', {command}")))
        .await;
    let dispatcher =
        start_process(behind(&bouncer, process_settings(&db.url, state.path())), Mode::Serve).await;
    db.run("insert into rowcall.files select from generate_series(1, 20)").await;
    db.until(
        "select count(*) = 20 from rowcall.files where attributes->'result' = jsonb_build_object('n', id)",
    )
    .await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.attempts").await, 20);
    dispatcher.drain();
    dispatcher.finish().await.unwrap();
}

async fn listen_url_leads_past_it(which: Bouncer) {
    let db = TestDatabase::new().await;
    let bouncer = PgBouncer::start(which, &db.url).await;
    db.task("task", "REGISTERED", ("", "")).await;
    let mut settings = behind(&bouncer, settings(&db.url));
    // One is enough, as long as it takes.
    settings.database.pool_size = 1;
    settings.database.listen_url = login(&db.url, DAEMON);
    // Only a notification can explain a launch now.
    settings.dispatcher.poll_interval = HOUR;
    settings.dispatcher.poll_interval_without_listen = HOUR;
    settings.dispatcher.heartbeat_interval = HOUR;
    settings.dispatcher.dead_after = 2 * HOUR;
    settings.dispatcher.janitor_interval = HOUR;
    let mut running = Running::with(settings, Arc::default()).await;
    for _ in 0..3 {
        db.run("insert into rowcall.files default values").await;
        let launched = running.launch().await;
        running.end(&launched, End::exited(0));
        db.until("select bool_and(status = 'PROCESSED') from rowcall.files").await;
    }
    running.stop().await;
}

async fn commands_work_through_it(which: Bouncer) {
    let db = TestDatabase::empty().await;
    let bouncer = PgBouncer::start(which, &db.url).await;
    let state = tempfile::tempdir().unwrap();
    let url = bouncer.url(&db.url);
    let run = async |arguments: &[&str]| {
        let output = rowcall(&url, state.path()).args(arguments).output().await.unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    run(&["migrate"]).await;
    db.task("task", "REGISTERED", ("runner, target", "'process', '/bin/true'")).await;
    db.run("insert into rowcall.files default values").await;
    assert!(run(&["migrate", "--status"]).await.contains("applied"));
    assert!(run(&["check"]).await.contains("task"));
    assert!(run(&["preview", "rowcall.files", "1"]).await.contains("/bin/true"));
    run(&["serve", "--drain"]).await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "PROCESSED");
}
