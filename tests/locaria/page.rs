//! docs/locaria.md says what is so.

use super::Locaria;

/// `ROWCALL_WRITE_DOCS=1 cargo test` writes the plan into the page anew.
#[tokio::test]
async fn the_page_shows_the_plan_as_it_is() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            "update locaria_core.parameters
             set parameter = parameter || jsonb_build_object('openactive', parameter->'file_loader')
             where parameter_name = 'fargate_config';
             alter table locaria_core.files disable trigger user;
             insert into locaria_core.files (status)
             values ('REGISTERED'), ('FARGATE_PROCESSED'), ('REGISTERED'), ('FARGATE_PROCESSING');
             alter table locaria_core.files enable trigger user",
        )
        .await;
    let plan = locaria.printed(&["--replace-trigger", "--keep-deleted"]).await;
    let page = include_str!("../../docs/locaria.md");
    let (begin, end) = ("<!-- printed by rowcall import locaria: begin -->\n", "<!-- end -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let wanted = format!("{before}{begin}\n```\n{plan}```\n\n{end}{after}");
    if std::env::var_os("ROWCALL_WRITE_DOCS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/locaria.md"), &wanted).unwrap();
    }
    assert!(page == wanted, "docs/locaria.md is not current: ROWCALL_WRITE_DOCS=1 cargo test writes it");
}
