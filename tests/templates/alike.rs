//! Templates by chance: SQL and the daemon never differ, neither in what they render nor in what they refuse.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rowcall::parameters::Template;
use serde_json::Value;

use super::{by_daemon, job};
use crate::support::TestDatabase;

/// Columns of every row, so that paths lead somewhere.
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

/// The text of a JSON number, with more digits than any machine's number has.
fn json_number() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => any::<i32>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => select(vec!["0", "-0", "0.0", "-0.0", "1e3", "1E-7", "18446744073709551616", "0.1e-4", "1.10", "1e-30"])
            .prop_map(str::to_owned),
        2 => "-?(0|[1-9][0-9]{0,5})\\.[0-9]{1,4}",
        1 => "-?(0|[1-9][0-9]{0,40})\\.[0-9]{1,40}",
        1 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?e-?[1-9][0-9]?",
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
    prop::collection::vec(json_value(), NAMES.len()).prop_map(|values| {
        let names = NAMES.iter().map(|name| Value::from(*name).to_string());
        object(names.zip(values).collect())
    })
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "'[a-zA-Z0-9 .}{<>&\\\\]{0,6}'",
        2 => "\"[a-z' é]{0,6}\"",
        1 => "(0|-?[1-9][0-9]{0,3})",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let root = prop_oneof![
        12 => select(NAMES.to_vec()).prop_map(|name| format!("row.{name}")),
        2 => select(vec!["job.id", "job.task", "job.row_key", "job", "row", "values", "values.bucket"])
            .prop_map(str::to_owned),
    ];
    let segment = prop_oneof![
        8 => select(NAMES.to_vec()).prop_map(|name| format!(".{name}")),
        2 => (0..3).prop_map(|n| format!("[{n}]")),
        2 => select(NAMES.to_vec()).prop_map(|name| format!("[\"{name}\"]")),
        1 => "[a-z \"]{0,3}".prop_map(|name| format!(" [ '{name}' ]")),
    ];
    (root, prop::collection::vec(segment, 0..3)).prop_map(|(root, segments)| root + &segments.concat())
}

/// An expression of the language; most find what they name, or do without.
fn expression() -> impl Strategy<Value = String> {
    let filter = prop_oneof![
        2 => Just("| tojson".to_owned()),
        2 => select(vec!["| tojson | upper", "| tojson|lower", "| tojson| trim", "| trim"]).prop_map(str::to_owned),
        3 => literal().prop_map(|text| format!("| default({text})")),
    ];
    let operand = (path(), prop::option::of(filter)).prop_map(|(path, filter)| match filter {
        Some(filter) => format!("{path} {filter}"),
        None => path,
    });
    let operand = operand.boxed();
    prop_oneof![
        6 => (operand.clone(), literal()).prop_map(|(operand, literal)| format!("{operand} or {literal}")),
        2 => (operand.clone(), operand.clone(), literal()).prop_map(|(a, b, c)| format!("{a} or {b} or {c}")),
        1 => operand,
        1 => literal(),
    ]
}

/// Pieces of which most wholes are wrong.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "'",
    "\"",
    "\\",
    "-",
    "+",
    " ",
    " ",
    "\n",
    "\t",
    "\u{a0}",
    "|",
    ".",
    ",",
    "==",
    "1",
    "-1",
    "007",
    "1.5",
    "row",
    "row.id",
    "job",
    "job.id",
    "job.x",
    "values",
    "rwo",
    "x",
    "default('x')",
    "tojson",
    "upper",
    "or",
    "and",
    "not",
    "if",
    "ü",
    "{{ row.id }}",
    "{{ row.a or 'x' }}",
    "{{ '}}' }}",
    "{{ \"{{\" }}",
    "[0]",
    "['id']",
];

fn template() -> impl Strategy<Value = String> {
    let (begin, end) = (vec!["{{ ", "{{", "{{\n"], vec![" }}", "}}", "\t}}"]);
    let tag = (select(begin), expression(), select(end)).prop_map(|(a, inner, b)| format!("{a}{inner}{b}"));
    let part = prop_oneof![
        4 => tag,
        2 => "[a-z/:. $\n]{0,8}",
        1 => "[ \u{a0}é}%#\\-+' .|]{0,8}",
    ];
    let right = prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat());
    prop_oneof![9 => right, 1 => pieces()]
}

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(select(PIECES.to_vec()), 1..9).prop_map(|parts| parts.concat())
}

const VALUES: &str = r#"{"bucket": "b1"}"#;

#[tokio::test]
async fn sql_and_daemon_never_differ() {
    let db = TestDatabase::new().await;
    let url = db.url.clone();
    let compared = tokio::task::spawn_blocking(move || {
        let client = RefCell::new(postgres::Client::connect(&url, postgres::NoTls).unwrap());
        let statement = "select r.*, $2::text::jsonb::text as row, (rowcall_internal.template_error($1, '{}')).error as refused
            from rowcall.render($1, jsonb_build_object('row', $2::text::jsonb, 'values', $3::text::jsonb, 'job', $4::jsonb)) r";
        let statement = client.borrow_mut().prepare(statement).unwrap();
        let (rendered, all) = (Cell::new(0_u32), Cell::new(0_u32));
        // PROPTEST_CASES may ask for more.
        let cases = Config::default().cases.max(2000);
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&(template(), row()), |(template, row)| {
            let answer = client.borrow_mut().query_one(&statement, &[&template, &row, &VALUES, &job()]);
            let answer = answer.map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
            let row: &str = answer.get("row");
            let here: Option<String> = answer.get("rendered");
            let here = here.ok_or_else(|| answer.get::<_, String>("error"));
            let refused: Option<String> = answer.get("refused");
            prop_assert_eq!(refused.is_some(), Template::parse(&template).is_err(), "{:?}", refused);
            all.set(all.get() + 1);
            rendered.set(rendered.get() + u32::from(here.is_ok()));
            prop_assert_eq!(here, by_daemon(&template, row, VALUES));
            Ok(())
        });
        outcome.map(|()| (rendered.get(), all.get())).map_err(|e| e.to_string())
    });
    let (rendered, all) = compared.await.unwrap().unwrap_or_else(|problem| panic!("{problem}"));
    assert!(rendered * 10 > all * 7, "{rendered} of {all}: it renders too rarely");
}

#[tokio::test]
async fn sql_and_daemon_refuse_the_same_templates() {
    const CASES: u32 = 20_000;
    let db = TestDatabase::new().await;
    let templates = RefCell::new(Vec::new());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let collected = TestRunner::new(config).run(&pieces(), |template| {
        templates.borrow_mut().push(template);
        Ok(())
    });
    collected.unwrap();
    let templates = templates.into_inner();
    let rows = db
        .client
        .query(
            "select (rowcall_internal.template_parse(t)).error from unnest($1::text[]) with ordinality as u(t, n) order by n",
            &[&templates],
        )
        .await
        .unwrap();
    let mut refused = 0;
    for (template, row) in templates.iter().zip(&rows) {
        let said: Option<String> = row.get(0);
        refused += u32::from(said.is_some());
        assert_eq!(said, Template::parse(template).err(), "{template:?}");
    }
    assert!(refused > CASES / 5 && refused < CASES * 4 / 5, "{refused} of {CASES} refused");
}
