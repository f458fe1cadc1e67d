//! Clients that write rows, and operators that act on jobs; each notes what it did and what it was told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use super::ledger::{Event, Fate, Ledger, Write};
use super::tasks::Kind;

/// After so long without an answer a client gives its connection up.
const PATIENCE: Duration = Duration::from_secs(8);

/// Clients at the same time.
pub const WRITERS: u64 = 4;

/// What all of them share.
#[derive(Clone)]
pub struct Load {
    pub ledger: Arc<Ledger>,
    /// As an application's login, through a cable.
    pub app: String,
    /// As an operator's.
    pub admin: String,
    pub kinds: Arc<Vec<Kind>>,
    pub over: CancellationToken,
    /// So many jobs wait that clients hold back: a slow machine must come to its end, too.
    pub is_behind: Arc<AtomicBool>,
    pub seed: u64,
}

/// One client.
struct Writer {
    load: Load,
    rng: StdRng,
    number: u64,
    /// Its rows: name, task, writes so far.
    rows: Vec<(String, &'static str, i64)>,
}

async fn connect(url: &str) -> Option<Client> {
    let connecting = tokio_postgres::connect(url, NoTls);
    let (client, connection) = tokio::time::timeout(PATIENCE, connecting).await.ok()?.ok()?;
    tokio::spawn(connection);
    Some(client)
}

impl Load {
    /// One client, until the load is over.
    pub async fn write(self, number: u64) {
        let rng = StdRng::seed_from_u64(self.seed.wrapping_mul(31).wrapping_add(number));
        let mut writer = Writer { load: self, rng, number, rows: Vec::new() };
        while !writer.load.over.is_cancelled() {
            let Some(client) = connect(&writer.load.app).await else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            while !writer.load.over.is_cancelled() && !client.is_closed() {
                let pause = writer.rng.random_range(100..600);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                if writer.load.is_behind.load(Ordering::Relaxed) {
                    continue;
                }
                if writer.transaction(&client).await == Fate::Unknown {
                    break;
                }
            }
        }
    }

    /// Looks how much waits, by a connection that nothing breaks but the server.
    pub async fn measure(self, url: impl AsyncFn() -> String) {
        const MOST: i64 = 300;
        while !self.over.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let counting = async {
                let client = connect(&url().await).await?;
                client.query_one("select count(*) from rowcall.jobs", &[]).await.ok()
            };
            if let Ok(Some(row)) = tokio::time::timeout(PATIENCE, counting).await {
                self.is_behind.store(row.get::<_, i64>(0) > MOST, Ordering::Relaxed);
            }
        }
    }

    /// One operator, until the load is over.
    pub async fn operate(self) {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(37));
        while !self.over.is_cancelled() {
            let Some(client) = connect(&self.admin).await else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            while !self.over.is_cancelled() && !client.is_closed() {
                tokio::time::sleep(Duration::from_millis(rng.random_range(300..1500))).await;
                let act = self.act(&client, &mut rng);
                if tokio::time::timeout(PATIENCE, act).await.is_err() {
                    break;
                }
            }
        }
    }

    async fn act(&self, client: &Client, rng: &mut StdRng) -> Option<()> {
        let kind = self.kinds[rng.random_range(0..self.kinds.len())].name;
        let run = async |sql: &str| client.batch_execute(sql).await.ok();
        match rng.random_range(0..10) {
            0..4 => {
                let of_a_job = "select j.id, f.attributes->>'ref' from rowcall.jobs j join rowcall.files f on f.id = (j.row_key->>'id')::bigint
                    order by random() limit 1";
                let row = client.query_opt(of_a_job, &[]).await.ok()??;
                self.ledger.note(row.get(1), Event::Operated("cancel".to_owned()));
                run(&format!("select rowcall.cancel({}::bigint, 'not needed')", row.get::<_, i64>(0))).await
            }
            4..6 => {
                let failed = "select h.job_id, f.attributes->>'ref' from rowcall.failed h join rowcall.files f on f.id = (h.row_key->>'id')::bigint
                    where not h.succeeded_since order by random() limit 1";
                let row = client.query_opt(failed, &[]).await.ok()??;
                self.ledger.note(row.get(1), Event::Operated("retry".to_owned()));
                run(&format!("select rowcall.retry({}::bigint)", row.get::<_, i64>(0))).await
            }
            6 => {
                run("select rowcall.pause()").await?;
                tokio::time::sleep(Duration::from_millis(rng.random_range(100..1000))).await;
                run("select rowcall.resume()").await
            }
            7 => {
                run(&format!("update rowcall.parameters set enabled = false where name = '{kind}'")).await?;
                tokio::time::sleep(Duration::from_millis(rng.random_range(100..1000))).await;
                run(&format!("update rowcall.parameters set enabled = true where name = '{kind}'")).await
            }
            8 => {
                let priority = rng.random_range(0..5);
                run(&format!("update rowcall.parameters set priority = {priority} where name = '{kind}'"))
                    .await
            }
            _ => run("select rowcall.rescan('rowcall.files')").await,
        }
    }
}

