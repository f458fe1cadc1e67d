//! `rowcall.render` says what the daemon would, or that it cannot tell: never anything else.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rowcall::database::{Database, load_parameters};
use rowcall::parameters::{JobContext, Task, render};
use serde_json::{Value, json};

use crate::support::{TestDatabase, settings_as_owner};

/// Names that rows have, so that paths often lead somewhere.
const NAMES: [&str; 8] = ["id", "path", "note", "tags", "a", "b", "or", "size"];

/// The text of a JSON string.
fn json_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,12}",
        1 => "[<>&'\"\\\\{}%/ab]{0,8}",
        1 => "[\\x01-\\x20a\\x7f]{0,6}",
        1 => "\\PC{0,6}",
        1 => "[ \u{a0}\u{2003}\u{85}éßİx]{0,6}",
    ]
    .prop_map(|text| Value::from(text.replace('\0', "")).to_string())
}

/// The text of a JSON number, also such as no double holds exactly.
fn json_number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<i32>().prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => select(vec!["0", "-0", "0.0", "-0.0", "1e3", "1E-7", "18446744073709551616", "-9223372036854775809", "0.1e-4"])
            .prop_map(str::to_owned),
        3 => "-?(0|[1-9][0-9]{0,5})\\.[0-9]{1,4}",
        1 => "-?(0|[1-9][0-9]{0,18})\\.[0-9]{1,12}",
        1 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?e-?[1-9][0-9]?",
        1 => any::<f64>().prop_filter("JSON has none", |n| n.is_finite()).prop_map(|n| json!(n).to_string()),
    ]
}

/// The text of any JSON value.
fn json_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        1 => select(vec!["null", "true", "false", "\"\"", "0", "[]", "{}"]).prop_map(str::to_owned),
        3 => json_text(),
        3 => json_number(),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            2 => prop::collection::vec((json_name(), inner), 0..5).prop_map(object),
        ]
    })
}

fn json_name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(NAMES.to_vec()).prop_map(|name| Value::from(name).to_string()),
        1 => json_text(),
    ]
}

