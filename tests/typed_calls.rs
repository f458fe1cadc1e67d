//! Every function for people and tasks is found by its name, however a driver types the arguments.

use std::fmt::Write as _;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::support::{ADMIN, TestDatabase};

/// A function, and the types of its arguments.
struct Function {
    name: String,
    arguments: Vec<String>,
}

/// What people and tasks call; not the second half of another, nor what only `rowcall check` asks.
async fn functions(db: &TestDatabase) -> Vec<Function> {
    let sql = "select p.proname::text, array(select format_type(t, null) from unnest(p.proargtypes) t)
        from pg_proc p where p.pronamespace = 'rowcall'::regnamespace and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
        order by 1, 2";
    let rows = db.client.query(sql, &[]).await.unwrap();
    let functions: Vec<_> =
        rows.iter().map(|row| Function { name: row.get(0), arguments: row.get(1) }).collect();
    assert!(functions.len() > 30, "{}", functions.len());
    functions
}

/// Runs a call and takes it back. It may fail, but not for want of a function.
async fn finds(
    client: &Client,
    what: &str,
    call: impl AsyncFnOnce(&Client) -> Result<(), tokio_postgres::Error>,
) {
    client.batch_execute("begin").await.unwrap();
    if let Err(error) = call(client).await {
        let code = error.code().unwrap_or_else(|| panic!("{what}: {error}"));
        let unknown =
            [SqlState::UNDEFINED_FUNCTION, SqlState::AMBIGUOUS_FUNCTION, SqlState::INDETERMINATE_DATATYPE];
        assert!(!unknown.contains(code), "{what}: {}", error.as_db_error().map_or("", |db| db.message()));
    }
    client.batch_execute("rollback").await.unwrap();
}

/// A literal that a person would write.
fn literal(kind: &str) -> &'static str {
    match kind {
        "bigint" | "integer" | "anyelement" => "42",
        "double precision" => "0.5",
        "boolean" => "true",
        "bigint[]" => "array[42]",
        "text[]" => "array['a']",
        "jsonb[]" => "array['{\"id\": 42}'::jsonb]",
        "jsonb" => "'{\"a\": 1}'",
        "interval" => "'1 minute'",
        "timestamp with time zone" => "'2026-01-01'",
        "regclass" => "'rowcall.files'",
        "text" => "'a'",
        other => panic!("no literal for the type {other}"),
    }
}

/// The value and type that a driver sends which types what it is given: a string for all that it has no type for.
fn value(kind: &str) -> (Box<dyn ToSql + Sync>, Type) {
    match kind {
        "bigint" | "anyelement" => (Box::new(42_i64), Type::INT8),
        "integer" => (Box::new(42_i32), Type::INT4),
        "double precision" => (Box::new(0.5_f64), Type::FLOAT8),
        "boolean" => (Box::new(true), Type::BOOL),
        "bigint[]" => (Box::new(vec![42_i64]), Type::INT8_ARRAY),
        "text[]" => (Box::new(vec!["a"]), Type::VARCHAR_ARRAY),
        "jsonb[]" => (Box::new(vec![serde_json::json!({"id": 42})]), Type::JSONB_ARRAY),
        "jsonb" => (Box::new(serde_json::json!({"a": 1})), Type::JSONB),
        "interval" | "timestamp with time zone" => (Box::new(None::<String>), Type::UNKNOWN),
        "regclass" => (Box::new("rowcall.files"), Type::VARCHAR),
        "text" => (Box::new("a"), Type::VARCHAR),
        other => panic!("no value for the type {other}"),
    }
}

#[tokio::test]
async fn literals_find_every_function() {
    let db = TestDatabase::new().await;
    for Function { name, arguments } in functions(&db).await {
        let given: Vec<_> = arguments.iter().map(|kind| literal(kind)).collect();
        let call = format!("select * from rowcall.{name}({})", given.join(", "));
        finds(&db.client, &call, async |client| client.batch_execute(&call).await).await;
    }
}

