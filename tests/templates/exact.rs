//! Values arrive as they are in the row, whoever writes it, in whatever session.

use std::sync::Arc;

use rowcall::job::{End, RunnerName};
use serde_json::Value;

use crate::support::{Running, TestDatabase, settings};

const PAYMENTS: &str = r"
    create table payments (id bigint primary key, amount numeric(20,4), big numeric(30,0), tiny numeric, ok boolean,
        at timestamptz, gap interval, days daterange, raw bytea, ratio double precision, cash money, doc jsonb, status text,
        attributes jsonb);
    select rowcall.watch('payments')";

const PAYMENT: &str = r#"insert into payments values (9123456789654321, 19.9000, 123456789012345678901234567890, 1e-30, true,
    '2026-03-01 20:00:00+00', '1 day 02:03', '[2026-03-01,2026-03-05)', '\x00ff', 0.1, 1234.5,
    '{"order_id": 12345678901234567890123, "total": 0.10, "note": null, "list": [1, "a", null, true]}', 'NEW', '{}')"#;

/// A template, and what it must come to.
const EXPECTED: [(&str, &str); 15] = [
    ("{{ row.id }}", "9123456789654321"),
    ("{{ row.amount }}", "19.9000"),
    ("{{ row.big }}", "123456789012345678901234567890"),
    ("{{ row.tiny }}", "0.000000000000000000000000000001"),
    ("{{ row.ok }}", "true"),
    ("{{ row.at }}", "2026-03-01T20:00:00+00:00"),
    ("{{ row.gap }}", "1 day 02:03:00"),
    ("{{ row.days }}", "[2026-03-01,2026-03-05)"),
    ("{{ row.raw }}", "\\x00ff"),
    ("{{ row.ratio }}", "0.1"),
    ("{{ row.cash }}", "1234.50"),
    ("{{ row.doc.order_id }}", "12345678901234567890123"),
    ("{{ row.doc.total }}", "0.10"),
    ("{{ row.doc.list }}", r#"[1, "a", null, true]"#),
    (
        "{{ row.doc }}",
        r#"{"list": [1, "a", null, true], "note": null, "total": 0.10, "order_id": 12345678901234567890123}"#,
    ),
];

/// Settings under which a value is written in another way, wherever nothing fixes them.
const ODD: &str = "timezone = 'Asia/Tokyo'|datestyle = 'SQL, DMY'|intervalstyle = 'iso_8601'|bytea_output = 'escape'|\
    extra_float_digits = -15|quote_all_identifiers = on";

async fn watching() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.run(PAYMENTS).await;
    let templates: Vec<&str> = EXPECTED.iter().map(|(template, _)| *template).collect();
    db.task("pay", "NEW", ("source_table", "'payments'")).await;
    db.client.execute("update rowcall.parameters set command = $1", &[&templates]).await.unwrap();
    db
}

fn expected() -> Vec<String> {
    EXPECTED.iter().map(|(_, value)| (*value).to_owned()).collect()
}

/// Money has the currency of the machine's locale; "C" has none.
#[tokio::test]
async fn values_arrive_as_they_are_in_the_row() {
    let db = watching().await;
    let mut running = Running::start(&db).await;
    db.run(PAYMENT).await;
    let mut command = running.launch().await.attempt.request.command.clone();
    for value in &mut command {
        *value = value.trim_start_matches('$').replace("1,234.50", "1234.50");
    }
    assert_eq!(command, expected());
    running.stop().await;
}

