//! The views that people read: the page about them.

use std::fmt::Write as _;

use crate::support::TestDatabase;

const PAGE: &str = "docs/views.md";
const BEGIN: &str = "<!-- printed: views -->\n";

#[tokio::test]
async fn the_page_of_views_is_printed_from_the_catalogue() {
    let db = TestDatabase::new().await;
    let views = "select c.relname::text, coalesce(obj_description(c.oid), '') from pg_class c
        where c.relnamespace = 'rowcall'::regnamespace and c.relkind = 'v'
        order by array_position('{running,blocked,failed,durations,jobs,attempts,history}'::text[], c.relname::text), c.relname";
    let columns = "select a.attname::text, format_type(a.atttypid, a.atttypmod), coalesce(col_description(a.attrelid, a.attnum), '')
        from pg_attribute a where a.attrelid = ('rowcall.' || $1)::regclass and a.attnum > 0 order by a.attnum";
    let mut printed = String::from(BEGIN);
    for view in db.client.query(views, &[]).await.unwrap() {
        let (name, about): (String, String) = (view.get(0), view.get(1));
        assert_ne!(about, "", "the view {name} has no comment");
        let _ = write!(printed, "\n## rowcall.{name}\n\n{about}\n\n| column | type | |\n|---|---|---|\n");
        for column in db.client.query(columns, &[&name]).await.unwrap() {
            let (column, kind, about): (String, String, String) =
                (column.get(0), column.get(1), column.get(2));
            let _ = writeln!(printed, "| `{column}` | {kind} | {about} |");
        }
    }
    let path = format!("{}/{PAGE}", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(&path).unwrap();
    let by_hand = page.split(BEGIN).next().unwrap();
    let wanted = format!("{by_hand}{printed}");
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert!(page == wanted, "{PAGE} is not current: ROWCALL_WRITE_DOCS=1 cargo test writes it");
}
