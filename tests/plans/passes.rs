//! Statements that join arrays of a batch with its jobs or attempts go through the arrays once, also by a plan that was made when
//! the tables were known to be empty.

use std::path::PathBuf;

use serde_json::Value;
use tokio_postgres::Client;

use crate::ear::Ear;
use crate::support::{TestDatabase, files_below};

/// Starts all jobs that wait.
const START: &str = "
    select rowcall_internal.start_jobs(1, array_agg(nextval('rowcall_internal.attempts_id_seq')), array_agg(id), array_agg(task),
        array_agg(source_table::oid), array_agg(row_key), array_agg(1), array_agg('docker'::text), array_agg('key-' || id),
        array_agg('\\x00'::bytea), array_agg((rowcall_internal.keep_terms('{\"{}\"}'))[1]), array_agg('{}'::jsonb), array_agg(60::float8),
        array_agg(60::float8), array_agg(null::float8), array_agg(null::text), array_agg(null::text))
    from rowcall_internal.jobs";

/// Ends all that are open.
const END: &str = "
    select rowcall_internal.lose_attempts(array(select id from rowcall_internal.attempts), 'over')";

/// Finishes all that have been started.
const FINISH: &str = "
    select rowcall_internal.finish_jobs(array_agg(id), array_agg(attempt_id), array_agg('LOST'::text), array_agg('over'::text),
        array_agg(null::text), array_agg('lost'::text))
    from rowcall_internal.jobs";

/// Gives the row of each job a status.
const MARK: &str = "
    select rowcall_internal.mark_all('rowcall.files', array_agg(row_key), array_agg('OTHER'::text), array_agg('RUNNING'::text),
        array_agg(null::text), array_agg('other'::text), array_agg(null::text), false)
    from rowcall_internal.jobs";

/// Reads the row of each job.
const READ: &str = "
    select count(*) from rowcall_internal.source_rows('rowcall.files', array(select row_key from rowcall_internal.jobs))";

/// Gives the row of each job a result.
const WRITE: &str = "
    select count(*) from rowcall_internal.write_back('rowcall.files', 'attributes', array(select row_key from rowcall_internal.jobs),
        array(select '[\"RUNNING\"]'::jsonb from rowcall_internal.jobs), array(select 'PROCESSED'::text from rowcall_internal.jobs),
        array(select '{\"lines\": 7}'::jsonb from rowcall_internal.jobs))";

/// Jobs, attempts and rows whose tables have pages, and which are analyzed when there are none.
async fn emptied() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.task("other", "OTHER", ("enabled", "false")).await;
    let insert = "insert into rowcall.files (status) select 'OTHER' from generate_series(1, 500)";
    db.run(insert).await;
    db.run(START).await;
    db.run(
        "delete from rowcall_internal.jobs; delete from rowcall_internal.attempts; delete from rowcall.files",
    )
    .await;
    db.run("analyze rowcall_internal.jobs, rowcall_internal.attempts, rowcall.files").await;
    db.run(insert).await;
    db
}

