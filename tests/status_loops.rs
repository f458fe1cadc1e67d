//! Chains of tasks by their statuses, and the guard against chains that bite their tail.

use crate::support::{Running, TestDatabase};
use rowcall::job::End;

async fn loop_of(db: &TestDatabase, task: &str) -> Option<String> {
    db.one_with("select rowcall.status_loop($1)", &[&task]).await
}

#[tokio::test]
async fn a_chain_runs_each_task_once() {
    let db = TestDatabase::new().await;
    db.task("load", "REGISTERED", ("status_succeeded", "'LOADED'")).await;
    db.task("check", "LOADED", ("status_succeeded, status_failed", "'CHECKED', 'REJECTED'")).await;
    db.task("publish", "CHECKED", ("", "")).await;
    db.task("clean_up", "REJECTED", ("status_succeeded, max_attempts", "'REMOVED', 1")).await;
    db.run("update rowcall.parameters set max_attempts = 1").await;
    let mut running = Running::start(&db).await;
    db.run("insert into rowcall.files default values").await;
    for task in ["load", "check", "publish"] {
        let launched = running.launch().await;
        assert_eq!(launched.attempt.task, task);
        running.end(&launched, End::exited(0));
    }
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    for (task, code) in [("load", 0), ("check", 1), ("clean_up", 0)] {
        let launched = running.launch().await;
        assert_eq!(launched.attempt.task, task);
        running.end(&launched, End::exited(code));
    }
    db.until("select status = 'REMOVED' from rowcall.files").await;
    db.until("not exists (select from rowcall.jobs)").await;
    assert!(!running.launched_more());
    running.stop().await;
}

#[tokio::test]
async fn an_edit_that_closes_a_loop_is_refused_and_the_loop_named() {
    let db = TestDatabase::new().await;
    db.task("file_loader", "REGISTERED", ("", "")).await;
    let closes = |more: (&'static str, &'static str)| {
        format!(
            "insert into rowcall.parameters (name, on_status, runner, target, status_succeeded, status_failed{})
             values ('checker', 'PROCESSED', 'docker', 'x', 'CHECKED', 'REGISTERED'{})",
            more.0, more.1
        )
    };
    let named = "parameters: checker would run for ever: \
                 PROCESSED -(checker fails)-> REGISTERED -(file_loader succeeds)-> PROCESSED";
    let refused = db.refused(&closes(("", ""))).await;
    assert!(refused.contains(named), "{refused}");
    assert!(refused.contains("give one a condition that ends the loop"), "{refused}");

    // Disabled, or with a condition, it is no loop; enabling it, or taking the condition away, makes it one.
    for (more, closing) in [
        ((", enabled", ", false"), "update rowcall.parameters set enabled = true"),
        ((", condition", ", '$.attributes.rounds < 3'"), "update rowcall.parameters set condition = null"),
    ] {
        db.run(&closes(more)).await;
        assert_eq!(loop_of(&db, "checker").await, None);
        let refused = db.refused(&format!("{closing} where name = 'checker'")).await;
        assert!(refused.contains(named), "{refused}");
        db.run("delete from rowcall.parameters where name = 'checker'").await;
    }
    // A task that writes its own status_running is not known to bring its row there.
    let running = "insert into rowcall.parameters (name, on_status, runner, target, status_running, status_succeeded, status_running_by)
                   values ('checker', 'PROCESSED', 'docker', 'x', 'REGISTERED', 'CHECKED', 'by')";
    let refused = db.refused(&running.replace("'by'", "'rowcall'")).await;
    assert!(refused.contains("PROCESSED -(checker starts)-> REGISTERED"), "{refused}");
    db.run(&running.replace("'by'", "'task'")).await;
}

