//! Faults L1, L2, L4, L5 and L8: what the old trigger did to writers and rows. Each is shown first, with the rebuilt
//! trigger, and then not to happen any more with the same table and the same parameters row.

use super::{Locaria, OldContainer, family};
use rowcall::job::End;

/// L1: its condition read "a and b or c", so that every insert started both.
#[tokio::test]
async fn an_insert_starts_only_what_its_status_asks_for() {
    let locaria = Locaria::new().await;
    locaria.db.run("insert into locaria_core.files (status) values ('IMPORTED')").await;
    assert_eq!(locaria.calls().await, 3, "Locaria: both containers and the broadcast");

    locaria.done(&["--apply", "--replace-trigger"]).await;
    locaria
        .db
        .run("insert into locaria_core.files (status) values ('IMPORTED'), (null), ('registered')")
        .await;
    assert_eq!(locaria.db.one::<i64>("select count(*) from rowcall.jobs").await, 0);
    locaria.db.run("insert into locaria_core.files (id, status) values (10, 'REGISTERED'), (11, 'DOWNLOAD_REQUESTED')").await;
    let jobs: Vec<String> = locaria
        .db
        .one("select array_agg((row_key->>'id') || ' ' || task order by row_key) from rowcall.jobs")
        .await;
    assert_eq!(jobs, ["10 file_loader", "11 file_download"]);
    assert_eq!(locaria.calls().await, 3, "nothing is called any more");
}

/// L2: where its parameters were not as it thought, the user's own INSERT failed.
#[tokio::test]
async fn two_rows_of_one_name_fail_no_insert_and_are_told() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            "insert into locaria_core.parameters (parameter_name, usage, parameter)
             select parameter_name, 'TEST', replace(parameter::text, 'file-loader:1', 'file-loader:99')::jsonb
             from locaria_core.parameters where parameter_name = 'fargate_config'",
        )
        .await;
    let insert = "insert into locaria_core.files (id) values (1)";
    let refused = locaria.db.refused(insert).await;
    assert!(refused.contains("control reached end of trigger procedure without RETURN"), "{refused}");

    let said = locaria.done(&["--apply", "--replace-trigger"]).await;
    assert!(
        said.contains(
            "fargate_config is there 2 times, with usage SYSTEM, TEST: SYSTEM is taken (--usage names another)"
        ),
        "{said}"
    );
    let target = "select target from rowcall.parameters where name = 'file_loader'";
    assert!(locaria.db.one::<String>(target).await.ends_with("file-loader:1"));
    let said = locaria.done(&["--apply", "--usage", "TEST"]).await;
    assert!(locaria.db.one::<String>(target).await.ends_with("file-loader:99"), "{said}");
    assert!(said.contains("lambda_config has no usage TEST: its only one is taken, SYSTEM"), "{said}");
    locaria.db.run(insert).await;
    assert_eq!(locaria.db.jobs("file_loader").await, 1);
}

/// L4: it called out in the middle of the transaction, also where that was rolled back.
#[tokio::test]
async fn a_row_starts_nothing_before_its_commit_or_if_rolled_back() {
    let locaria = Locaria::new().await;
    locaria.db.run("begin; insert into locaria_core.files (id) values (1); rollback").await;
    assert_eq!(locaria.calls().await, 3, "Locaria: called for a row that never was");

    locaria.done(&["--apply", "--replace-trigger"]).await;
    let mut running = locaria.dispatcher().await;
    locaria.db.run("begin; insert into locaria_core.files (id) values (2); rollback").await;
    let writer = locaria.db.connect().await;
    writer.batch_execute("begin; insert into locaria_core.files (id) values (3)").await.unwrap();
    locaria.db.run("insert into locaria_core.files (id, status) values (4, 'DOWNLOAD_REQUESTED')").await;
    assert_eq!(
        family(&running.launch().await),
        "file-download:1",
        "and not the loader, whose row is not committed"
    );
    assert_eq!(running.world.distinct_launches(), 1);
    writer.batch_execute("commit").await.unwrap();
    assert_eq!(family(&running.launch().await), "file-loader:1");
    assert_eq!((running.world.distinct_launches(), locaria.calls().await), (2, 3));
    running.stop().await;
}

/// L5: a hundred rows were a hundred calls, one after the other, with the rows locked.
#[tokio::test]
async fn an_update_of_100_rows_makes_no_calls_and_needs_one_container() {
    let locaria = Locaria::new().await;
    locaria.db.run("alter table locaria_core.files disable trigger files_trigger").await;
    locaria.db.run("insert into locaria_core.files (status, attributes) select 'OLD', '{}' from generate_series(1, 100)").await;
    locaria.db.run("alter table locaria_core.files enable trigger files_trigger").await;
    let update = "update locaria_core.files set status = 'REGISTERED'";
    locaria.db.run(&format!("begin; {update}; rollback")).await;
    assert_eq!(locaria.calls().await, 200, "Locaria: a container and a broadcast for each row");

    locaria.done(&["--apply", "--replace-trigger"]).await;
    locaria.db.run(update).await;
    assert_eq!((locaria.calls().await, locaria.db.jobs("file_loader").await), (200, 100));
    let mut running = locaria.dispatcher().await;
    let launched = running.launch().await;
    let container = OldContainer::started(&locaria, "REGISTERED").await;
    assert_eq!(container.rows().len(), 100);
    container.loads_all().await;
    running.end(&launched, End::exited(0));
    locaria.settled().await;
    assert_eq!(running.world.distinct_launches(), 1);
    let ends: Vec<String> = locaria
        .db
        .one("select array_agg(e order by e) from (select outcome || ' ' || count(*) as e from rowcall.history group by outcome) x")
        .await;
    assert_eq!(ends, ["OBSOLETE 99", "SUCCEEDED 1"]);
    running.stop().await;
}

/// L8: `pg_trigger_depth() = 0` overlooked rows that other triggers made.
#[tokio::test]
async fn rows_that_other_triggers_make_start_their_task() {
    let locaria = Locaria::new().await;
    locaria
        .db
        .run(
            "create table public.inbox (id int);
             create function public.into_files() returns trigger language plpgsql as
             $$ begin insert into locaria_core.files (id) values (new.id); return new; end $$;
             create trigger into_files after insert on public.inbox for each row execute function public.into_files();
             insert into public.inbox values (1)",
        )
        .await;
    assert_eq!(
        (locaria.calls().await, locaria.status(1).await.as_str()),
        (0, "REGISTERED"),
        "Locaria: overlooked"
    );

    locaria.done(&["--apply", "--replace-trigger"]).await;
    locaria.db.run("insert into public.inbox values (2)").await;
    let key: String = locaria.db.one("select string_agg(row_key::text, ' ') from rowcall.jobs").await;
    assert_eq!(key, r#"{"id": 2}"#);
    assert_eq!(
        locaria.db.one::<i64>("select rowcall.rescan('locaria_core.files')").await,
        1,
        "and the old one is found"
    );
}
