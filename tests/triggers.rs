//! A job exists if and only if the row's change committed, whatever kind of statement changed it.

use crate::support::{Running, TestDatabase};
use rowcall::job::End;

/// A task on REGISTERED whose command is the row's id.
async fn loader(db: &TestDatabase) {
    db.task("loader", "REGISTERED", ("command", "'{\"{{ row.id }}\"}'")).await;
}

/// Ids of the rows with a job, in order.
async fn ids_with_jobs(db: &TestDatabase) -> String {
    db.one("select coalesce(string_agg(row_key->>'id', ' ' order by (row_key->>'id')::int), '') from rowcall.jobs")
        .await
}

#[tokio::test]
async fn an_insert_runs_its_task_and_the_row_ends_processed() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    let launched = running.launch().await;
    db.until("select status = 'PROCESSING' from rowcall.files").await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    assert_eq!(db.jobs("loader").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn copy_makes_jobs_for_the_rows_it_brings() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("copy rowcall.files (id, status) from program 'printf \"7\\tREGISTERED\\n8\\tOTHER\\n9\\tREGISTERED\\n\"'")
        .await;
    assert_eq!(ids_with_jobs(&db).await, "7 9");
}

#[tokio::test]
async fn both_arms_of_insert_on_conflict_make_jobs() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("insert into rowcall.files (id, status) values (1, 'OLD'), (2, 'REGISTERED')").await;
    db.run("delete from rowcall.jobs").await;
    db.run(
        "insert into rowcall.files (id, status) values (1, 'REGISTERED'), (2, 'REGISTERED'), (3, 'REGISTERED')
         on conflict (id) do update set status = excluded.status",
    )
    .await;
    assert_eq!(ids_with_jobs(&db).await, "1 3", "2 had that status before");
    db.run("insert into rowcall.files (id) values (1), (4) on conflict do nothing").await;
    assert_eq!(ids_with_jobs(&db).await, "1 3 4");
}

#[tokio::test]
async fn merge_makes_jobs_for_what_it_inserts_and_updates() {
    let db = TestDatabase::new().await;
    if db.one::<i32>("select current_setting('server_version_num')::int").await < 150_000 {
        return;
    }
    loader(&db).await;
    db.run("insert into rowcall.files (id, status) values (1, 'OLD'), (2, 'OLD')").await;
    db.run(
        "merge into rowcall.files f using (values (1, 'REGISTERED'), (2, 'OTHER'), (3, 'REGISTERED')) s(id, status)
         on f.id = s.id when matched then update set status = s.status
         when not matched then insert (id, status) values (s.id, s.status)",
    )
    .await;
    assert_eq!(ids_with_jobs(&db).await, "1 3");
}

#[tokio::test]
async fn update_from_and_writable_ctes_make_jobs() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("insert into rowcall.files (id, status) select i, 'OLD' from generate_series(1, 4) i").await;
    db.run("update rowcall.files f set status = s.s from (values (1, 'REGISTERED'), (2, 'OTHER')) s(i, s) where f.id = s.i")
        .await;
    assert_eq!(ids_with_jobs(&db).await, "1");
    db.run(
        "with a as (update rowcall.files set status = 'REGISTERED' where id = 3),
              b as (update rowcall.files set status = 'REGISTERED' where id = 4)
         insert into rowcall.files (id) values (5)",
    )
    .await;
    assert_eq!(ids_with_jobs(&db).await, "1 3 4 5");
}

#[tokio::test]
async fn a_writer_needs_no_right_but_on_the_source_table() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("create table public.mine (id int primary key, status text); select rowcall.watch('mine')").await;
    db.task("other", "REGISTERED", ("source_table, result_column", "'mine', null")).await;
    let writer = format!("writer_of_{}", db.one::<String>("select current_database()::text").await);
    db.run(&format!("create role {writer}; grant insert, update, select on public.mine to {writer}")).await;
    db.run(&format!(
        "set role {writer}; insert into mine values (1, 'OTHER'), (2, 'REGISTERED');
         update mine set status = 'REGISTERED'; reset role"
    ))
    .await;
    assert_eq!(ids_with_jobs(&db).await, "1 2");
    let refused = db.refused(&format!("set role {writer}; select * from rowcall.jobs")).await;
    assert!(refused.contains("42501"), "{refused}");
    db.run(&format!("reset role; drop owned by {writer}; drop role {writer}")).await;
}

