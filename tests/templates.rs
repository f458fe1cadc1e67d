//! The language of templates: one meaning, in SQL and in the daemon, and values exactly as they are in the row.

use rowcall::parameters::{Context, Template};
use serde_json::{Value, json};

use crate::support::TestDatabase;

mod alike;
mod exact;
mod page;
mod table;

/// What `job` is in these tests.
fn job() -> Value {
    json!({"id": 12, "task": "loader", "attempt": 2, "row_key": {"id": 7}, "on_status": "REGISTERED"})
}

/// What the daemon makes of a template. Row and values are jsonb text.
fn by_daemon(template: &str, row: &str, values: &str) -> Result<String, String> {
    let values: Value = serde_json::from_str(values).unwrap();
    Template::parse(template)?.render(&Context::new(row, &job(), &values))
}

/// What SQL makes of it.
async fn by_sql(db: &TestDatabase, template: &str, row: &str, values: &str) -> Result<String, String> {
    let sql = "select array[r.rendered, r.error] from rowcall.render($1,
        jsonb_build_object('row', $2::text::jsonb, 'values', $3::text::jsonb, 'job', $4::jsonb)) r";
    let mut answer: Vec<Option<String>> = db.one_with(sql, &[&template, &row, &values, &job()]).await;
    match (answer.pop().flatten(), answer.pop().flatten()) {
        (None, Some(rendered)) => Ok(rendered),
        (Some(error), None) => Err(error),
        other => panic!("{template}: neither one nor the other: {other:?}"),
    }
}
