//! Secrets stay references: what looks like one is refused, by name or by form, and no error repeats it.

use serde_json::json;

use crate::support::TestDatabase;

/// Names of variables, members and options, each with a value: whether together they look like a secret.
const NAMED: &[(&str, &str, bool)] = &[
    ("PASSWORD", "hunter2", true),
    ("DB_PASSWORD", "hunter2", true),
    ("PGPASSWORD", "x", true),
    ("MYSQL_PWD", "hunter2", true),
    ("db.passwd", "hunter2", true),
    ("SSH_PASSPHRASE", "correct horse battery", true),
    ("SECRET", "s", true),
    ("CLIENT_SECRET", "9f8e7d6c", true),
    ("clientSecret", "9f8e7d6c", true),
    ("APP_SECRETS", "a,b", true),
    ("TOKEN", "abc", true),
    ("slack-token", "abcdef", true),
    ("authToken", "abcdef", true),
    ("API_KEY", "0123456789abcdef", true),
    ("apiKey", "k", true),
    ("APIKEY", "k", true),
    ("SSL_PRIVATE_KEY", "MIIE", true),
    ("AWS_SECRET_ACCESS_KEY", "x", true),
    ("SECRET_KEY_BASE", "x", true),
    ("CREDENTIAL", "a:b", true),
    ("CREDENTIALS", "a:b", true),
    // A word like this is a password until somebody changes it.
    ("PASSWORD", "changeme", true),
    ("PASSWORD", "12345678", true),
    // Not the secret, but where it is, or something about it.
    ("DB_PASSWORD_FILE", "/run/secrets/db", false),
    ("DB_PASSWORD_FILE", "db-password", false),
    ("SECRET_ARN", "loader", false),
    ("SECRET_ID", "prod/loader", false),
    ("SECRET_NAME", "prod/loader", false),
    ("TOKEN_URL", "https://login.example/token", false),
    ("TOKEN_TTL", "3600s", false),
    ("TOKEN_LIMIT", "4096 or so", false),
    ("PASSWORD_MIN_LENGTH", "twelve", false),
    ("API_KEY_HEADER", "X-Api-Key", false),
    ("ACCESS_KEY_ID", "who", false),
    ("SECRETS_MANAGER", "on-premises", false),
    ("CREDENTIALS_PATH", "creds.json", false),
    ("no-password", "load", false),
    ("TOKEN_SEPARATOR", "semicolon", false),
    ("TOKEN_AUDIENCE", "loaders", false),
    ("PASSWORD_RESET_EMAIL", "admins at example", false),
    ("PASSWORD_AUTHENTICATION", "by ldap", false),
    ("SECRET_ROTATION_LAMBDA", "rotate", false),
    ("NEXT_TOKEN", "page two", false),
    ("UNK_TOKEN", "unknown", false),
    ("EMAIL_PASSWORD", "hunter2", true),
    ("RESET_TOKEN", "abcdef", true),
    ("ASK_PASSWORD", "at the start", false),
    // The value is none.
    ("PASSWORD", "", false),
    ("PASSWORD", "{{ values.password }}", false),
    ("PASSWORD", "$DB_PASSWORD", false),
    ("PASSWORD", "${DB_PASSWORD}", false),
    ("SECRET", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:loader", false),
    ("CREDENTIALS", "/run/secrets/loader.json", false),
    ("CREDENTIALS", "./loader.json", false),
    ("SECRET", "s3://bucket/key", false),
    ("TOKEN", "https://login.example/", false),
    ("SECRET", "vault:kv/loader", false),
    ("TOKEN", "4096", false),
    ("SECRET", "true", false),
    ("PASSWORD", "none", false),
    ("PASSWORD", "****", false),
    ("PASSWORD", "<from the vault>", false),
    // Other words.
    ("TOKENIZER", "bert-base", false),
    ("MAX_TOKENS", "many", false),
    ("SECRETARY", "Anna", false),
    ("KEY", "in/7.png", false),
    ("SORT_KEY", "created", false),
    ("PRIMARY_KEY", "id", false),
    ("S3_KEY", "in/7.png", false),
    ("MONKEY", "George", false),
    ("BYPASS", "yes please", false),
    ("AUTHOR", "somebody", false),
    ("PWD", "/srv/work", false),
];

/// Texts without a name.
fn texts() -> Vec<(String, bool)> {
    let known = |parts: &[&str]| (parts.concat(), true);
    let twenty = "aB3dE5gH7jK9mN1pQ3sT";
    let forty = [twenty, twenty].concat();
    let mut texts = vec![
        known(&["AKIA", "ABCDEFGH12345678"]),
        known(&["key=ASIA", "ABCDEFGH12345678", " and more"]),
        known(&["gh", "p_", &forty]),
        known(&["github_", "pat_", &forty]),
        known(&["glpat", "-", twenty]),
        known(&["xoxb", "-123456789012-", twenty]),
        known(&["sk_", "live_", twenty]),
        known(&["AIza", &forty[..35]]),
        known(&[
            "Authorization: Bearer ",
            "eyJhbGciOi",
            "JIUzI1NiJ9.",
            "eyJzdWIiOiIxMjM0NTY3ODkwIn0.",
            twenty,
        ]),
        known(&["curl -H 'Authorization: Basic ", "dXNlcjpwYXNzd29yZA=='"]),
        known(&["-----BEGIN RSA", " PRIVATE KEY-----\nMIIE"]),
        known(&["-----BEGIN", " PRIVATE KEY-----"]),
        known(&["aws ", &forty]),
        known(&["postgresql://loader:", "hunter2@db.example/files"]),
        known(&["https://:", "hunter2@registry.example/"]),
        known(&["host=db user=loader ", "password=hunter2"]),
        known(&["host=db ", "password='hunter 2' dbname=x"]),
        known(&["Server=db;Uid=loader;", "Pwd=hunter2;"]),
        known(&["--db-password", "=hunter2"]),
        known(&["ALTER ROLE x; SET password", " = 'hunter2'"]),
        known(&["export PGPASSWORD", "=hunter2; psql"]),
        known(&["https://api.example/?access_token", "=abcdef"]),
    ];
    let harmless = [
        "plain text",
        "AKIA",
        "arn:aws:iam::123456789012:role/loader",
        "postgresql://loader@db.example/files",
        "postgresql://loader:{{ values.word }}@db.example/files",
        "postgresql://loader:{{values.word}}@db.example/files",
        "postgresql://loader:$WORD@db.example/files",
        "http://proxy.example:8080/a@b",
        "git@host.example:group/name.git",
        "password={{ values.word }} host=db",
        "export PASSWORD=$(cat /run/secrets/db); psql",
        "psql \"host=db password=$WORD\"",
        "--password-file=/run/secrets/db",
        "--token-limit=many",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "3f786850e387550fdaab836ed7e6dc881de23001",
        "aws 3f786850e387550fdaab836ed7e6dc881de23001",
        "eyJhbGciOiJIUzI1NiJ9",
        "the token is kept elsewhere",
        "WHERE token = $1",
        "select f.id from files f join keys k on true where f.api_key=k.id",
        "https://api.example?next=a:b@c",
        "s3://store:eu?owner=a@b",
        "UPDATE a SET token = b.token FROM b",
        "user:name",
        "{{ row.attributes.token }}",
    ];
    texts.extend(harmless.map(|text| (text.to_owned(), false)));
    texts
}

#[tokio::test]
async fn a_name_and_a_value_that_look_like_a_secret() {
    let db = TestDatabase::new().await;
    for (name, value, secret) in NAMED {
        let kind: Option<String> =
            db.one_with("select rowcall_internal.secret_kind($1, $2)", &[name, value]).await;
        assert_eq!(kind.is_some(), *secret, "{name}={value}: {kind:?}");
        // As an option of a command, too.
        let kind: Option<String> = db
            .one_with("select rowcall_internal.secret_kind(null, $1)", &[&format!("--{name}='{value}'")])
            .await;
        assert_eq!(kind.is_some(), *secret, "--{name}='{value}': {kind:?}");
    }
}

#[tokio::test]
async fn a_text_that_looks_like_a_secret_by_its_form() {
    let db = TestDatabase::new().await;
    for (text, secret) in texts() {
        let kind: Option<String> =
            db.one_with("select rowcall_internal.secret_kind(null, $1)", &[&text]).await;
        assert_eq!(kind.is_some(), secret, "{text}: {kind:?}");
    }
}

const INSERT: &str = "insert into rowcall.parameters (name, on_status, runner, target, command, environment, \"values\", settings)
    select name, 'REGISTERED', runner, 'loader', array(select jsonb_array_elements_text(coalesce(command, '[]'))),
        coalesce(environment, '{}'), coalesce(\"values\", '{}'), coalesce(settings, '{}')
    from jsonb_to_record($1) as r(name text, runner text, command jsonb, environment jsonb, \"values\" jsonb, settings jsonb)";

#[tokio::test]
async fn no_column_takes_a_secret_and_each_runner_has_its_advice() {
    let db = TestDatabase::new().await;
    let address = ["postgresql://loader:", "hunter2@db/files"].concat();
    let cases = [
        (
            "docker",
            json!({"environment": {"DB_PASSWORD": "hunter2"}}),
            "environment.DB_PASSWORD",
            "settings.mounts",
        ),
        (
            "process",
            json!({"environment": {"DSN": address}}),
            "environment.DSN",
            "runners.process.pass_environment",
        ),
        (
            "ecs",
            json!({"command": ["load", "--token", "hunter2"]}),
            "command[3]",
            "task definition (docs/ecs.md)",
        ),
        ("ecs", json!({"command": ["load", "--password=hunter2"]}), "command[2]", "Secrets Manager"),
        (
            "lambda",
            json!({"values": {"db": [{"password": "hunter2"}]}}),
            "values.db[0].password",
            "by its own role",
        ),
        (
            "lambda",
            json!({"settings": {"payload": {"url": address}}}),
            "settings.payload.url",
            "docs/lambda.md",
        ),
        ("ecs", json!({"settings": {"tags": {"secret": "hunter2"}}}), "settings.tags.secret", "docs/ecs.md"),
        // What is wrong besides must not come first and show it.
        ("docker", json!({"settings": {"network": address}}), "settings.network", "settings.mounts"),
        ("kubernetes", json!({"environment": {"A B": address}}), "environment.A B", "pass its name"),
        ("process", json!({"values": {"pin": 1, "token": 123_456_789}}), "values.token", "pass_environment"),
    ];
    for (runner, mut row, place, advice) in cases {
        row["name"] = json!("loader");
        row["runner"] = json!(runner);
        let error = db.client.execute(INSERT, &[&row]).await.expect_err(place);
        let error = error.as_db_error().unwrap();
        let said = format!("{error:?}");
        assert!(error.message().starts_with(&format!("parameters.{place} looks like ")), "{said}");
        assert!(error.hint().unwrap().contains(advice), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("123456789"), "{said}");
    }
    let taken = json!({"name": "loader", "runner": "docker", "command": ["--token", "{{ row.token }}", "--password-file", "x", "y"],
        "environment": {"DB_PASSWORD_FILE": "/run/secrets/db"}, "values": {"secret": "arn:aws:x", "tokens": {"limit": 7}}});
    assert_eq!(db.client.execute(INSERT, &[&taken]).await.unwrap(), 1);

    let refused = db
        .refused(
            r#"insert into rowcall.runner_defaults values ('lambda', '{"payload": {"apiKey": "hunter2"}}')"#,
        )
        .await;
    assert!(
        refused.contains("runner_defaults.settings.payload.apiKey looks like a secret, by the name apiKey"),
        "{refused}"
    );
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn a_row_that_holds_a_secret_already_can_still_be_disabled() {
    let db = TestDatabase::new().await;
    db.run(
        "set session_replication_role = replica;
         insert into rowcall.parameters (name, on_status, runner, target, environment)
         values ('old', 'REGISTERED', 'docker', 'x', '{\"API_KEY\": \"hunter2\"}');
         insert into rowcall.runner_defaults values ('lambda', '{\"payload\": {\"token\": \"hunter2\"}}');
         reset session_replication_role;
         update rowcall.parameters set enabled = false, timeout = '2 hours';
         update rowcall.runner_defaults set runner = 'lambda'",
    )
    .await;
    let refused =
        db.refused("update rowcall.parameters set environment = environment || '{\"A\": \"b\"}'").await;
    assert!(refused.contains("parameters.environment.API_KEY"), "{refused}");
}
