//! Compares the rows wanted with those that are there: a row that the import made, and that was not edited since, may be
//! brought up to date.
//!
//! How an import knows its rows: their description ends with a fingerprint of what it wrote, so that no table of its
//! own is needed, and the row itself shows that it was edited by hand.

use serde_json::{Value, json};

use super::wanted::Wanted;
use crate::database::{DatabaseError, Statements};
use crate::import::sql;

/// What becomes of a wanted row.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// No row has this name.
    New,
    /// It is there already, as wanted.
    Same,
    /// It is brought up to date; what changes.
    Updated(Vec<String>),
    /// It was edited, or made by hand: it stays. Who and when, and where it differs.
    Left {
        /// In words.
        whose: String,
        /// Where it differs.
        differences: Vec<String>,
    },
}

/// A wanted row with what becomes of it.
#[derive(Debug)]
pub struct Compared {
    /// The row.
    pub wanted: Wanted,
    /// Its fate.
    pub standing: Standing,
    /// The statement, if one is needed.
    pub statement: Option<String>,
    /// Whether it may start anything after the import.
    pub enabled: bool,
}

/// Compares all.
pub async fn compare(
    client: &impl Statements,
    source: &str,
    wanted: Vec<Wanted>,
    overwrite: bool,
) -> Result<Vec<Compared>, DatabaseError> {
    let names: Vec<&str> = wanted.iter().map(|row| row.name.as_str()).collect();
    let objects: Vec<Value> = wanted.iter().map(Wanted::object).collect();
    let rows = client
        .rows(include_str!("../../../sql/queries/import/import_compare.sql"), &[&names, &objects])
        .await?;
    let compared = rows.iter().zip(wanted).map(|(row, wanted)| {
        let mark: &str = row.get("wanted_mark");
        let there = row.get::<_, bool>("stands").then(|| Stands {
            description: row.get("description"),
            columns: row.get("columns"),
            mark: row.get("mark"),
            changed: row.get("changed"),
            enabled: row.get("enabled"),
        });
        one(source, wanted, mark, there, overwrite)
    });
    Ok(compared.collect())
}

struct Stands {
    description: Option<String>,
    columns: Value,
    mark: String,
    changed: Option<String>,
    enabled: bool,
}

fn one(source: &str, wanted: Wanted, mark: &str, there: Option<Stands>, overwrite: bool) -> Compared {
    let Some(there) = there else {
        let statement = wanted.insert(&marked(&format!("Imported from {source}, {}", wanted.from), mark));
        let enabled = wanted.first.contains(&("enabled", json!(true)));
        return Compared { wanted, standing: Standing::New, statement: Some(statement), enabled };
    };
    let enabled = there.enabled;
    let changes: Vec<(&str, Value)> =
        wanted.columns.iter().filter(|(column, value)| there.columns[*column] != *value).cloned().collect();
    if changes.is_empty() {
        return Compared { wanted, standing: Standing::Same, statement: None, enabled };
    }
    let description = there.description.as_deref().unwrap_or_default();
    let imported = mark_of(description);
    if imported != Some(there.mark.as_str()) && !overwrite {
        let by = there.changed.map(|by| format!(" ({by})")).unwrap_or_default();
        let whose = match imported {
            Some(_) => format!("changed since the last import{by}"),
            None => format!("a row of this name is there, and not by an import{by}"),
        };
        let differences = changes
            .iter()
            .map(|(column, value)| format!("{column} is {}, Locaria says {value}", there.columns[*column]))
            .collect();
        return Compared {
            wanted,
            standing: Standing::Left { whose, differences },
            statement: None,
            enabled,
        };
    }
    let differences =
        changes.iter().map(|(column, value)| format!("{column}: {} becomes {value}", there.columns[*column]));
    let standing = Standing::Updated(differences.collect());
    let mut set = changes;
    set.push(("description", json!(marked(description, mark))));
    Compared { statement: Some(sql::update(&wanted.name, &set)), wanted, standing, enabled }
}

const BEFORE: &str = "[import ";

/// A description with this mark in place of an older one.
fn marked(description: &str, mark: &str) -> String {
    let text = match (description.find(BEFORE), mark_of(description)) {
        (Some(begin), Some(old)) => {
            let end = begin + BEFORE.len() + old.len() + 1;
            format!("{}{}", &description[..begin], description[end..].trim_start())
        }
        _ => description.to_owned(),
    };
    format!("{} {BEFORE}{mark}]", text.trim_end()).trim_start().to_owned()
}

/// The mark in a description.
fn mark_of(description: &str) -> Option<&str> {
    let (_, after) = description.split_once(BEFORE)?;
    let (mark, _) = after.split_once(']')?;
    (mark.len() == 12 && mark.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_and_replaced_wherever_a_person_put_words() {
        let first = marked("Imported from t, a.b", "0123456789ab");
        assert_eq!(first, "Imported from t, a.b [import 0123456789ab]");
        assert_eq!(mark_of(&first), Some("0123456789ab"));
        assert_eq!(marked(&first, "ba9876543210"), "Imported from t, a.b [import ba9876543210]");
        let edited = "Nightly. [import 0123456789ab] Ask Jo.";
        assert_eq!(marked(edited, "ba9876543210"), "Nightly. Ask Jo. [import ba9876543210]");
        assert_eq!(marked("", "0123456789ab"), "[import 0123456789ab]");
        for none in ["", "loader", "[import x]", "[import 0123456789ab"] {
            assert_eq!(mark_of(none), None, "{none}");
        }
    }
}