fn object(members: Vec<(String, String)>) -> String {
    let members: Vec<_> = members.into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn row() -> impl Strategy<Value = String> {
    prop::collection::vec((json_name(), json_value()), 2..8).prop_map(object)
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => "'[a-zA-Z0-9 .}{<>&]{0,6}'",
        4 => "\"[a-z' ]{0,6}\"",
        2 => "(0|[1-9][0-9]{0,3})",
        1 => "'[a-z\\\\]{0,3}'",
        1 => select(vec!["007", "1.5", "0x1f", "1_000", "-1", "true", "none", "'a' 'b'", "[1]", "('x')"])
            .prop_map(str::to_owned),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let root = prop_oneof![
        24 => select(NAMES.to_vec()).prop_map(|name| format!("row.{name}")),
        6 => select(vec!["job.id", "job.task", "job.on_status", "job.attempt", "row", "values", "values.bucket"])
            .prop_map(str::to_owned),
        1 => select(vec!["nothing", "range", "loop", "self", "True", "not row", "row.id is defined and row"])
            .prop_map(str::to_owned),
    ];
    let segment = prop_oneof![
        24 => select(NAMES.to_vec()).prop_map(|name| format!(".{name}")),
        1 => select(vec![" . id", ".missing", ".items()", ".0", "['no']", "[:1]", "[-1]", "[row.id]"]).prop_map(str::to_owned),
        2 => (0..3).prop_map(|n| format!("[{n}]")),
        2 => select(NAMES.to_vec()).prop_map(|name| format!("[\"{name}\"]")),
        1 => json_text().prop_map(|name| format!("[{name}]")),
    ];
    (root, prop::collection::vec(segment, 0..3)).prop_map(|(root, segments)| root + &segments.concat())
}

fn operand() -> impl Strategy<Value = String> {
    let filter = prop_oneof![
        12 => select(vec!["tojson", "tojson", "upper", "lower", "trim", "default", "d()"]).prop_map(str::to_owned),
        8 => literal().prop_map(|text| format!("default({text})")),
        4 => literal().prop_map(|text| format!("default( {text} , true )")),
        1 => literal().prop_map(|text| format!("default({text}, 1)")),
        1 => select(vec!["title", "length", "trim('x')", "tojson(2)", "nope", "upper.x", "default(1,2,3)", "d(x)"])
            .prop_map(str::to_owned),
    ];
    let value = prop_oneof![6 => path(), 1 => literal()];
    (value, prop::collection::vec(filter, 0..3), "[ \n]?").prop_map(|(value, filters, space)| {
        filters.into_iter().fold(value, |whole, filter| format!("{whole}{space}|{space}{filter}"))
    })
}

fn tag() -> impl Strategy<Value = String> {
    let operands = prop_oneof![
        5 => operand(),
        2 => (operand(), literal()).prop_map(|(first, second)| format!("{first} or {second}")),
        1 => prop::collection::vec(operand(), 2..4).prop_map(|all| all.join(" or ")),
    ];
    let (begin, end) = (vec!["{{ ", "{{", "{{- ", "{{+ ", "{{\n"], vec![" }}", "}}", " -}}", " +}}", "\t}}"]);
    (select(begin), operands, select(end)).prop_map(|(begin, inner, end)| format!("{begin}{inner}{end}"))
}

fn template() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        24 => tag(),
        12 => "[a-z/:. $\n]{0,8}",
        1 => "[ \u{a0}\u{85}\t\n\\x0b\\x1c\u{2003}é]{0,4}",
        1 => "[a-z{}%#\\-+' .|]{0,8}",
        1 => select(vec!["{% if row.id %}x{% endif %}", "{# note #}", "{% raw %}{{ x }}{% endraw %}", "{{", "}}", "{{ }}", "{{ row.id "])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

/// The daemon's side, from the row as the daemon reads it.
fn by_daemon(task: &Task, template: &str, row: &Value) -> Result<String, String> {
    let mut task = task.clone();
    task.command = vec![template.to_owned()];
    let key = json!({"id": 7});
    let job = JobContext { id: 12, attempt: 2, row_key: &key, on_status: "REGISTERED" };
    render(&task, job, row).map(|mut frozen| frozen.launch.command.remove(0))
}

const CONTEXT: &str = r#"jsonb_build_object('row', $2::text::jsonb, 'values', '{"bucket": "b1"}'::jsonb, 'job',
    '{"id": 12, "task": "loader", "attempt": 2, "row_key": {"id": 7}, "on_status": "REGISTERED"}'::jsonb)"#;

