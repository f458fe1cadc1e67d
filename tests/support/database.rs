//! A fresh database per test, cloned from a migrated template.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rowcall::database::{Database, Notifications, Subscription, migrate};
use tokio::sync::OnceCell;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls};

use super::container::Container;
use super::server::Server;

/// Longer than anything here takes on a busy machine; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(30);

/// Logins of the tests, each in one role of Rowcall and with no other right.
pub const DAEMON: &str = "rowcall_test_daemon";
pub const TASKS: &str = "rowcall_test_tasks";
pub const ADMIN: &str = "rowcall_test_admin";
pub const VIEWER: &str = "rowcall_test_viewer";
pub const LOGIN_PASSWORD: &str = "of-the-tests";

/// The same database for another login.
pub fn login(url: &str, name: &str) -> String {
    let (_, place) = url.rsplit_once('@').expect(url);
    format!("postgresql://{name}:{LOGIN_PASSWORD}@{place}")
}

/// What this machine may run: enough connections for all tests at once, and nothing that only a crash would miss.
const SETTINGS: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "400"),
    ("max_prepared_transactions", "10"),
    ("wal_level", "logical"),
];

struct Cluster {
    base: String,
    /// Lives as long as we do.
    _running: Box<dyn Any + Send + Sync>,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Cluster {
    /// The server that ROWCALL_TEST_DATABASE_URL names (a superuser's URL, without a database name), one from the image
    /// ROWCALL_TEST_POSTGRES_IMAGE, or one of our own. With a template database, migrated, in it.
    async fn start() -> Self {
        let cluster = match (setting("DATABASE_URL"), setting("POSTGRES_IMAGE")) {
            (Some(base), _) => Self { base: base.trim_end_matches('/').to_owned(), _running: Box::new(()) },
            (None, Some(image)) => {
                let container = Container::start(&image, &SETTINGS).await.unwrap();
                Self { base: container.url.clone(), _running: Box::new(container) }
            }
            (None, None) => {
                let start = || Server::start(&SETTINGS);
                let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
                let base = server.url("").trim_end_matches('/').to_owned();
                Self { base, _running: Box::new(server) }
            }
        };
        let admin = connect(&cluster.url("postgres")).await;
        admin.batch_execute("drop database if exists rowcall_template").await.unwrap();
        admin.batch_execute("create database rowcall_template").await.unwrap();
        let mut template = connect(&cluster.url("rowcall_template")).await;
        migrate(&mut template, |_| {}).await.unwrap();
        template.batch_execute(include_str!("changed.sql")).await.unwrap();
        // As it is from the start since PostgreSQL 15: triggers of users find what is in public only where it is closed.
        template.batch_execute("revoke create on schema public from public").await.unwrap();
        for (login, role) in [(DAEMON, "dispatcher"), (TASKS, "task"), (ADMIN, "admin"), (VIEWER, "viewer")] {
            // Another test program may be at work on the same server.
            let made = format!(
                "do $$ begin create role {login} login password '{LOGIN_PASSWORD}' in role rowcall_{role};
                 exception when duplicate_object or unique_violation then end $$"
            );
            admin.batch_execute(&made).await.unwrap();
        }
        cluster
    }

    fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("ROWCALL_TEST_{name}")).ok().filter(|value| !value.is_empty())
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// One test's database.
pub struct TestDatabase {
    pub url: String,
    pub client: Client,
    _subscription: Subscription,
    changes: Notifications,
}

impl TestDatabase {
    /// A migrated one.
    pub async fn new() -> Self {
        let database = Self::from_template("rowcall_template").await;
        // Not the same installation as its siblings, with the same launch keys, where they share a cluster.
        database.run("update rowcall_internal.instance set id = gen_random_uuid()").await;
        database
    }

    /// One without anything of ours.
    pub async fn empty() -> Self {
        Self::from_template("template1").await
    }

