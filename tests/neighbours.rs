//! One bad row stops nobody: what a row, a table or a task does wrong stays its own.

use crate::support::{Running, TestDatabase};
use rowcall::job::End;

/// Files whose table refuses some values, and a task that does not retry.
async fn with_rule(rule: &str) -> (TestDatabase, Running) {
    let db = TestDatabase::new().await;
    db.run(rule).await;
    db.task("loader", "REGISTERED", ("command, max_attempts", "'{\"{{ row.id }}\"}', 1")).await;
    let running = Running::start(&db).await;
    (db, running)
}

const REFUSE: &str = "create function public.refuse() returns trigger language plpgsql as
    $$ begin raise exception 'no % for %', new.status, new.id; end $$;";

#[tokio::test]
async fn a_row_that_refuses_its_running_status_is_blocked_alone() {
    for when in ["before update", "after update"] {
        let rule = format!(
            "{REFUSE} create trigger refuse {when} on rowcall.files for each row
                            when (new.id = 2 and new.status = 'PROCESSING') execute function public.refuse()"
        );
        let (db, mut running) = with_rule(&rule).await;
        db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
        let (first, second) = (running.launch().await, running.launch().await);
        let mut launched = [first, second].map(|l| l.attempt.request.command.join(" "));
        launched.sort();
        assert_eq!(launched, ["1", "3"], "{when}");
        db.until("select reason = 'status_running cannot be written: no PROCESSING for 2' from rowcall.jobs where state = 'blocked'").await;
        let rows: String = db.one("select string_agg(status, ' ' order by id) from rowcall.files").await;
        assert_eq!(rows, "PROCESSING REGISTERED PROCESSING");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_row_refusing_its_end_is_told_and_the_others_are_written() {
    let rule = format!(
        "{REFUSE} create trigger refuse after update on rowcall.files for each row
                        when (new.id = 2 and new.status = 'PROCESSED') execute function public.refuse()"
    );
    let (db, mut running) = with_rule(&rule).await;
    db.run("insert into rowcall.files (id) values (1), (2), (3)").await;
    let mut launched = [running.launch().await, running.launch().await, running.launch().await];
    launched.sort_by_key(|l| l.attempt.request.command[0].clone());
    let error = db.client.query("select rowcall.task_succeed($1)", &[&launched[1].token]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "RC005");
    for launched in &launched {
        running.end(launched, End::exited(0));
    }
    db.until("select count(*) = 3 from rowcall.history").await;
    let rows: String = db.one("select string_agg(status, ' ' order by id) from rowcall.files").await;
    assert_eq!(rows, "PROCESSED PROCESSING PROCESSED");
    assert_eq!(
        db.one::<String>("select write_back from rowcall.history where write_back is not null").await,
        "failed: no PROCESSED for 2"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_deferred_constraint_is_met_by_its_own_row_only() {
    let rule = "create table public.words (word text primary key);
                insert into public.words values ('REGISTERED'), ('PROCESSING'), ('ERROR');
                alter table rowcall.files add foreign key (status) references public.words deferrable initially deferred";
    let (db, mut running) = with_rule(rule).await;
    db.run("insert into rowcall.files (id) values (1), (2)").await;
    let (first, second) = (running.launch().await, running.launch().await);
    for launched in [first, second] {
        let code = i32::from(launched.attempt.request.command[0] == "2");
        running.end(&launched, End::exited(code));
    }
    db.until("select count(*) = 2 from rowcall.history").await;
    let rows: String = db.one("select string_agg(status, ' ' order by id) from rowcall.files").await;
    assert_eq!(rows, "PROCESSING ERROR", "PROCESSED is not among the words");
    running.stop().await;
}

#[tokio::test]
async fn a_status_that_is_too_long_for_its_column_is_refused_not_cut() {
    let (db, mut running) = with_rule(
        "alter table rowcall.files alter status type varchar(10); select rowcall.watch('rowcall.files')",
    )
    .await;
    db.run("update rowcall.parameters set status_running = 'PROCESSING_NOW'; insert into rowcall.files (id) values (1)").await;
    db.until("select state = 'blocked' and reason like '%value too long for type character varying(10)' from rowcall.jobs").await;
    assert_eq!(db.one::<String>("select status from rowcall.files").await, "REGISTERED");
    db.run("update rowcall.parameters set status_running = 'PROCESSING'").await;
    running.launch().await;
    running.stop().await;
}

#[tokio::test]
async fn rows_run_whatever_their_numbers_and_depth() {
    let (db, mut running) = with_rule("").await;
    db.run(
        r#"insert into rowcall.files (id, attributes) values (1, '{"n": 1e400}');
           insert into rowcall.files (id, attributes) values (2, (repeat('[', 1000) || repeat(']', 1000))::jsonb)"#,
    )
    .await;
    let mut commands = Vec::new();
    for _ in 0..2 {
        commands.extend(running.launch().await.attempt.request.command.clone());
    }
    commands.sort();
    assert_eq!(commands, ["1", "2"]);
    running.stop().await;
}

#[tokio::test]
async fn a_row_locked_by_somebody_waits_alone() {
    let (db, mut running) = with_rule("").await;
    db.run("update rowcall.parameters set enabled = false; insert into rowcall.files (id) values (1), (2)")
        .await;
    let holder = db.connect().await;
    holder.batch_execute("begin; select from rowcall.files where id = 1 for update").await.unwrap();
    db.run("update rowcall.parameters set enabled = true").await;
    let second = running.launch().await;
    assert_eq!(second.attempt.request.command, ["2"]);
    running.end(&second, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files where id = 2").await;
    holder.batch_execute("commit").await.unwrap();
    let first = running.launch().await;
    assert_eq!(first.attempt.request.command, ["1"]);
    // The same at the end of a run.
    holder.batch_execute("begin; select from rowcall.files where id = 1 for update").await.unwrap();
    running.end(&first, End::exited(0));
    db.run("insert into rowcall.files (id) values (3)").await;
    let third = running.launch().await;
    running.end(&third, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files where id = 3").await;
    holder.batch_execute("commit").await.unwrap();
    db.until("select status = 'PROCESSED' from rowcall.files where id = 1").await;
    running.stop().await;
}

#[tokio::test]
async fn a_message_of_the_users_own_survives_and_ours_is_replaced() {
    let (db, mut running) = with_rule("").await;
    db.run(r#"insert into rowcall.files (id, attributes) values (1, '{"message": "hello"}')"#).await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    assert_eq!(
        db.one::<String>("select attributes::text from rowcall.files").await,
        r#"{"message": "hello"}"#
    );
    db.run("update rowcall.files set attributes = '{\"a\": 1}', status = 'REGISTERED'").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(3));
    db.until("select attributes->>'message' = 'exit code 3' from rowcall.files").await;
    db.run("update rowcall.files set status = 'REGISTERED'").await;
    let launched = running.launch().await;
    running.end(&launched, End::exited(0));
    db.until("select status = 'PROCESSED' from rowcall.files").await;
    assert_eq!(db.one::<String>("select attributes::text from rowcall.files").await, r#"{"a": 1}"#);
    running.stop().await;
}

#[tokio::test]
async fn a_result_column_that_holds_no_object_keeps_its_shape() {
    let db = TestDatabase::new().await;
    db.task("loader", "REGISTERED", ("", "")).await;
    db.run("insert into rowcall.files (id, attributes) values (1, '[1, 2]'), (2, '\"text\"'), (3, '{\"a\": 1}'), (4, 'null'), (5, null)")
        .await;
    let mut running = Running::start(&db).await;
    for _ in 1..=5 {
        let launched = running.launch().await;
        running.end(&launched, End { result: Some(serde_json::json!({"n": 1})), ..End::exited(0) });
    }
    db.until("select count(*) = 5 from rowcall.history where outcome = 'SUCCEEDED'").await;
    let told: String = db
        .one("select string_agg(f.id || ' ' || f.status || ' ' || f.attributes, '; ' order by f.id) from rowcall.files f")
        .await;
    assert_eq!(
        told,
        "1 PROCESSED [1, 2]; 2 PROCESSED \"text\"; 3 PROCESSED {\"a\": 1, \"result\": {\"n\": 1}}; \
         4 PROCESSED {\"result\": {\"n\": 1}}; 5 PROCESSED {\"result\": {\"n\": 1}}"
    );
    let remark: String = db.one("select write_back from rowcall.history where row_key = '{\"id\": 1}'").await;
    assert_eq!(
        remark,
        "kept: the result column holds the array, which stays; the result is in rowcall.attempts"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_trigger_that_fails_at_the_commit_stops_its_own_job_only() {
    for meddling in [
        // As late as the transaction lets it.
        "create constraint trigger late after update on public.bad deferrable initially deferred for each row
            execute function public.refuse()",
        // In the middle of the claim.
        "create trigger quick before update on public.bad for each row execute function public.hurry()",
    ] {
        let db = TestDatabase::new().await;
        db.run(
            "create table public.bad (id int primary key, status text, attributes jsonb);
             select rowcall.watch('public.bad');
             create function public.refuse() returns trigger language plpgsql as
                $$ begin set constraints all deferred; raise exception 'never'; end $$;
             create function public.hurry() returns trigger language plpgsql as
                $$ begin perform set_config('statement_timeout', '1ms', false); return new; end $$",
        )
        .await;
        db.run(meddling).await;
        db.task("bad", "NEW", ("source_table, priority", "'public.bad', 10")).await;
        db.task("good", "NEW", ("", "")).await;
        db.run("insert into public.bad select n, 'NEW' from generate_series(1, 3) n; insert into rowcall.files (status) select 'NEW' from generate_series(1, 3)")
            .await;
        let mut running = Running::start(&db).await;
        for _ in 0..3 {
            loop {
                let launched = running.launch().await;
                running.end(&launched, End::exited(0));
                if launched.attempt.task == "good" {
                    break;
                }
            }
        }
        db.until("select count(*) = 3 from rowcall.files where status = 'PROCESSED'").await;
        running.stop().await;
    }
}
