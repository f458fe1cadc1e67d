//! The parameters row that an entry becomes.

use serde_json::{Map, Value, json};

use super::entry::Entry;
use crate::import::sql;
use crate::job::RunnerName;
use crate::parameters::literally;

/// A parameters row as the import wants it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Where it comes from: `fargate_config.file_loader`.
    pub from: String,
    /// What the import decides, at every import.
    pub columns: Vec<(&'static str, Value)>,
    /// What it decides only for a new row.
    pub first: Vec<(&'static str, Value)>,
    /// Keys of the entry that have no place, each with the reason.
    pub dropped: Vec<String>,
    /// What a person should know.
    pub remarks: Vec<String>,
}

/// Which table, on what status, and who hears of it.
#[derive(Debug, Clone)]
pub struct Route {
    /// The source table, quoted.
    pub table: String,
    /// The status.
    pub on_status: String,
    /// The column that takes results, if the table has one.
    pub result_column: Option<String>,
    /// Whether Locaria itself started this function, on this table.
    pub was_dispatched: bool,
    /// The channel on which Rowcall's statuses are announced.
    pub notify_channel: Option<String>,
}

impl Wanted {
    /// A column that the import decides.
    pub fn column(&self, name: &str) -> &Value {
        self.columns.iter().find(|(column, _)| *column == name).map_or(&Value::Null, |(_, value)| value)
    }

    /// What the import decides, as an object.
    pub fn object(&self) -> Value {
        self.columns
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The statement that makes it.
    pub fn insert(&self, description: &str) -> String {
        let mut columns = vec![("name", json!(self.name)), ("description", json!(description))];
        columns.extend(self.first.iter().chain(&self.columns).cloned());
        sql::insert(&columns)
    }
}

/// What the containers of Locaria write: the status while they work (if any), at a good end, at a bad one.
struct Words(Option<&'static str>, &'static str, &'static str);

/// The loader's; the download container leaves the row as it is while it works.
fn words(function: &str) -> Words {
    match function {
        "file_download" => Words(None, "DOWNLOAD_COMPLETED", "DOWNLOAD_ERROR"),
        _ => Words(Some("FARGATE_PROCESSING"), "FARGATE_PROCESSED", "FARGATE_ERROR"),
    }
}

/// An entry of `fargate_config`: a container on Fargate.
pub fn fargate(entry: &Entry, name: String, route: &Route) -> Result<Wanted, String> {
    let target = entry.needed("task", "the ARN of a task definition")?;
    let mut settings = Map::new();
    settings.insert("cluster".into(), json!(entry.needed("ecsName", "the name of an ECS cluster")?));
    let mut subnets = Vec::new();
    for key in ["vpcPrivateSubnetA", "vpcPrivateSubnetB"] {
        subnets.extend(entry.text(key)?);
    }
    if subnets.is_empty() {
        return Err(format!("{}.vpcPrivateSubnetA is missing: the id of a subnet", entry.place()));
    }
    settings.insert("subnets".into(), json!(subnets));
    let group = entry.text("ServerlessSecurityGroup")?;
    settings.extend(group.map(|group| ("security_groups".into(), json!([group]))));
    settings.insert("launch_type".into(), json!("FARGATE"));
    // As Locaria's lambda has it, whatever the subnets are called.
    settings.insert("assign_public_ip".into(), json!(true));
    settings.extend(entry.text("region")?.map(|region| ("region".into(), json!(region))));

    let Words(running, succeeded, failed) = words(&entry.name);
    let columns = columns(
        entry,
        route,
        [("runner", json!(RunnerName::Ecs)), ("target", json!(target)), ("settings", settings.into())],
        [
            // The first container takes the whole backlog.
            ("max_running", json!(1)),
            ("status_running", json!(running)),
            ("status_running_by", json!("task")),
            ("status_succeeded", json!(succeeded)),
            ("status_failed", json!(failed)),
            ("result_column", json!(route.result_column)),
            // Exit code 0 without having moved the row is no success.
            ("completion", json!("report")),
        ],
    )?;
    let mut remarks = vec![
        "a container of Locaria takes all rows of the status at once, so one runs at a time (max_running 1); the jobs of \
         rows it has dealt with end OBSOLETE without a run"
            .to_owned(),
        match running {
            Some(running) => format!(
                "it finds its rows by their status, so they keep {} until it says {running} itself (status_running_by \
                 'task'); a row that a container left in {running} when it died is put back and run again",
                route.on_status
            ),
            None => format!("it writes no status while it works, so its rows keep {}", route.on_status),
        },
        format!(
            "it has succeeded when its row says {succeeded} (completion 'report'); exit code 0 alone is a failure, tried \
             again up to 3 times before the row says {failed}"
        ),
    ];
    if group.is_none() {
        remarks.push("no ServerlessSecurityGroup: it runs in the VPC's default group".to_owned());
    }
    if !route.was_dispatched {
        remarks.push(
            "Locaria's trigger never started it, and the statuses that it writes are not known: the loader's are assumed"
                .to_owned(),
        );
    }
    let mut dropped = Vec::new();
    for (key, why) in [
        ("arn", "the lambda that called RunTask; Rowcall calls it itself"),
        ("ecrRepositoryUri", "the task definition names the image"),
    ] {
        dropped.extend(entry.object()?.get(key).map(|_| format!("{key}: {why}")));
    }
    let known = [
        "task",
        "ecsName",
        "vpcPrivateSubnetA",
        "vpcPrivateSubnetB",
        "ServerlessSecurityGroup",
        "region",
        "arn",
        "ecrRepositoryUri",
    ];
    dropped.extend(
        entry.rest(&known)?.keys().map(|key| format!("{key}: not a key that Locaria's dispatch reads")),
    );
    let first = vec![
        ("enabled", json!(route.was_dispatched)),
        // One run may take a long backlog; Locaria had no limit at all.
        ("timeout", json!("6 hours")),
    ];
    Ok(Wanted { name, from: entry.place(), columns, first, dropped, remarks })
}

/// An entry of `lambda_config` or `email_config`: a function that is invoked.
pub fn lambda(entry: &Entry, name: String, route: &Route) -> Result<Wanted, String> {
    let target = entry.needed("arn", "the ARN of a function")?;
    // Locaria's own default.
    let mode = entry.text("mode")?.unwrap_or("Event");
    let log = match entry.text("log")? {
        None | Some("None") => false,
        Some("Tail") => true,
        Some(other) => return Err(format!("{}.log must be None or Tail, and is {other:?}", entry.place())),
    };
    let mut settings = Map::from_iter([("mode".to_owned(), json!(mode)), ("log".to_owned(), json!(log))]);
    if mode == "Event" {
        // A function of Locaria does not report to Rowcall.
        settings.insert("fire_and_forget".into(), json!(true));
    }
    settings.extend(entry.text("region")?.map(|region| ("region".into(), json!(region))));
    let payload = entry.rest(&["arn", "region", "mode", "log"])?;
    if !payload.is_empty() {
        settings.insert("payload".into(), plain(payload.into()));
    }
    let columns = columns(
        entry,
        route,
        [("runner", json!(RunnerName::Lambda)), ("target", json!(target)), ("settings", settings.into())],
        [
            ("max_running", Value::Null),
            ("status_running", Value::Null),
            ("status_running_by", json!("rowcall")),
            ("status_succeeded", Value::Null),
            ("status_failed", Value::Null),
            ("result_column", Value::Null),
            ("completion", json!("exit")),
        ],
    )?;
    let remarks = vec![format!(
        "nothing is written into the row, as in Locaria; set status_succeeded and status_failed to let rows leave {}",
        route.on_status
    )];
    Ok(Wanted {
        name,
        from: entry.place(),
        columns,
        first: vec![("enabled", json!(false))],
        dropped: vec![],
        remarks,
    })
}

/// All columns that the import decides, in the order of the table.
fn columns(
    entry: &Entry,
    route: &Route,
    place: [(&'static str, Value); 3],
    write_back: [(&'static str, Value); 7],
) -> Result<Vec<(&'static str, Value)>, String> {
    let mut columns = vec![("source_table", json!(route.table)), ("on_status", json!(route.on_status))];
    columns.extend(place);
    columns.extend(write_back);
    // Where Rowcall writes no status, it has none to announce.
    let writes = columns.iter().any(|(name, value)| *name == "status_failed" && !value.is_null());
    columns.push(("notify_channel", json!(route.notify_channel.as_ref().filter(|_| writes))));
    let clash =
        |(name, value): &&(&str, Value)| name.starts_with("status_") && *value == json!(route.on_status);
    match columns.iter().find(clash) {
        Some((name, _)) => Err(format!(
            "{}: {} is its {name}, and cannot start it too (--route)",
            entry.place(),
            route.on_status
        )),
        None => Ok(columns),
    }
}

/// Strings of a payload are templates here; a string that looks like one was none in Locaria.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(literally(&text)),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        other => other,
    }
}