    async fn from_template(template: &str) -> Self {
        let cluster = CLUSTER.get_or_init(Cluster::start).await;
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&cluster.url("postgres")).await;
        // Another test may be copying the same template at this moment.
        while let Err(error) =
            admin.batch_execute(&format!("create database {name} template {template}")).await
        {
            assert!(
                error.to_string().contains("db error") && error.code().is_some_and(|c| c.code() == "55006"),
                "{error}"
            );
        }
        let url = cluster.url(&name);
        let client = connect(&url).await;
        let database = Database::new(&super::settings_as_owner(&url).database).unwrap();
        let (mut subscription, changes) = Subscription::open(&database).await.unwrap();
        subscription.listen(&["test_changed".to_owned()].into()).await.unwrap();
        Self { url, client, _subscription: subscription, changes }
    }

    /// One more connection.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// One with only the rights of a login.
    pub async fn connect_as(&self, name: &str) -> Client {
        connect(&login(&self.url, name)).await
    }

    /// Somebody who sleeps as a dispatcher does, so that commits notify; ends with the connection.
    pub async fn asleep(&self) -> Client {
        let sleeper = self.connect().await;
        sleeper.batch_execute("begin; lock table rowcall_internal.wake_lock in share mode").await.unwrap();
        sleeper
    }

    /// Runs statements.
    pub async fn run(&self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql).await {
            panic!("{sql}\n{:?}", error.as_db_error().map_or(error.to_string(), ToString::to_string));
        }
    }

    /// Runs a statement that must be refused; returns code, message, detail and hint as one text.
    pub async fn refused(&self, sql: &str) -> String {
        let error = self.client.batch_execute(sql).await.expect_err(sql);
        explain(&error)
    }

    /// One value.
    pub async fn one<T: FromSqlOwned>(&self, sql: &str) -> T {
        self.one_with(sql, &[]).await
    }

    /// One value of a statement with parameters.
    pub async fn one_with<T: FromSqlOwned>(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> T {
        match self.client.query_one(sql, parameters).await {
            Ok(row) => row.get(0),
            Err(error) => panic!("{sql}\n{}", explain(&error)),
        }
    }

    /// Waits until a condition holds, looking again whenever jobs, attempts, history or files change.
    pub async fn until(&self, condition: &str) {
        let waiting = async {
            while !self.one::<bool>(&format!("select coalesce(({condition}), false)")).await {
                self.changes.next().await.expect("the connection that hears of changes ended");
            }
        };
        let in_time = tokio::time::timeout(LIMIT, waiting).await.is_ok();
        assert!(in_time, "never true: {condition}\n{}", self.picture().await);
    }

    /// Everything of interest, for a test that fails.
    pub async fn picture(&self) -> String {
        self.one(
            "select concat_ws(E'\\n',
                (select string_agg('file ' || f::text, E'\\n') from rowcall.files f),
                (select string_agg('job ' || j::text, E'\\n') from rowcall.jobs j),
                (select string_agg(format('attempt %s of job %s: %s %s %s', a.number, a.job_id, a.outcome, a.reason, a.output),
                    E'\\n') from rowcall.attempts a),
                (select string_agg('history ' || h::text, E'\\n') from rowcall.history h))",
        )
        .await
    }

    /// A parameters row for the runner of the tests, with more columns if wanted: `("a, b", "1, 2")`.
    pub async fn task(&self, name: &str, on_status: &str, more: (&str, &str)) {
        let (columns, values) = more;
        let comma = if columns.is_empty() { "" } else { ", " };
        let own = if columns.split(", ").any(|column| column == "runner") {
            ("", "")
        } else {
            (", runner, target", ", 'docker', 'fake'")
        };
        self.run(&format!(
            "insert into rowcall.parameters (name, on_status{}{comma}{columns}) values ('{name}', '{on_status}'{}{comma}{values})",
            own.0, own.1
        ))
        .await;
    }

    /// Jobs of a task, in whatever state.
    pub async fn jobs(&self, task: &str) -> i64 {
        self.one_with("select count(*) from rowcall.jobs where task = $1", &[&task]).await
    }
}

fn explain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!(
            "{} {} {} {}",
            db.code().code(),
            db.message(),
            db.detail().unwrap_or_default(),
            db.hint().unwrap_or_default()
        ),
        None => error.to_string(),
    }
}