impl Writer {
    async fn transaction(&mut self, client: &Client) -> Fate {
        match self.rng.random_range(0..100) {
            0..58 => self.insert(client, 1).await,
            58..72 => {
                let rows = self.rng.random_range(2..10);
                self.insert(client, rows).await
            }
            72..74 => self.insert(client, 40).await,
            74..80 => self.insert_and_roll_back(client).await,
            80..84 => self.move_many(client).await,
            84..92 => {
                self.change(client, "in ('PROCESSED', 'ERROR')", |revision| Write::Again { revision }).await
            }
            _ => self.change(client, "<> 'DELETED'", |revision| Write::Move { revision }).await,
        }
    }

    fn new_rows(&mut self, rows: usize) -> (Vec<String>, Vec<&'static str>) {
        let all: u32 = self.load.kinds.iter().map(|kind| kind.share).sum();
        let mut names = Vec::new();
        let mut tasks = Vec::new();
        for _ in 0..rows {
            let mut at = self.rng.random_range(0..all);
            let kind = self.load.kinds.iter().find(|kind| {
                let here = at < kind.share;
                at = at.saturating_sub(kind.share);
                here
            });
            let task = kind.unwrap_or(&self.load.kinds[0]).name;
            let name = format!("w{}-{}", self.number, self.rows.len());
            self.rows.push((name.clone(), task, 0));
            names.push(name);
            tasks.push(task);
        }
        (names, tasks)
    }

    async fn insert(&mut self, client: &Client, rows: usize) -> Fate {
        let (names, tasks) = self.new_rows(rows);
        let fate = match tokio::time::timeout(PATIENCE, client.execute(INSERT, &[&names, &tasks])).await {
            Ok(Ok(_)) => Fate::Committed,
            _ => Fate::Unknown,
        };
        self.note(&names, &tasks, fate);
        fate
    }

    async fn insert_and_roll_back(&mut self, client: &Client) -> Fate {
        let (names, tasks) = self.new_rows(2);
        let all = async {
            client.batch_execute("begin").await?;
            client.execute(INSERT, &[&names, &tasks]).await?;
            client.batch_execute("rollback").await
        };
        let told = tokio::time::timeout(PATIENCE, all).await;
        // No commit was ever asked for.
        self.note(&names, &tasks, Fate::RolledBack);
        if matches!(told, Ok(Ok(()))) { Fate::RolledBack } else { Fate::Unknown }
    }

    fn note(&self, names: &[String], tasks: &[&'static str], fate: Fate) {
        for (name, task) in names.iter().zip(tasks) {
            let what = Write::Insert { task: (*task).to_owned() };
            self.load.ledger.note(name, Event::Written { what, fate });
        }
    }

    /// Gives a row of its own its first status again, or takes it away from us.
    async fn change(&mut self, client: &Client, whose_status: &str, write: fn(i64) -> Write) -> Fate {
        if self.rows.is_empty() {
            return Fate::RolledBack;
        }
        let at = self.rng.random_range(0..self.rows.len());
        let (name, task, revision) = &mut self.rows[at];
        *revision += 1;
        let what = write(*revision);
        let status =
            if matches!(what, Write::Move { .. }) { "DELETED".to_owned() } else { task.to_uppercase() };
        let update = update(&status, *revision, name, whose_status);
        let name = name.clone();
        let fate = match tokio::time::timeout(PATIENCE, client.execute(&update, &[])).await {
            // Not in such a status.
            Ok(Ok(0)) => return Fate::RolledBack,
            Ok(Ok(_)) => Fate::Committed,
            _ => Fate::Unknown,
        };
        self.load.ledger.note(&name, Event::Written { what, fate });
        fate
    }
}

impl Writer {
    /// Takes several rows away in one transaction, in no order: whatever of ours holds some of them and wants others must give way.
    async fn move_many(&mut self, client: &Client) -> Fate {
        if self.rows.len() < 20 {
            return Fate::RolledBack;
        }
        let mut at = BTreeSet::new();
        while at.len() < 4 {
            at.insert(self.rng.random_range(0..self.rows.len()));
        }
        let mut at: Vec<usize> = at.into_iter().collect();
        at.shuffle(&mut self.rng);
        let mut changed = Vec::new();
        let all = async {
            client.batch_execute("begin").await?;
            for at in at {
                let (name, _, revision) = &mut self.rows[at];
                *revision += 1;
                if client.execute(&update("DELETED", *revision, name, "<> 'DELETED'"), &[]).await? > 0 {
                    changed.push((name.clone(), *revision));
                }
            }
            client.batch_execute("commit").await
        };
        let fate = match tokio::time::timeout(PATIENCE, all).await {
            Ok(Ok(())) => Fate::Committed,
            _ => Fate::Unknown,
        };
        for (name, revision) in changed {
            self.load.ledger.note(&name, Event::Written { what: Write::Move { revision }, fate });
        }
        fate
    }
}

/// Gives a row a status, and marks that it was done.
fn update(status: &str, revision: i64, name: &str, whose_status: &str) -> String {
    format!(
        "update rowcall.files set status = '{status}', attributes = jsonb_set(attributes, '{{revisions}}',
            coalesce(attributes->'revisions', '[]') || '{revision}') where attributes->>'ref' = '{name}' and status {whose_status}"
    )
}

const INSERT: &str = "insert into rowcall.files (status, attributes)
    select upper(task), jsonb_build_object('ref', ref, 'task', task) from unnest($1::text[], $2::text[]) rows(ref, task)";
