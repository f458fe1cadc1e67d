//! What Locaria's tables say.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::entry::Entry;
use crate::database::{DatabaseError, Statements};
use crate::import::sql::quoted;

/// The rows of Locaria's parameters by which its triggers dispatch.
const CONFIGS: [&str; 3] = ["fargate_config", "lambda_config", "email_config"];

/// The configurations, and where they stand.
#[derive(Debug)]
pub struct Source {
    /// The table of parameters, quoted.
    pub parameters: String,
    /// The table of files, quoted.
    pub files: String,
    /// The schema, quoted.
    pub schema: String,
    /// The functions of all configurations.
    pub entries: Vec<Entry>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Reads the configurations of one usage.
pub async fn read(client: &impl Statements, schema: &str, usage: &str) -> anyhow::Result<Source> {
    let row = client
        .one(include_str!("../../../sql/queries/import/import_locaria_source.sql"), &[&schema])
        .await
        .map_err(DatabaseError::from)?;
    if !row.get::<_, bool>("schema_exists") {
        bail!("there is no schema {schema} in this database; --schema names Locaria's");
    }
    let table = |column: &str, table: &str| {
        let found: Option<String> = row.get(column);
        found.with_context(|| {
            format!("there is no table {table} in schema {schema}; --schema names Locaria's")
        })
    };
    let (parameters, files) = (table("parameters", "parameters")?, table("files", "files")?);

    // Names of tables cannot be bound.
    let configs = CONFIGS.map(quoted).join(", ");
    let statement = format!(
        "select parameter_name, coalesce(usage, '') as usage, to_jsonb(parameter) as parameter from {parameters} \
         where parameter_name in ({configs}) order by parameter_name, usage"
    );
    let rows = client
        .rows(&statement, &[])
        .await
        .map_err(DatabaseError::from)
        .with_context(|| format!("reading {parameters}"))?;
    let mut found: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for row in rows {
        let value: Option<Value> =
            row.try_get("parameter").with_context(|| format!("{parameters}.parameter cannot be read"))?;
        found.entry(row.get(0)).or_default().insert(row.get("usage"), value.unwrap_or_default());
    }
    if found.is_empty() {
        bail!("{parameters} has no row {}", CONFIGS.join(", nor "));
    }

    if !found.values().any(|by_usage| by_usage.contains_key(usage)) {
        let there: Vec<String> = found
            .iter()
            .map(|(config, by_usage)| {
                format!("{config} {}", by_usage.keys().cloned().collect::<Vec<_>>().join(", "))
            })
            .collect();
        bail!("{parameters}: no row has usage {usage}; there are: {} (--usage)", there.join("; "));
    }

    let mut source =
        Source { parameters, files, schema: row.get("schema"), entries: Vec::new(), notes: Vec::new() };
    for config in CONFIGS {
        match found.remove(config) {
            Some(by_usage) => source.take(config, by_usage, usage)?,
            None if config == "fargate_config" => source.notes.push(format!(
                "{} has no row fargate_config, so no container is imported",
                source.parameters
            )),
            None => {}
        }
    }
    Ok(source)
}

impl Source {
    /// One configuration: of the usage asked for, or the only one there is.
    fn take(
        &mut self,
        config: &'static str,
        mut by_usage: BTreeMap<String, Value>,
        usage: &str,
    ) -> anyhow::Result<()> {
        let there = by_usage.keys().cloned().collect::<Vec<_>>().join(", ");
        let rows = by_usage.len();
        if rows > 1 {
            self.notes.push(format!(
                "{config} is there {rows} times, with usage {there}: {usage} is taken (--usage names another). Locaria's \
                 own trigger fails on such rows, and every INSERT into its table with it"
            ));
        }
        let value = match by_usage.remove(usage) {
            Some(value) => value,
            None if rows == 1 => {
                self.notes.push(format!("{config} has no usage {usage}: its only one is taken, {there}"));
                by_usage.into_values().next().unwrap_or_default()
            }
            None => bail!("{}: {config} has no usage {usage}; there are: {there} (--usage)", self.parameters),
        };
        let Value::Object(functions) = value else {
            bail!(
                "{}: {config} must be an object with a member for each function, and is {}",
                self.parameters,
                value.to_string().chars().take(80).collect::<String>()
            );
        };
        self.entries.extend(functions.into_iter().map(|(name, value)| Entry { config, name, value }));
        Ok(())
    }
}