#[tokio::test]
async fn values_do_not_depend_on_anybodys_settings() {
    let db = watching().await;
    let database = db.url.rsplit('/').next().unwrap();
    let plain: Vec<String> = {
        db.run(PAYMENT).await;
        db.one("select command from rowcall.preview('payments', 9123456789654321)").await
    };
    db.run("delete from payments").await;
    for setting in ODD.split('|') {
        db.run(&format!("alter database {database} set {setting}; set {setting}")).await;
    }
    let mut running = Running::start(&db).await;
    // As a literal would be read under these settings, the row is copied from one.
    db.run(
        &PAYMENT
            .replace("'2026-03-01 20:00:00+00'", "timestamptz '2026-03-01 20:00:00+00'")
            .replace("'1 day 02:03'", "'1 day 02:03'::interval"),
    )
    .await;
    let launched = running.launch().await;
    assert_eq!(launched.attempt.request.command, plain);
    let preview: Vec<String> =
        db.one("select command from rowcall.preview('payments', 9123456789654321)").await;
    assert_eq!(preview, plain);
    let row: String =
        db.one_with("select row_data->>'at' from rowcall.task_start($1)", &[&launched.token]).await;
    assert_eq!(row, "2026-03-01T20:00:00+00:00");
    running.stop().await;
}

const DIGITS: &str = r#"{"big": 123456789012345678901234567890, "tiny": 0.000000000000000000000000000001, "price": 1.10, "over": 9007199254740993}"#;

/// Under these names members are found again in any order.
fn same(value: &Value) {
    let told: Value = serde_json::from_str(DIGITS).unwrap();
    assert_eq!(value, &told, "digit by digit");
    for number in
        ["123456789012345678901234567890", "0.000000000000000000000000000001", "1.10", "9007199254740993"]
    {
        assert!(value.to_string().contains(number), "{value}");
    }
}

#[tokio::test]
async fn values_environment_and_payload_keep_their_digits() {
    let db = TestDatabase::new().await;
    let more = format!(
        r#"'lambda', 'f', '{DIGITS}', '{{"N": "{{{{ values.big }}}} {{{{ values.price }}}} {{{{ row.attributes.n }}}}"}}',
           '{{"payload": {{"own": {DIGITS}, "whole": "{{{{ values }}}}"}}}}'"#
    );
    db.task("loader", "REGISTERED", ("runner, target, \"values\", environment, settings", &more)).await;
    let mut running = Running::in_place_of(RunnerName::Lambda, settings(&db.url), Arc::default()).await;
    db.run("insert into rowcall.files (attributes) values ('{\"n\": 0.10}')").await;
    let launched = running.launch().await;
    let request = &launched.attempt.request;
    same(&request.values);
    assert_eq!(request.environment["N"], "123456789012345678901234567890 1.10 0.10");
    same(&request.settings["payload"]["own"]);
    same(&serde_json::from_str(request.settings["payload"]["whole"].as_str().unwrap()).unwrap());
    let frozen: bool = db
        .one_with("select request->'launch'->'values' = $1::text::jsonb from rowcall.attempts", &[&DIGITS])
        .await;
    assert!(frozen, "as written down");
    let started: String =
        db.one_with("select \"values\"::text from rowcall.task_start($1)", &[&launched.token]).await;
    assert_eq!(started, db.one_with::<String>("select $1::text::jsonb::text", &[&DIGITS]).await);
    running.stop().await;
}

#[tokio::test]
async fn results_keep_their_digits() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    for (result, kept) in [
        (DIGITS.to_owned(), DIGITS.to_owned()),
        ("{\"n\": 1e400, \"m\": 1.5E-40}".to_owned(), "{\"n\": 1e400, \"m\": 1.5e-40}".to_owned()),
        // No number of Postgres' is so large: its digits are kept as a string.
        ("{\"n\": [1e999999, -1E-99999]}".to_owned(), "{\"n\": [\"1e+999999\", \"-1e-99999\"]}".to_owned()),
    ] {
        db.run("insert into rowcall.files (attributes) values ('{}')").await;
        let launched = running.launch().await;
        let result = serde_json::from_str(&result).unwrap();
        running.end(&launched, End { result: Some(result), ..End::exited(0) });
        db.until("not exists (select from rowcall.files where status <> 'PROCESSED')").await;
        let as_told: bool = db
            .one_with(
                "select attributes->'result' = $1::text::jsonb and (attributes->'result')::text = $1::text::jsonb::text
                 from rowcall.files order by id desc limit 1",
                &[&kept],
            )
            .await;
        assert!(as_told, "{kept}: {}", db.picture().await);
    }
    running.stop().await;
}