async fn task(db: &TestDatabase) -> Task {
    db.task("loader", "REGISTERED", ("values", r#"'{"bucket": "b1"}'"#)).await;
    let database = Database::new(&settings_as_owner(&db.url).database).unwrap();
    load_parameters(&database.get().await.unwrap()).await.unwrap().remove(0)
}

#[tokio::test]
async fn the_text_is_the_daemons_own_or_there_is_none() {
    let db = TestDatabase::new().await;
    let (task, url) = (task(&db).await, db.url.clone());
    let compared = tokio::task::spawn_blocking(move || {
        let client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        let client = std::cell::RefCell::new(client);
        let statement = format!("select r.*, $2::text::jsonb as row from rowcall.render($1, {CONTEXT}) r");
        let statement = client.borrow_mut().prepare(&statement).unwrap();
        let (told, rendered, all) = Default::default();
        let counts: [std::cell::Cell<u32>; 3] = [told, rendered, all];
        let [told, rendered, all] = &counts;
        // PROPTEST_CASES may ask for more.
        let cases = Config::default().cases.max(2000);
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&(template(), row()), |(template, row)| {
            let answer = client.borrow_mut().query_one(&statement, &[&template, &row]);
            let answer = answer.map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
            // A row that cannot be read at all is not rendered by anybody.
            let Ok(row) = answer.try_get::<_, Value>("row") else { return Err(TestCaseError::reject("row")) };
            let here: Option<String> = answer.get("rendered");
            let (error, unsure): (Option<String>, Option<String>) =
                (answer.get("error"), answer.get("unsure"));
            let daemon = by_daemon(&task, &template, &row);
            all.set(all.get() + 1);
            told.set(told.get() + u32::from(unsure.is_none()));
            rendered.set(rendered.get() + u32::from(here.is_some()));
            prop_assert_eq!(
                [&here, &error, &unsure].into_iter().flatten().count(),
                1,
                "one of the three: {:?} {:?} {:?}",
                here,
                error,
                unsure
            );
            match (here, error) {
                (Some(text), _) => prop_assert_eq!(Ok(text), daemon),
                (None, Some(error)) => prop_assert!(daemon.is_err(), "{} but {:?}", error, daemon),
                _ => {}
            }
            Ok(())
        });
        outcome.map(|()| counts.map(std::cell::Cell::into_inner)).map_err(|e| e.to_string())
    });
    let [told, rendered, all] = compared.await.unwrap().unwrap_or_else(|problem| panic!("{problem}"));
    assert!(told * 10 > all * 7, "{told} of {all}: it can tell too rarely");
    assert!(rendered * 4 > all, "{rendered} of {all}: it renders too rarely");
}

/// What the manual shows: these are told, and in the daemon's words.
#[tokio::test]
async fn common_templates_are_told_in_the_daemons_words() {
    let db = TestDatabase::new().await;
    let task = task(&db).await;
    let row = r#"{"id": 7, "attributes": {"path": "s3://b/a b.csv", "note": null, "rate": 1.50, "n": "Ab <é>", "ok": true}}"#;
    for (template, expected) in [
        ("load", "load"),
        ("{{ row.attributes.path }}", "s3://b/a b.csv"),
        ("s3://{{ values.bucket }}/out/{{ row.id }}-{{job.attempt}}.json\n", "s3://b1/out/7-2.json\n"),
        ("{{ row.attributes.note or 'none given' }}", "none given"),
        ("{{ row.attributes.missing | default('x') }}", "x"),
        ("{{ row.attributes.note | default('x', true) }}", "x"),
        ("{{ job.row_key | tojson }}", r#"{"id": 7}"#),
        (
            "{{ row.attributes | tojson }}",
            r#"{"n": "Ab \u003cé\u003e", "note": null, "ok": true, "path": "s3://b/a b.csv", "rate": 1.5}"#,
        ),
        ("{{ row['attributes'].rate }} {{ row.attributes.ok }}", "1.5 True"),
        ("{{ row.attributes.path | upper }}", "S3://B/A B.CSV"),
        ("a  {{- row.id -}}  b", "a7b"),
    ] {
        let told: Option<String> = db
            .one_with(&format!("select rendered from rowcall.render($1, {CONTEXT})"), &[&template, &row])
            .await;
        assert_eq!(told.as_deref(), Some(expected), "{template}");
        let value = serde_json::from_str(row).unwrap();
        assert_eq!(by_daemon(&task, template, &value).as_deref(), Ok(expected), "{template}");
    }
    for template in [
        "{{ row.attributes.pth }}",
        "x {{ row.attributes.note }} y",
        "{{ nothing }}",
        "{{ row.id }}{{ row.x.y }}",
    ] {
        let told: String = db
            .one_with(&format!("select error from rowcall.render($1, {CONTEXT})"), &[&template, &row])
            .await;
        let daemon = by_daemon(&task, template, &serde_json::from_str(row).unwrap()).unwrap_err();
        assert_eq!(format!("parameters.command[1]: {told}"), daemon);
    }
}

#[tokio::test]
async fn what_is_nested_without_end_is_left_to_the_daemon() {
    let db = TestDatabase::new().await;
    let viewer = db.connect_as(crate::support::VIEWER).await;
    for (depth, told) in [(90, true), (3000, false)] {
        let sql = format!(
            "select (rowcall.render('{{{{ row | tojson }}}}', jsonb_build_object('row', (repeat('[', {depth}) || repeat(']', {depth}))::jsonb))).rendered is not null"
        );
        let found: bool = viewer.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(found, told, "{depth}");
    }
}
