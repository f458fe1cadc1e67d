//! What an edit is told about its templates: never of one that would render.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::TestDatabase;

#[tokio::test]
async fn a_template_that_no_row_could_render_is_refused() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let cases = [
        (
            "command",
            "array['x', '{{ rwo.id }}']",
            "parameters.command[2]: {{ rwo.id }}: there is no name rwo; did you mean row?",
        ),
        (
            "command",
            "array['{{ attributes.path }}']",
            "there is no name attributes; did you mean row.attributes?",
        ),
        (
            "command",
            "array['{{ nonsense }}']",
            "parameters.command[1]: {{ nonsense }}: there is no name nonsense  Templates see row",
        ),
        ("command", "array['{{ row.id }']", "parameters.command[1]: {{ is not closed by }}"),
        ("command", "array['{% if row.id ']", "parameters.command[1]: {% is not closed by %}"),
        ("command", "array['{# note']", "parameters.command[1]: {# is not closed by #}"),
        ("command", "array['{% raw %}{{ x }}']", "parameters.command[1]: {% is not closed by {% endraw %}"),
        (
            "command",
            "array['{{ row[\"id] }}']",
            "parameters.command[1]: a text in quotes is not closed after {{",
        ),
        (
            "environment",
            r#"'{"A": "{{ vlues.x }}"}'"#,
            "parameters.environment.A: {{ vlues.x }}: there is no name vlues; did you mean values?",
        ),
        ("concurrency_key", "'{{ customer'", "parameters.concurrency_key: {{ is not closed by }}"),
        (
            "(runner, settings)",
            r#"('lambda', '{"payload": {"a": ["{{ jobb.id }}"]}}')"#,
            "parameters.settings.payload.a[0]: {{ jobb.id }}: there is no name jobb; did you mean job?",
        ),
    ];
    for (column, value, said) in cases {
        let refused = db.refused(&format!("update rowcall.parameters set {column} = {value}")).await;
        assert!(refused.contains(said), "{column} = {value}: {refused}");
    }
    // What only the daemon's own reading of it shows waits for the first row, as ever.
    db.run("update rowcall.parameters set command = array['{{ row. }}', '{{ row.nothing }}', 'a }} b', '{ {', '{{ }}']").await;
    db.run(r#"update rowcall.parameters set settings = '{"entrypoint": ["{{ no template here"]}'"#).await;
}

/// As `src/parameters/render.rs` sets it up; what that adds can only refuse more.
fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(100_000));
    engine.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap());
    engine
}

const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "+}}",
    "{%",
    "%}",
    "{%-",
    "-%}",
    "{#",
    "#}",
    "{#-",
    "-#}",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "'",
    "\"",
    "\\",
    "%",
    "-",
    "+",
    " ",
    " ",
    "\n",
    "|",
    ".",
    ",",
    ":",
    "~",
    "=",
    "==",
    "1",
    "1.5",
    "row",
    "row.id",
    "job",
    "values",
    "rwo",
    "rwo.id",
    "attributes.path",
    "x",
    "loop",
    "range(2)",
    "default('x')",
    "tojson",
    "is defined",
    "is none",
    "or",
    "and",
    "not",
    "if",
    "else",
    "true",
    "raw",
    "endraw",
    "set x = 1",
    "set rwo = row",
    "for x in [1]",
    "endfor",
    "if false",
    "endif",
    "macro m()",
    "endmacro",
    "with x = 1",
    "endwith",
    "ü",
    "{{ row.id }}",
    "{{ rwo.id if false else 1 }}",
    "{{ rwo.id }}",
    "{% set rwo = row %}",
    "{% for rwo in [row] %}",
    "{% endfor %}",
    "{% if false %}",
    "{% endif %}",
    "{{ {'a': {'b': 1}} }}",
    "{{ '}}' }}",
    "{{ \"{{\" }}",
    "{% raw %}",
    "{% endraw %}",
    "{# {{ #}",
    "{{ rwo | default(1) }}",
    "{{ rwo is defined }}",
    "{{ rwo.id is defined }}",
    "{{ rwo or 1 }}",
    "{{ not rwo }}",
    "{{ rwo['id'] }}",
    "{{ [rwo][0] is defined }}",
];

#[tokio::test]
async fn no_template_that_renders_is_refused() {
    const CASES: usize = 30_000;
    let db = TestDatabase::new().await;
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let templates: Vec<String> = (0..CASES)
        .map(|_| (0..random.random_range(1..9)).map(|_| *PIECES.choose(&mut random).unwrap()).collect())
        .collect();
    let rows = db
        .client
        .query(
            "select (rowcall.template_error(t, '{id,attributes}')).error from unnest($1::text[]) with ordinality as u(t, n) order by n",
            &[&templates],
        )
        .await
        .unwrap();
    let engine = engine();
    let context = context! { row => context! { id => 7, attributes => context! { path => "p" } },
    job => context! { id => 1 }, values => context! { a => 1 } };
    let (mut refused, mut rendered) = (0, 0);
    for (template, row) in templates.iter().zip(&rows) {
        let said: Option<&str> = row.get(0);
        let text = engine.render_str(template, &context);
        if let (Some(said), Ok(text)) = (said, &text) {
            panic!("refused ({said}), and renders as {text:?}: {template:?} (seed {seed})");
        }
        refused += usize::from(said.is_some());
        rendered += usize::from(text.is_ok());
    }
    assert!(refused > CASES / 20 && rendered > CASES / 20, "{refused} refused, {rendered} rendered");
}
