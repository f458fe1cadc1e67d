//! The value of an expression, as `sql/functions/templates/render_expression.sql` finds it.

use std::borrow::Cow;

use serde_json::Value;

use super::json::{Json, Kind, item, member};
use super::{Filter, Operand, Root, Step, Term};

/// What a template sees: JSON in the spelling of jsonb, as text, so that every digit of it is kept.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The whole row.
    pub row: &'a str,
    /// What is known of the job.
    pub job: String,
    /// The task's values.
    pub values: String,
}

/// The value of the first term that is neither missing nor null. What is missing or null passes through the filters to
/// "or" and `default()`, but a column that the table does not have is a mistake, whatever follows.
pub fn expression(terms: &[Term], context: &Context<'_>) -> Result<String, String> {
    let mut value = None;
    for term in terms {
        value = operand(&term.operand, context)?;
        for filter in &term.filters {
            value = apply(filter, value)?;
        }
        if value.as_ref().is_some_and(|value| value.kind() != Kind::Null) {
            break;
        }
    }
    match value {
        None => Err("a name in it does not exist for this row".to_owned()),
        Some(value) if value.kind() == Kind::Null => {
            Err("the value is null (write {{ value or 'text' }} if that is meant)".to_owned())
        }
        Some(value) => Ok(value.plain()),
    }
}

fn operand<'a>(operand: &'a Operand, context: &'a Context<'_>) -> Result<Option<Json<'a>>, String> {
    let (root, steps) = match operand {
        Operand::Literal(literal) => return Ok(Some(Json::of(literal))),
        Operand::Path(root, steps) => (*root, steps),
    };
    let mut value = Some(match root {
        Root::Row => context.row,
        Root::Job => &context.job,
        Root::Values => &context.values,
    });
    for (place, step) in steps.iter().enumerate() {
        value = value.and_then(|text| match step {
            Step::Member(name) => member(text, name),
            Step::Item(number) => item(text, *number),
        });
        if value.is_none() && place == 0 && root == Root::Row {
            let name = match step {
                Step::Member(name) => name.chars().take(63).collect(),
                Step::Item(number) => number.to_string(),
            };
            return Err(format!("the table has no column {name}"));
        }
    }
    Ok(value.map(Json::of))
}

fn apply<'a>(filter: &'a Filter, value: Option<Json<'a>>) -> Result<Option<Json<'a>>, String> {
    let (name, change): (_, fn(&str) -> Cow<'_, str>) = match filter {
        Filter::Default(given) => {
            let is_there = value.as_ref().is_some_and(|value| value.kind() != Kind::Null);
            return Ok(if is_there { value } else { Some(Json::of(given)) });
        }
        Filter::ToJson => return Ok(value.map(|value| Json::string(value.text()))),
        Filter::Lower => ("lower", |text| text.to_ascii_lowercase().into()),
        Filter::Trim => ("trim", |text| text.trim_matches([' ', '\t', '\n', '\r', '\x0c', '\x0b']).into()),
        Filter::Upper => ("upper", |text| text.to_ascii_uppercase().into()),
    };
    let Some(value) = value else { return Ok(None) };
    match value.kind() {
        Kind::Null => Ok(Some(value)),
        Kind::String => Ok(Some(Json::string(&change(&value.plain())))),
        other => Err(format!("{name} takes a string, and the value is of type {}", other.name())),
    }
}

impl<'a> Context<'a> {
    /// Of a row as jsonb text, and two values.
    #[must_use]
    pub fn new(row: &'a str, job: &Value, values: &Value) -> Self {
        Self { row, job: super::spelled_as_jsonb(job), values: super::spelled_as_jsonb(values) }
    }
}
