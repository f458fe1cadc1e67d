//! `cases.txt`: the language by example.

use super::{by_daemon, by_sql};
use crate::support::TestDatabase;

struct Case {
    template: String,
    sign: char,
    expected: String,
}

/// Row, values and cases of the file.
fn read() -> (&'static str, &'static str, Vec<Case>) {
    let (mut row, mut values, mut cases, mut template) = ("", "", Vec::new(), None);
    for line in include_str!("cases.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(text) = line.strip_prefix("row ") {
            row = text;
        } else if let Some(text) = line.strip_prefix("values ") {
            values = text;
        } else if let Some((sign, expected)) = line.strip_prefix("  ").and_then(|line| line.split_once(' ')) {
            let template: String = template.take().expect(line);
            let as_json = expected.contains("\\\"");
            let expected = if as_json { expected.to_owned() } else { expected.replace("\\n", "\n") };
            cases.push(Case { template, sign: sign.parse().unwrap(), expected });
        } else {
            assert!(template.is_none(), "a case without an answer before {line}");
            template = Some(line.replace("\\n", "\n"));
        }
    }
    (row, values, cases)
}

#[tokio::test]
async fn templates_come_to_what_the_table_says() {
    let db = TestDatabase::new().await;
    let (row, values, cases) = read();
    assert_eq!(db.one_with::<String>("select $1::text::jsonb::text", &[&row]).await, row);
    assert!(cases.len() > 85, "{}", cases.len());
    for Case { template, sign, expected } in cases {
        let answer = if sign == '=' { Ok(expected) } else { Err(expected) };
        assert_eq!(by_daemon(&template, row, values), answer, "the daemon: {template}");
        assert_eq!(by_sql(&db, &template, row, values).await, answer, "SQL: {template}");
    }
}

#[tokio::test]
async fn a_template_is_refused_when_written_or_readable() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    for Case { template, sign, expected } in read().2 {
        let update = "update rowcall.parameters set command = array['a', $1::text]";
        let answer = db.client.execute(update, &[&template]).await;
        let said = answer.err().map(|error| error.as_db_error().unwrap().message().to_owned());
        let expected = (sign == 'x').then(|| format!("parameters.command[2]: {expected}"));
        match (said, expected) {
            (None, None) => {}
            (Some(said), Some(expected)) => assert!(said.starts_with(&expected), "{said}\n{expected}"),
            (said, _) => panic!("{template}: {said:?}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_names_column_place_and_what_helps() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let long = format!("'{{{{ row.{} }}}}'", "x".repeat(1000));
    let cases = [
        (
            "command",
            "array['x', '{{ rwo.id }}']",
            "parameters.command[2]: {{ rwo.id }}: there is no name rwo",
        ),
        (
            "command",
            "array['{{ rwo.id }}']",
            "did you mean row?  Between {{ and }} stand names such as row.id",
        ),
        ("command", "array['{{ attributes.path }}']", "did you mean row.attributes?"),
        ("command", "array['{{ row.id | uper }}']", "; did you mean upper?"),
        (
            "environment",
            r#"'{"A": "{{ vlues.x }}"}'"#,
            "parameters.environment.A: {{ vlues.x }}: there is no name vlues",
        ),
        (
            "concurrency_key",
            "'{{ row.customer'",
            "parameters.concurrency_key: {{ row.customer: \"{{\" is not",
        ),
        ("concurrency_key", &long, "xxx: an expression may have 1000 characters"),
        (
            "(runner, settings)",
            r#"('lambda', '{"payload": {"a": ["{{ jobb.id }}"]}}')"#,
            "parameters.settings.payload.a[0]: {{ jobb.id }}: there is no name jobb",
        ),
    ];
    for (column, value, said) in cases {
        let refused = db.refused(&format!("update rowcall.parameters set {column} = {value}")).await;
        assert!(refused.contains(said), "{column} = {value}: {refused}");
    }
    db.run(r#"update rowcall.parameters set settings = '{"entrypoint": ["{{ no template here"]}'"#).await;
}

#[tokio::test]
async fn what_is_rendered_is_bounded() {
    let db = TestDatabase::new().await;
    let row = format!(r#"{{"a": "{}"}}"#, "x".repeat(1_048_576));
    let error = "the rendered string has more than 1048576 bytes".to_owned();
    for (template, answer) in
        [("{{ row.a }}", Ok("x".repeat(1_048_576))), ("{{ row.a }}y", Err(error.clone()))]
    {
        assert!(by_daemon(template, &row, "{}") == answer, "{template}");
        assert!(by_sql(&db, template, &row, "{}").await == answer, "{template}");
    }
    for (count, said) in [(100, None), (101, Some("it has more than 100 expressions"))] {
        let template = "{{ 1 }}".repeat(count);
        assert_eq!(by_daemon(&template, "{}", "{}").err().as_deref(), said);
        assert_eq!(by_sql(&db, &template, "{}", "{}").await.err().as_deref(), said);
    }
    // Neither the depth of a row nor that of what looks like a template matters.
    let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(3000), "]".repeat(3000));
    let rendered = by_daemon("{{ row.a | tojson }}", &deep, "{}").unwrap();
    assert_eq!(rendered.len(), 6000);
    assert_eq!(by_sql(&db, "{{ row.a | tojson }}", &deep, "{}").await.unwrap(), rendered);
    for template in ["{{".repeat(100_000), format!("{{{{ {}", "(".repeat(100_000))] {
        assert_eq!(by_sql(&db, &template, "{}", "{}").await, by_daemon(&template, "{}", "{}"));
    }
}
