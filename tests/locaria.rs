//! Coming from Locaria: its own tables and parameters, as they stand, and containers written for it go on working,
//! without what went wrong there.

mod faults_of_containers;
mod faults_of_launches;
mod faults_of_the_trigger;
mod imported_twice;
mod importing;
mod page;
mod refused;

use std::sync::Arc;
use std::time::Duration;

use rowcall::job::RunnerName;
use tempfile::TempDir;

use crate::support::{Launched, Running, TestDatabase, World, rowcall, settings};

/// A database with Locaria's schema beside Rowcall's, and the command.
pub struct Locaria {
    pub db: TestDatabase,
    place: TempDir,
}

/// What the command printed and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub errors: String,
}

impl Locaria {
    /// As Locaria left it.
    pub async fn new() -> Self {
        let db = TestDatabase::new().await;
        db.run(include_str!("locaria/schema.sql")).await;
        Self { db, place: tempfile::tempdir().unwrap() }
    }

    /// Imported, with the trigger replaced.
    pub async fn imported() -> Self {
        let locaria = Self::new().await;
        locaria.done(&["--apply", "--replace-trigger"]).await;
        locaria
    }

    /// Runs `rowcall import locaria`.
    pub async fn import(&self, options: &[&str]) -> Said {
        let mut command = rowcall(&self.db.url, self.place.path());
        command.args(["--log-level", "error", "import", "locaria"]).args(options);
        let output = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
    }

    /// Runs it where it must succeed; what it printed.
    pub async fn printed(&self, options: &[&str]) -> String {
        let said = self.import(options).await;
        assert_eq!((said.code, said.errors.as_str()), (Some(0), ""), "{}", said.out);
        said.out
    }

    /// The same as one line, wherever lines were broken.
    pub async fn done(&self, options: &[&str]) -> String {
        self.printed(options).await.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Calls of Lambda functions that Locaria made, rolled back or not.
    pub async fn calls(&self) -> i64 {
        self.db.one("select last_value + case when is_called then 1 else 0 end from aws_lambda.calls").await
    }

    /// A dispatcher whose runner of ECS tasks is in the test's hands.
    pub async fn dispatcher(&self) -> Running {
        let mut settings = settings(&self.db.url);
        settings.dispatcher.dead_after = Duration::from_secs(30);
        self.dispatcher_with(settings).await
    }

    /// The same with these settings.
    pub async fn dispatcher_with(&self, settings: rowcall::settings::Settings) -> Running {
        Running::in_place_of(RunnerName::Ecs, settings, Arc::<World>::default()).await
    }

    /// A row's status.
    pub async fn status(&self, id: i64) -> String {
        self.db
            .one_with("select coalesce(status, 'null') from locaria_core.files where id = $1", &[&id])
            .await
    }

    /// All statuses, in the order of the rows.
    pub async fn statuses(&self) -> Vec<String> {
        self.db.one("select array_agg(status order by id) from locaria_core.files").await
    }

    /// Waits until no job is left.
    pub async fn settled(&self) {
        self.db.until("not exists (select from rowcall.jobs)").await;
    }

    /// How the jobs of rows ended, in the order of the rows.
    pub async fn outcomes(&self) -> Vec<String> {
        self.db
            .one(
                "select coalesce(array_agg((row_key->>'id') || ' ' || outcome order by (row_key->>'id')::int, settled_at), '{}')
                 from rowcall.history",
            )
            .await
    }
}

/// A container written for Locaria: it knows nothing of Rowcall, lists the rows of a status, and updates them by id.
pub struct OldContainer<'a> {
    locaria: &'a Locaria,
    rows: Vec<i64>,
}

impl<'a> OldContainer<'a> {
    /// Starts, with a list of its work.
    pub async fn started(locaria: &'a Locaria, status: &str) -> Self {
        let rows = locaria
            .db
            .one_with(
                "select coalesce(array_agg(id order by id), '{}') from locaria_core.files where status = $1",
                &[&status],
            )
            .await;
        Self { locaria, rows }
    }

    /// What it found.
    pub fn rows(&self) -> &[i64] {
        &self.rows
    }

    /// Writes about one row.
    pub async fn writes(&self, id: i64, status: &str, more: &str) {
        let update = format!("select locaria_core.update_file({id}, '{status}', '{more}')");
        self.locaria.db.run(&update).await;
    }

    /// Loads all it found, as the loader does.
    pub async fn loads_all(&self) {
        for id in &self.rows {
            self.writes(*id, "FARGATE_PROCESSING", r#"{"message": "Processing"}"#).await;
            self.writes(*id, "FARGATE_PROCESSED", r#"{"record_count": 7}"#).await;
        }
    }
}

/// The task definition that was launched, without the rest of its ARN.
pub fn family(launched: &Launched) -> &str {
    launched.attempt.request.target.rsplit('/').next().unwrap_or_default()
}