/// As drivers do that send all as strings without a type.
#[tokio::test]
async fn untyped_values_find_every_function() {
    let db = TestDatabase::new().await;
    for Function { name, arguments } in functions(&db).await {
        let untyped = |kind: &String| match kind.as_str() {
            "bigint[]" => "'{42}'",
            "text[]" => "'{a}'",
            "jsonb[]" => r#"'{"{\"id\": 42}"}'"#,
            "bigint" | "integer" | "anyelement" => "'42'",
            "double precision" => "'0.5'",
            "boolean" => "'t'",
            other => literal(other),
        };
        let given: Vec<_> = arguments.iter().map(untyped).collect();
        let call = format!("select * from rowcall.{name}({})", given.join(", "));
        finds(&db.client, &call, async |client| client.batch_execute(&call).await).await;
    }
}

#[tokio::test]
async fn a_job_may_be_named_by_a_string() {
    let db = TestDatabase::new().await;
    let admin = db.connect_as(ADMIN).await;
    let one = async |call: &str| {
        let row = admin.query_one(call, &[]).await.map_err(|error| error.as_db_error().unwrap().to_string());
        row.map(|row| row.get::<_, bool>(0))
    };
    assert_eq!(one("select rowcall.cancel('42')").await, Ok(false));
    let refused = one("select rowcall.cancel('{42}')").await.unwrap_err();
    assert!(refused.contains("a job is named by its number, and \"{42}\" is none"), "{refused}");
}

#[tokio::test]
async fn typed_values_find_every_function() {
    let db = TestDatabase::new().await;
    for Function { name, arguments } in functions(&db).await {
        let places: Vec<_> = (1..=arguments.len()).map(|n| format!("${n}")).collect();
        let call = format!("select * from rowcall.{name}({})", places.join(", "));
        let values: Vec<_> = arguments.iter().map(|kind| value(kind)).collect();
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|(value, kind)| (value.as_ref(), kind.clone())).collect();
        let what = format!("{call} of {arguments:?}");
        finds(&db.client, &what, async |client| client.query_typed(&call, &typed).await.map(drop)).await;
    }
}

#[tokio::test]
#[ignore = "needs psycopg: ./dev test"]
async fn values_of_python_find_every_function_with_psycopg() {
    let db = TestDatabase::new().await;
    let mut script = String::from(
        "import datetime, os, psycopg\nfrom psycopg.types.json import Jsonb\ndb = psycopg.connect(os.environ['URL'])\n\
         def finds(call, *values):\n    try:\n        db.execute(call, values)\n    except (psycopg.errors.UndefinedFunction, \
         psycopg.errors.AmbiguousFunction, psycopg.errors.IndeterminateDatatype) as error:\n        print(call, values, error)\n    \
         except psycopg.Error:\n        pass\n    db.rollback()\n",
    );
    for Function { name, arguments } in functions(&db).await {
        let places = vec!["%s"; arguments.len()].join(", ");
        let _ = write!(script, "finds('SELECT * FROM rowcall.{name}({places})'");
        for kind in &arguments {
            let value = match kind.as_str() {
                "bigint" | "integer" | "anyelement" => "42",
                "double precision" => "0.5",
                "boolean" => "True",
                "bigint[]" => "[42]",
                "text[]" => "['a']",
                "jsonb[]" => "[Jsonb({'id': 42})]",
                "jsonb" => "Jsonb({'a': 1})",
                "interval" => "datetime.timedelta(minutes=1)",
                "timestamp with time zone" => "datetime.datetime.now(datetime.timezone.utc)",
                "regclass" => "'rowcall.files'",
                "text" => "'a'",
                other => panic!("no value for the type {other}"),
            };
            let _ = write!(script, ", {value}");
        }
        script += ")\n";
    }
    let python = std::env::var("ROWCALL_TEST_PYTHON").expect("ROWCALL_TEST_PYTHON");
    let done = tokio::process::Command::new(python)
        .args(["-c", &script])
        .env("URL", &db.url)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.is_empty(), "{said}");
}
