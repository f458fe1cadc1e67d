//! The four rows: what is inserted, and how each must end.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::place::Place;
use super::view::Progress;

/// Airports in `examples/data/airports.csv`, and those of them in Colorado.
const AIRPORTS: i64 = 3376;
const IN_COLORADO: i64 = 49;

/// All four rows end well within this, or something is wrong.
const LIMIT: Duration = Duration::from_mins(1);

/// What a DBA does once: a role for tasks with the rights they need, and two rows of parameters. Returns the
/// connection string for tasks.
pub async fn prepare(client: &Client, url: &str, place: &Place, directory: &Path) -> anyhow::Result<String> {
    let password: String = (0..32).map(|_| rand::random_range('a'..='z')).collect();
    client
        .batch_execute(&format!(
            "create role demo_task login password '{password}' in role rowcall_task;
             grant usage, create on schema public to demo_task;"
        ))
        .await?;
    let defaults = "insert into rowcall.runner_defaults (runner, settings) values ($1, $2)";
    client
        .execute(defaults, &[&place.runner(), &place.defaults(directory)])
        .await
        .context("defaults of the runner")?;
    let insert = "insert into rowcall.parameters
            (name, on_status, runner, target, command, backoff, status_succeeded)
        values ($1, $2, $3, $4, $5, interval '500 milliseconds', $6)";
    let (target, command) = place.loader();
    client
        .execute(insert, &[&"file_loader", &"REGISTERED", &place.runner(), &target, &command, &"PROCESSED"])
        .await
        .context("parameters of file_loader")?;
    let output = format!("{}/{{{{ row.attributes.name }}}}", directory.display());
    let (target, command) = place.download(&[
        "{{ row.attributes.table }}",
        "state",
        "{{ row.attributes.state }}",
        "{{ row.attributes.format }}",
        &output,
    ])?;
    let download: [&(dyn ToSql + Sync); 6] =
        [&"file_download", &"DOWNLOAD_REQUESTED", &place.runner(), &target, &command, &"DOWNLOADED"];
    client.execute(insert, &download).await.context("parameters of file_download")?;
    let host = url.rsplit_once('@').context("the server's address")?.1;
    Ok(format!("postgresql://demo_task:{password}@{host}"))
}

/// Inserts the rows and shows what becomes of them.
pub async fn tell(client: &Client, begun: Instant) -> anyhow::Result<()> {
    let mut progress = Progress::new(begun);
    println!("\nThree rows, as any program would insert them:");
    insert(client, "REGISTERED", &json!({"path": "examples/data/airports.csv"})).await?;
    insert(client, "REGISTERED", &json!({"path": "examples/data/nowhere.csv"})).await?;
    insert(client, "ARCHIVED", &json!({"note": "no task is routed to this status"})).await?;
    until(client, &mut progress, "select status = 'PROCESSED' from rowcall.files where id = 1").await?;
    println!("The airports are in their table; a download of those in Colorado:");
    insert(
        client,
        "DOWNLOAD_REQUESTED",
        &json!({"table": "airports", "state": "CO", "format": "json", "name": "colorado.json"}),
    )
    .await?;
    until(client, &mut progress, "select count(*) = 0 from rowcall.jobs").await
}

async fn insert(client: &Client, status: &str, attributes: &Value) -> anyhow::Result<()> {
    println!("  INSERT INTO rowcall.files (status, attributes) VALUES ('{status}', '{attributes}');");
    client
        .execute("insert into rowcall.files (status, attributes) values ($1, $2)", &[&status, attributes])
        .await?;
    Ok(())
}

/// Shows progress until a condition holds.
async fn until(client: &Client, progress: &mut Progress, condition: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        // The condition first: what made it true is then shown, too.
        let done = client.query_opt(condition, &[]).await?.is_some_and(|row| row.get(0));
        progress.show(client).await?;
        if done {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("not done after {LIMIT:?}: {condition}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until nothing is left of what ran.
pub async fn leaves_nothing(client: &Client, place: &Place) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = place.left(client).await?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "containers are left: {}", left.join(", "));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether each row ended as it must.
pub async fn check(client: &Client, directory: &Path) -> anyhow::Result<()> {
    let (status, attributes) = row(client, 1).await?;
    let result = &attributes["result"];
    ensure!(status == "PROCESSED", "row 1 is {status}: {attributes}");
    ensure!(result["table"] == "airports" && result["record_count"] == AIRPORTS, "row 1: {result}");
    ensure!(result["seconds"].is_number(), "row 1: {result}");
    let loaded: i64 = client.query_one("select count(*) from public.airports", &[]).await?.get(0);
    ensure!(loaded == AIRPORTS, "{loaded} airports in the table");

    let (status, attributes) = row(client, 2).await?;
    let message = attributes["message"].as_str().unwrap_or_default();
    ensure!(status == "ERROR", "row 2 is {status}: {attributes}");
    ensure!(message.contains("nowhere.csv: No such file"), "row 2: {message}");
    let attempts: i64 = client
        .query_one("select count(*) from rowcall.attempts where row_key = '{\"id\": 2}'", &[])
        .await?
        .get(0);
    ensure!(attempts == 3, "row 2 was tried {attempts} times, not 3");

    let (status, _) = row(client, 3).await?;
    ensure!(status == "ARCHIVED", "row 3 is {status}");
    let ran: i64 = client
        .query_one("select count(*) from rowcall.attempts where row_key = '{\"id\": 3}'", &[])
        .await?
        .get(0);
    ensure!(ran == 0, "something ran for row 3");

    let (status, attributes) = row(client, 4).await?;
    ensure!(status == "DOWNLOADED", "row 4 is {status}: {attributes}");
    let result = &attributes["result"];
    let file = directory.join("colorado.json");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let airports: Vec<Value> = serde_json::from_str(&text).context("the downloaded file")?;
    ensure!(airports.len() as i64 == IN_COLORADO, "{} airports in the file", airports.len());
    ensure!(airports.iter().all(|a| a["state"] == "CO"), "an airport of another state");
    ensure!(result["record_count"] == IN_COLORADO && result["bytes"] == text.len(), "row 4: {result}");
    Ok(())
}

async fn row(client: &Client, id: i64) -> anyhow::Result<(String, Value)> {
    let row = client
        .query_opt("select status, coalesce(attributes, '{}') from rowcall.files where id = $1", &[&id])
        .await?
        .with_context(|| format!("row {id} is gone"))?;
    Ok((row.get(0), row.get(1)))
}
