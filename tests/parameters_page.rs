//! docs/parameters.md is printed from what the checks read, so it cannot differ from them.

use std::fmt::Write as _;

use crate::support::TestDatabase;

/// `ROWCALL_WRITE_DOCS=1 cargo test` writes the page anew.
#[tokio::test]
async fn the_page_about_settings_is_current() {
    let db = TestDatabase::new().await;
    let rows = db.client.query("select * from rowcall.settings_keys()", &[]).await.unwrap();
    let (mut printed, mut runner) = (String::new(), "");
    for row in &rows {
        if row.get::<_, &str>("runner") != runner {
            runner = row.get("runner");
            write!(printed, "\n## Settings of {runner}\n\n| key | must be | |\n|---|---|---|\n").unwrap();
        }
        let (key, allowed, help): (&str, &str, &str) = (row.get("key"), row.get("allowed"), row.get("help"));
        let needed = if row.get("needed") { ", needed" } else { "" };
        writeln!(printed, "| `{key}`{needed} | {allowed} | {help} |").unwrap();
    }
    is_printed("settings_keys", &printed);
}

/// Likewise.
#[tokio::test]
async fn the_page_about_columns_is_current() {
    let db = TestDatabase::new().await;
    let rows = db.client.query("select * from rowcall.parameters_columns()", &[]).await.unwrap();
    let (mut printed, mut group) = ("\n| column | must be | default | |\n|---|---|---|---|\n".to_owned(), "");
    for row in &rows {
        if row.get::<_, &str>("group") != group {
            group = row.get("group");
            writeln!(printed, "| **{group}** | | | |").unwrap();
        }
        let (column, allowed, help): (&str, &str, &str) =
            (row.get("column"), row.get("allowed"), row.get("help"));
        let (nullable, default): (bool, Option<&str>) = (row.get("nullable"), row.get("default"));
        let needed = if !nullable && default.is_none() { ", needed" } else { "" };
        let null = if nullable { ", or null" } else { "" };
        let default = match default {
            Some(default) => format!("`{default}`"),
            None => (if nullable { "null" } else { "" }).to_owned(),
        };
        writeln!(printed, "| `{column}`{needed} | {allowed}{null} | {default} | {help} |").unwrap();
    }
    is_printed("parameters_columns", &printed);
}

#[tokio::test]
async fn every_column_of_the_table_is_known_and_no_other() {
    let db = TestDatabase::new().await;
    let differ: Option<String> = db
        .one(
            "select string_agg(coalesce(c.\"column\", a.attname::text), ', ')
             from rowcall.parameters_columns() c
             full join (select attname from pg_attribute where attrelid = 'rowcall.parameters'::regclass
                        and attnum > 0 and not attisdropped) a on a.attname = c.\"column\"
             where c.\"column\" is null or a.attname is null",
        )
        .await;
    assert_eq!(differ, None);
    // What every row gets by itself must be right by the same measure.
    let wrong: Option<String> = db
        .one(
            "with parameters as (select to_jsonb(p) as row from jsonb_populate_record(null::rowcall.parameters,
                 (select jsonb_object_agg(\"column\", case when form = 'object' or form in ('integer', 'boolean')
                      then \"default\"::jsonb when form in ('texts', 'words') then to_jsonb(\"default\"::text[])
                      else to_jsonb(\"default\") end)
                  from rowcall.parameters_columns() where \"default\" is not null)) p)
             select string_agg(c.\"column\", ', ') from rowcall.parameters_columns() c, parameters
             where c.\"default\" is not null and c.form is not null
               and not rowcall_internal.setting_fits(c.form, c.minimum, c.maximum, c.pattern, row -> c.\"column\")",
        )
        .await;
    assert_eq!(wrong, None);
}

/// Compares a part of the page, or writes it.
fn is_printed(function: &str, printed: &str) {
    // The page has several such parts; tests that write it run at the same time.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/parameters.md");
    let begin = format!("<!-- printed by sql/functions/api/inspect/{function}.sql: begin -->\n");
    let finish = "\n<!-- end -->\n";
    let turn = TURN.lock();
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(finish.trim_start()).unwrap();
    let current = format!("{before}{begin}{printed}{finish}{after}");
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    drop(turn);
    assert!(page == current, "docs/parameters.md is not what rowcall.{function}() says");
}