#[tokio::test]
async fn a_row_that_moved_on_before_commit_does_not_run() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run(
        "begin; insert into rowcall.files (id) values (1); update rowcall.files set status = 'OTHER'; commit",
    )
    .await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (2)").await;
    assert_eq!(running.launch().await.attempt.request.command, ["2"]);
    db.until("select count(*) = 1 from rowcall.history where outcome = 'OBSOLETE'").await;
    assert_eq!(running.world.distinct_launches(), 1);
    assert_eq!(db.one::<String>("select status from rowcall.files where id = 1").await, "OTHER");
    running.stop().await;
}

#[tokio::test]
async fn wishes_for_a_pending_row_become_one_job() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run(
        "begin; insert into rowcall.files (id) values (1); update rowcall.files set status = 'B'; \
            update rowcall.files set status = 'REGISTERED'; commit",
    )
    .await;
    db.run("update rowcall.files set status = 'C'").await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    assert_eq!(db.jobs("loader").await, 1);
    let mut running = Running::start(&db).await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    assert_eq!((db.jobs("loader").await, running.world.distinct_launches()), (0, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_blocked_job_is_released_when_somebody_mends_the_row() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("command", "'{\"{{ row.attributes.path }}\"}'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    db.until("select state = 'blocked' and reason like '%row.attributes.path%' from rowcall.jobs").await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "REGISTERED");
    db.run("update rowcall.files set attributes = '{\"path\": \"a.csv\"}'").await;
    assert_eq!(running.launch().await.attempt.request.command, ["a.csv"]);
    running.stop().await;
}

#[tokio::test]
async fn a_blocked_job_is_released_when_its_parameters_are_mended() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("runner, target", "'docker', 'forbidden'")).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    db.until("select state = 'blocked' and reason like '%forbidden%' from rowcall.jobs").await;
    db.run("update rowcall.parameters set target = 'fake'").await;
    running.launch().await;
    running.stop().await;
}

#[tokio::test]
async fn conditions_may_be_predicates_or_filters_and_null_is_no() {
    let db = TestDatabase::new().await;
    for (name, condition) in [
        ("predicate", "$.attributes.size > 10"),
        ("filter", "$ ? (@.attributes.kind == \"csv\")"),
        ("unknown", "$.attributes.nothing"),
        ("quoted", "$.attributes.kind == \"US$\""),
        ("dated", "$.created.datetime() > \"2020-01-01\".datetime()"),
    ] {
        let columns = "condition, status_running, status_succeeded, status_failed";
        db.task(name, "REGISTERED", (columns, &format!("'{condition}', null, null, null"))).await;
    }
    db.run(
        r#"insert into rowcall.files (id, attributes) values (1, '{"size": 11, "kind": "json"}'), (2, '{"size": 9, "kind": "csv"}'),
           (3, '{"size": "big", "kind": null}'), (4, null), (5, '{"kind": "US$"}')"#,
    )
    .await;
    let made: String = db
        .one("select string_agg(task || ' ' || (row_key->>'id'), ', ' order by task, row_key) from rowcall.jobs")
        .await;
    assert_eq!(made, "dated 1, dated 2, dated 3, dated 4, dated 5, filter 2, predicate 1, quoted 5");
}

#[tokio::test]
async fn only_routed_rows_notify_and_so_cannot_be_prepared() {
    let db = TestDatabase::new().await;
    db.run("create table mine (id int primary key, status text); select rowcall.watch('mine'); drop trigger test_changed on rowcall_internal.jobs")
        .await;
    db.task("loader", "REGISTERED", ("source_table, result_column", "'mine', null")).await;
    let name: String = db.one("select current_database()::text").await;
    let _sleeper = db.asleep().await;
    // Postgres refuses to prepare a transaction that has notified: what a two-phase commit of ours would meet,
    // and the proof that the other one did not.
    db.run(&format!("begin; insert into mine values (1, 'OTHER'); prepare transaction '{name}'")).await;
    db.run(&format!("commit prepared '{name}'")).await;
    let routed = format!("begin; insert into mine values (2, 'REGISTERED'); prepare transaction '{name}'");
    let refused = db.refused(&routed).await;
    assert!(refused.contains("0A000") && refused.contains("NOTIFY"), "{refused}");
    assert_eq!(db.jobs("loader").await, 0);
}

