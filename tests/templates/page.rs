//! What docs/parameters.md shows of templates is what they come to.

use crate::support::TestDatabase;

#[tokio::test]
async fn the_pages_examples_come_to_what_it_says() {
    let db = TestDatabase::new().await;
    db.run(
        r#"create table orders (id int primary key, status text, amount numeric, paid boolean, note text, due timestamptz,
               attributes jsonb);
           select rowcall.watch('orders');
           insert into orders values (7, 'REGISTERED', 19.9000, true, null, '2026-03-01 21:00:00+01',
               '{"path": "s3://b/a b.csv", "tags": ["x", 1.50]}')"#,
    )
    .await;
    db.task("loader", "REGISTERED", ("source_table, \"values\"", r#"'orders', '{"bucket": "b1"}'"#)).await;
    let page = include_str!("../../docs/parameters.md");
    let (_, rest) = page.split_once("<!-- tried by tests/templates/page.rs: begin -->").unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let mut seen = 0;
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<String> =
            line.split('|').map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|")).collect();
        db.client
            .execute("update rowcall.parameters set command = array[$1::text]", &[&cells[1]])
            .await
            .unwrap();
        let command: Vec<String> = db.one("select command from rowcall.preview('orders', 7)").await;
        assert_eq!(command, [cells[2].as_str()], "{}", cells[1]);
        seen += 1;
    }
    assert_eq!(seen, 8);
}
