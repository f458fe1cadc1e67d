//! A fresh schema as text: what a change of the tables or functions does to the database is a diff of one file.

use std::path::{Path, PathBuf};

use crate::support::TestDatabase;

fn sql_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { sql_files(&path, found) } else { found.push(path) }
    }
}

/// Names in code, not in comments and messages, which speak to people.
fn code(sql: &str) -> String {
    sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn views_show_every_column_but_hashes_of_tokens() {
    let db = TestDatabase::new().await;
    let hidden: String = db
        .one(
            "select string_agg(format('%s.%s', t.relname, a.attname), ', ' order by 1)
             from pg_class t join pg_class v on v.relname = t.relname and v.relkind = 'v'
                 and v.relnamespace = 'rowcall'::regnamespace
             join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
             where t.relnamespace = 'rowcall_internal'::regnamespace
               and not exists (select from pg_attribute s where s.attrelid = v.oid and s.attname = a.attname)",
        )
        .await;
    // The last two are shown as attempts.request, whole.
    assert_eq!(hidden, "attempts.token_hash, attempts.terms_id, attempts.rendered");
    let tables: String = db
        .one(
            "select string_agg(t.relname, ', ' order by t.relname) from pg_class t
             where t.relnamespace = 'rowcall_internal'::regnamespace and t.relkind in ('r', 'p') and not t.relispartition
               and not exists (select from pg_class v where v.relname = t.relname
                               and v.relnamespace = 'rowcall'::regnamespace)",
        )
        .await;
    assert_eq!(
        tables, "ended_attempts, functions, instance, terms",
        "the others are read through views of their names"
    );
}

#[tokio::test]
async fn triggers_and_daemon_name_the_tables_behind_views() {
    let db = TestDatabase::new().await;
    let views: Vec<String> = db
        .one("select array_agg(relname::text) from pg_class where relnamespace = 'rowcall'::regnamespace and relkind = 'v'")
        .await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut files = Vec::new();
    sql_files(&root.join("queries"), &mut files);
    sql_files(&root.join("functions"), &mut files);
    let people = ["queries/import", "queries/schema", "functions/api"];
    files.retain(|file| !people.iter().any(|place| file.starts_with(root.join(place))));
    for file in files {
        let text = code(&std::fs::read_to_string(&file).unwrap());
        for view in &views {
            for keyword in ["from", "join", "into", "update", "table"] {
                let through = format!("{keyword} rowcall.{view}");
                let named = text.match_indices(&through).any(|(at, _)| {
                    !text[at + through.len()..].starts_with(|c: char| c == '_' || c.is_ascii_alphanumeric())
                });
                assert!(!named, "{}: {through}", file.display());
            }
        }
    }
}

#[tokio::test]
async fn only_the_daemons_role_may_name_what_is_internal() {
    let db = TestDatabase::new().await;
    let may: String = db
        .one(
            "select string_agg(rolname, ', ' order by rolname) from pg_roles
             where rolname ~ '^rowcall_' and rolname !~ '^rowcall_test_' and not rolsuper
               and has_schema_privilege(rolname, 'rowcall_internal', 'usage')",
        )
        .await;
    assert_eq!(may, "rowcall_dispatcher, rowcall_owner, rowcall_writer");
}

/// Equal to the file, line by line; `ROWCALL_WRITE_DOCS=1 cargo test` writes the file anew.
fn is_golden(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let golden: Vec<_> = golden.lines().collect();
    let found: Vec<_> = found.lines().collect();
    let gone: Vec<_> = golden.iter().filter(|line| !found.contains(line)).collect();
    let new: Vec<_> = found.iter().filter(|line| !golden.contains(line)).collect();
    assert!(
        golden == found,
        "{file} is not current: ROWCALL_WRITE_DOCS=1 cargo test writes it\ngone: {gone:#?}\nnew: {new:#?}"
    );
}

#[tokio::test]
async fn fresh_schema_is_the_golden_one() {
    let db = TestDatabase::new().await;
    is_golden("tests/schema/golden.txt", &db.one::<String>(include_str!("schema/objects.sql")).await);
}

/// The code that runs inside the statements of users, as it is for the table that ships with Rowcall.
#[tokio::test]
async fn triggers_of_files_are_the_golden_ones() {
    let db = TestDatabase::new().await;
    for event in ["insert", "update"] {
        let text: String = db
            .one(&format!(
                "select format(E'-- %s;\\n-- %s\\n%s', pg_get_triggerdef(t.oid), array_to_string(p.proconfig, ', '), trim(E'\\n' from p.prosrc))
                 from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                 where t.tgrelid = 'rowcall.files'::regclass and t.tgname = 'rowcall_{event}'"
            ))
            .await;
        is_golden(&format!("tests/schema/files_on_{event}.sql"), &(text + "\n"));
    }
}

#[tokio::test]
async fn every_table_can_be_written_where_all_are_published() {
    let db = TestDatabase::new().await;
    let without: Option<String> = db
        .one(
            "select string_agg(c.oid::regclass::text, ', ') from pg_class c
             where c.relnamespace in ('rowcall'::regnamespace, 'rowcall_internal'::regnamespace) and c.relkind = 'r'
               and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) and c.relreplident <> 'f'
               -- Partitions of the history are only filled, and dropped.
               and not c.relispartition",
        )
        .await;
    assert_eq!(without, None);
}