#[tokio::test]
async fn rescan_makes_exactly_the_jobs_that_disabled_triggers_did_not() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files (id) values (1)").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    running.stop().await;
    db.run(
        "set session_replication_role = replica;
         update rowcall.files set status = 'REGISTERED' where id = 1;
         insert into rowcall.files (id, status) values (2, 'REGISTERED'), (3, 'OTHER');
         set session_replication_role = origin;
         insert into rowcall.files (id) values (4)",
    )
    .await;
    assert_eq!(ids_with_jobs(&db).await, "4");
    assert_eq!(
        db.one::<i64>("select rowcall.rescan('rowcall.files')").await,
        1,
        "not 1, which ran; not 4, which will"
    );
    assert_eq!(ids_with_jobs(&db).await, "2 4");
    assert_eq!(db.one::<i64>("select rowcall.rescan('rowcall.files')").await, 0);
}

#[tokio::test]
async fn every_isolation_level_makes_jobs_even_beside_a_changing_job() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    for level in ["repeatable read", "serializable"] {
        db.run("truncate rowcall.files, rowcall_internal.jobs; insert into rowcall.files (id) values (1)")
            .await;
        let writer = db.connect().await;
        writer
            .batch_execute(&format!("begin isolation level {level}; select from rowcall.files"))
            .await
            .unwrap();
        // Newer than the writer's snapshot: the trigger cannot touch the job, and must not fail for that.
        db.run("update rowcall.jobs set state = 'blocked', reason = 'changed by somebody'").await;
        writer
            .batch_execute(
                "insert into rowcall.files (id) values (2); update rowcall.files set status = 'B' where id = 1;
                 update rowcall.files set status = 'REGISTERED' where id = 1; commit",
            )
            .await
            .unwrap();
        db.run("select rowcall_internal.enqueue_missed()").await;
        assert_eq!(ids_with_jobs(&db).await, "1 2", "{level}");
        assert_eq!(
            db.one::<i64>("select count(*) from rowcall.jobs where state = 'pending'").await,
            2,
            "{level}"
        );
    }
}

#[tokio::test]
async fn a_large_update_after_a_small_one_in_one_session_stays_linear() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("insert into rowcall.files (id, status) select i, 'OLD' from generate_series(1, 30000) i").await;
    db.run("update rowcall.files set status = 'REGISTERED' where id = 1").await;
    // With the plan of the statement above this takes half a minute; otherwise half a second.
    db.run("set statement_timeout = '10s'; update rowcall.files set status = 'REGISTERED'").await;
    assert_eq!(db.one::<i64>("select count(*) from rowcall.missed_rows").await, 0);
    assert_eq!(db.jobs("loader").await, 30_000);
}

#[tokio::test]
async fn writers_never_scan_the_queue() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    // An empty queue, and known to be: the moment in which a plan without index looks cheapest.
    db.run("analyze rowcall_internal.jobs; insert into rowcall.files (id, status) select i, 'OLD' from generate_series(1, 9) i").await;
    for ids in ["1", "2, 3, 4"] {
        db.run(&format!("begin; update rowcall.files set status = 'REGISTERED' where id in ({ids})")).await;
        let scans =
            "select seq_scan from pg_stat_xact_all_tables where relid = 'rowcall_internal.jobs'::regclass";
        assert_eq!(db.one::<i64>(scans).await, 0, "{ids}");
        db.run("commit").await;
    }
}

#[tokio::test]
async fn no_writer_can_pass_for_rowcall() {
    let db = TestDatabase::new().await;
    loader(&db).await;
    db.run("insert into rowcall.files (id, status) values (1, 'NEW'), (2, 'NEW')").await;
    // What a write of ours shows in one transaction is nothing in another.
    let proof: String = db.one("select rowcall_internal.writing_proof()").await;
    for (id, said) in [(1, "back".to_owned()), (2, format!("back {proof}"))] {
        db.run(&format!(
            "set rowcall.writing = '{said}'; update rowcall.files set status = 'REGISTERED' where id = {id}; reset rowcall.writing"
        ))
        .await;
    }
    assert_eq!(ids_with_jobs(&db).await, "1 2");
}
