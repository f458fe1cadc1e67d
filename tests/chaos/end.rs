//! What the database says in the end.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use tokio_postgres::Client;

/// As the database has it.
pub struct Row {
    pub id: i64,
    pub task: String,
    pub status: String,
    pub revisions: Vec<i64>,
    pub result: Value,
}

pub struct Settled {
    pub job: i64,
    pub outcome: String,
    pub attempts: i32,
}

pub struct Attempt {
    pub launch: String,
    pub outcome: Option<String>,
    pub exit_code: Option<i32>,
}

/// All of it.
pub struct End {
    /// By the names that clients gave them.
    pub rows: HashMap<String, Row>,
    /// The jobs of a row, in the order of their ends.
    settled: HashMap<i64, Vec<Settled>>,
    attempts: HashMap<i64, Attempts>,
}

/// The attempts of a row, by job and number.
pub type Attempts = BTreeMap<(i64, i32), Attempt>;

impl End {
    pub async fn read(client: &Client) -> Self {
        let mut rows = HashMap::new();
        let of_files = "select id, attributes->>'ref', attributes->>'task', status, coalesce(attributes->'revisions', '[]'),
            coalesce(attributes->'result', 'null') from rowcall.files";
        for row in client.query(of_files, &[]).await.unwrap() {
            let revisions: Value = row.get(4);
            let revisions = revisions.as_array().unwrap().iter().filter_map(Value::as_i64).collect();
            let (id, task, status, result) = (row.get(0), row.get(2), row.get(3), row.get(5));
            rows.insert(row.get(1), Row { id, task, status, revisions, result });
        }
        let mut settled: HashMap<i64, Vec<Settled>> = HashMap::new();
        let of_history =
            "select (row_key->>'id')::bigint, job_id, outcome::text, attempt_count from rowcall.history
            order by settled_at, job_id";
        for row in client.query(of_history, &[]).await.unwrap() {
            let one = Settled { job: row.get(1), outcome: row.get(2), attempts: row.get(3) };
            settled.entry(row.get(0)).or_default().push(one);
        }
        let mut attempts: HashMap<i64, Attempts> = HashMap::new();
        let of_attempts = "select (row_key->>'id')::bigint, job_id, number, launch_key, outcome::text, exit_code from rowcall.attempts";
        for row in client.query(of_attempts, &[]).await.unwrap() {
            let one = Attempt { launch: row.get(3), outcome: row.get(4), exit_code: row.get(5) };
            attempts.entry(row.get(0)).or_default().insert((row.get(1), row.get(2)), one);
        }
        Self { rows, settled, attempts }
    }

    /// The settled jobs of a row.
    pub fn jobs(&self, row: i64) -> &[Settled] {
        self.settled.get(&row).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn attempts(&self, row: i64) -> &Attempts {
        static NONE: Attempts = BTreeMap::new();
        self.attempts.get(&row).unwrap_or(&NONE)
    }

    pub fn all_jobs(&self) -> impl Iterator<Item = &Settled> {
        self.settled.values().flatten()
    }

    pub fn all_attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.values().flat_map(BTreeMap::values)
    }
}