/// A session with the settings of a claim's, and what it says.
async fn session(db: &TestDatabase, more: &str) -> (Client, std::sync::Arc<Ear>) {
    let (client, ear) = Ear::open(db).await;
    client
        .batch_execute("set enable_seqscan = off; set jit = off; set plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    client.batch_execute(more).await.unwrap();
    (client, ear)
}

/// The lists that are gone through for each line of something else: functions by their aliases, and common table expressions.
fn repeated(plan: &Value) -> Vec<String> {
    let parts: Vec<&Value> = plan["Plans"].as_array().into_iter().flatten().collect();
    let inner = parts.iter().find(|part| part["Parent Relationship"] == "Inner");
    let inner = inner.filter(|_| plan["Node Type"] == "Nested Loop").map(|inner| match &inner["Node Type"] {
        kept if kept == "Materialize" => &inner["Plans"][0],
        _ => *inner,
    });
    let name = inner.and_then(|inner| match inner["Node Type"].as_str()? {
        "Function Scan" => inner["Alias"].as_str(),
        "CTE Scan" => inner["CTE Name"].as_str(),
        _ => None,
    });
    parts.iter().flat_map(|part| repeated(part)).chain(name.map(str::to_owned)).collect()
}

/// An index of jobs, attempts or rows that is read whole.
fn read_whole(plan: &Value) -> Option<String> {
    let index = plan["Index Name"].as_str().unwrap_or_default();
    if ["jobs_pkey", "attempts_pkey", "files_pkey"].contains(&index) && plan["Index Cond"].is_null() {
        return Some(format!("{plan}"));
    }
    plan["Plans"].as_array().into_iter().flatten().find_map(read_whole)
}

#[tokio::test]
async fn functions_go_through_the_arrays_of_a_batch_once() {
    let db = emptied().await;
    let (client, ear) = session(
        &db,
        "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
         set auto_explain.log_format = json; set auto_explain.log_level = notice",
    )
    .await;
    let calls = [
        (READ, "from rowcall.files t "),
        (MARK, "update rowcall.files t "),
        (START, "insert into rowcall_internal.attempts "),
        (WRITE, "update rowcall.files t "),
        (END, "insert into rowcall_internal.ended_attempts "),
        (FINISH, "insert into rowcall_internal.history "),
    ];
    for (call, statement) in calls {
        let before = ear.notices().len();
        client.batch_execute(call).await.unwrap();
        let said = ear.notices().split_off(before);
        let plans: Vec<Value> = said
            .iter()
            .filter_map(|said| serde_json::from_str(said.split_once("plan:\n")?.1).ok())
            .filter(|plan: &Value| plan["Query Text"].as_str().unwrap_or_default().contains(statement))
            .collect();
        assert!(!plans.is_empty(), "no plan of {statement} in {said:#?}");
        for plan in plans {
            assert!(repeated(&plan["Plan"]).is_empty(), "{plan:#}");
            assert_eq!(read_whole(&plan["Plan"]), None, "{plan:#}");
        }
    }
    assert_eq!(db.one::<i64>("select count(*) from rowcall.files where status = 'PROCESSED'").await, 500);
    assert_eq!(db.one::<i64>("select count(*) from rowcall.history").await, 500);
}

/// The statements that read jobs or attempts, by name. A claim is put together from several files, and is not among them.
fn statements() -> Vec<(String, String)> {
    let named = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), text)
    };
    let reads =
        |text: &str| ["jobs", "attempts"].iter().any(|t| text.contains(&format!("rowcall_internal.{t}")));
    let all = files_below("sql/queries", "sql").into_iter().map(named);
    all.filter(|(name, text)| reads(text) && (!name.starts_with("claim") || name == "claim_lock")).collect()
}

/// Of these there are never many: the dispatchers, what is in a stock, and what is taken with a limit.
const FEW: [(&str, &str); 4] = [
    ("block_unowned", "running"),
    ("attempts_rescue", "all_taken"),
    ("attempts_give_back", "free"),
    ("attempts_overdue", "markable"),
];

#[tokio::test]
async fn statements_read_their_batch_alone_of_emptied_tables() {
    let db = emptied().await;
    let (client, _) = session(&db, "").await;
    let statements = statements();
    assert!(statements.len() > 20, "{statements:?}");
    for (name, text) in statements {
        let parameters = (1..100).take_while(|n| text.contains(&format!("${n}"))).count();
        let values = vec!["null"; parameters].join(", ");
        let call = if values.is_empty() { String::new() } else { format!("({values})") };
        client
            .batch_execute(&format!("prepare it as {text}"))
            .await
            .unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let explain = format!("explain (format json) execute it{call}");
        let plan: Value = client.query_one(&explain, &[]).await.unwrap().get(0);
        client.batch_execute("deallocate it").await.unwrap();
        let plan = &plan[0]["Plan"];
        assert_eq!(read_whole(plan), None, "{name}: {plan:#}");
        let mut many = repeated(plan);
        many.retain(|list| !FEW.contains(&(name.as_str(), list.as_str())));
        assert!(many.is_empty(), "{name}: {many:?} {plan:#}");
    }
}