#[tokio::test]
async fn several_rows_and_statements_are_looked_at_as_they_end() {
    let db = TestDatabase::new().await;
    for (name, from, to) in [("a", "A", "B"), ("b", "B", "C"), ("c", "C", "D")] {
        db.task(name, from, ("status_succeeded", &format!("'{to}'"))).await;
    }
    // The other way round: each row by itself would close a loop on the way.
    db.run(
        "update rowcall.parameters set (on_status, status_succeeded) =
         (select r.f, r.t from (values ('a', 'B', 'A'), ('b', 'C', 'B'), ('c', 'D', 'C')) r(n, f, t) where r.n = name)",
    )
    .await;
    let refused = db
        .refused(
            "insert into rowcall.parameters (name, on_status, runner, target, status_succeeded)
                  values ('d', 'A', 'docker', 'x', 'E'), ('e', 'E', 'docker', 'x', 'D')",
        )
        .await;
    assert!(refused.contains("would run for ever: "), "{refused}");
    let in_steps = "begin; set constraints rowcall.parameters_check_loop deferred;
        update rowcall.parameters set status_succeeded = 'D' where name = 'a';
        update rowcall.parameters set on_status = 'X' where name = 'c'; commit";
    db.run(in_steps).await;
    let refused = db.refused("update rowcall.parameters set on_status = 'D' where name = 'c'").await;
    assert!(refused.contains("D -(c succeeds)-> C -(b succeeds)-> B -(a succeeds)-> D"), "{refused}");
}

#[tokio::test]
async fn tasks_on_other_tables_and_rows_that_are_in_a_loop_already() {
    let db = TestDatabase::new().await;
    db.run("create table other (id int primary key, status text); select rowcall.watch('other')").await;
    db.task("there", "A", ("source_table, result_column, status_succeeded", "'other', null, 'B'")).await;
    db.task("here", "B", ("status_succeeded", "'A'")).await;
    assert_eq!(loop_of(&db, "there").await, None);
    // As two edits at the same moment could leave it.
    db.run(
        "set session_replication_role = replica;
         update rowcall.parameters set source_table = 'other', result_column = null;
         reset session_replication_role",
    )
    .await;
    assert_eq!(loop_of(&db, "there").await.unwrap(), "A -(there succeeds)-> B -(here succeeds)-> A");
    assert_eq!(loop_of(&db, "nobody").await, None);
    db.run("update rowcall.parameters set timeout = '2 hours'; update rowcall.parameters set enabled = false where name = 'here'")
        .await;
    assert_eq!(loop_of(&db, "there").await, None);
}

#[tokio::test]
async fn a_task_outside_the_loop_that_it_leads_into_is_in_none() {
    let db = TestDatabase::new().await;
    db.run("set session_replication_role = replica").await;
    for (name, from, to) in [("in", "I", "A"), ("a", "A", "B"), ("b", "B", "A"), ("wide", "A", "Z")] {
        db.task(name, from, ("status_succeeded", &format!("'{to}'"))).await;
    }
    let loops: Vec<String> = db
        .one("select array_agg(name || ': ' || rowcall.status_loop(name) order by name) filter (where rowcall.status_loop(name) is not null)
              from rowcall.parameters")
        .await;
    assert_eq!(
        loops,
        ["a: A -(a succeeds)-> B -(b succeeds)-> A", "b: B -(b succeeds)-> A -(a succeeds)-> B"]
    );
}

#[tokio::test]
async fn a_loop_closed_by_two_edits_at_once_blocks_jobs_until_opened() {
    let db = TestDatabase::new().await;
    let mut running = Running::start(&db).await;
    let other = db.connect().await;
    other.batch_execute("begin").await.unwrap();
    db.task("there", "REGISTERED", ("", "")).await;
    db.run("delete from rowcall.parameters; begin").await;
    let half = |name: &str, from: &str, to: &str| {
        format!(
            "insert into rowcall.parameters (name, on_status, runner, target, status_succeeded) values ('{name}', '{from}', 'docker', 'x', '{to}')"
        )
    };
    db.run(&half("there", "REGISTERED", "LOADED")).await;
    other.batch_execute(&half("back", "LOADED", "REGISTERED")).await.unwrap();
    db.run("commit").await;
    other.batch_execute("commit").await.unwrap();
    db.run("insert into rowcall.files default values").await;
    db.until(
        "select reason = 'parameters: this would run for ever: REGISTERED -(there succeeds)-> LOADED -(back succeeds)-> REGISTERED'
         from rowcall.jobs where state = 'blocked'",
    )
    .await;
    db.run("update rowcall.parameters set enabled = false where name = 'back'").await;
    assert_eq!(running.launch().await.attempt.task, "there");
    running.stop().await;
}
