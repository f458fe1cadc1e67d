//! Nothing that a table holds stops a dispatcher: the worst that each column can hold, one value after the other, in the
//! place of one job, and beside it a neighbour that must run.

mod answers;
mod of_aws;
mod on_docker;

use std::fmt::Write as _;
use std::time::Duration;

use rowcall::job::End;

use crate::support::{Running, TestDatabase};

/// The worst values of a type, as SQL expressions. Null is tried everywhere besides.
fn worst(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "bigint" => &["9223372036854775807", "-9223372036854775808", "0"],
        "integer" => &["2147483647", "-2147483648", "0"],
        "smallint" => &["32767", "-32768"],
        "boolean" => &["true", "false"],
        "double precision" | "real" => &["'NaN'", "'Infinity'", "'-Infinity'", "1e308", "-1e308", "5e-324"],
        "text" => &["''", "E'\\x01\\t\\n\\u200f'", "'%s $1 {{ row }} '''", "repeat('é', 100000)"],
        "text[]" => &["'{}'", "'{NULL}'", "'{{a,b},{c,d}}'", "'[5:6]={a,b}'", "array[repeat('x', 100000)]"],
        "jsonb" => &[
            "(repeat('[', 200) || repeat(']', 200))::jsonb",
            "(repeat('{\"a\":', 200) || '1' || repeat('}', 200))::jsonb",
            "'{\"a\": 1e130000}'",
            "'null'",
            "'7'",
            "'{}'",
            "'{\"version\": 99}'",
        ],
        "interval" => &["'178000000 years'", "'-178000000 years'", "'0'", "'1 microsecond'"],
        "timestamp with time zone" => &["'infinity'", "'-infinity'", "'294276-12-31'", "'4713-01-01 BC'"],
        "uuid" => &["'00000000-0000-0000-0000-000000000000'"],
        "bytea" => &["''", "decode(repeat('ff', 100000), 'hex')"],
        "regclass" => &["0::oid::regclass", "4294967295::oid::regclass", "'pg_class'::regclass"],
        "jsonpath" => &["'$'", "'strict $.a.b.c'", "'$ ? (1 == 1)'", "'$.** ? (@ == 1)'"],
        _ => return None,
    })
}

/// The columns of a table and their types; of a domain, the type that it is over.
async fn columns(db: &TestDatabase, table: &str) -> Vec<(String, String)> {
    let sql = "select a.attname::text, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null)
        from pg_attribute a join pg_type t on t.oid = a.atttypid
        where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum";
    db.client.query(sql, &[&table]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// When the victim's row gets its worst values.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// Before its job is claimed.
    Waiting,
    /// While its attempt runs; then that ends.
    Running,
    /// While its attempt runs, and its dispatcher is gone.
    Left,
}

/// A table, and the row in it that is the victim's.
struct Place {
    table: &'static str,
    victim: &'static str,
    when: When,
}

/// Sets one column of the victim's row; false if the table refuses the value.
async fn spoil(db: &TestDatabase, place: &Place, column: &str, value: &str) -> bool {
    let sql = format!(
        "begin; set local session_replication_role = replica; update {} set {column} = {value} where {}; commit",
        place.table, place.victim
    );
    let refused = db.client.batch_execute(&sql).await.is_err();
    if refused {
        db.run("rollback").await;
    }
    !refused
}

/// Runs a neighbour of the victim, to whatever end needs the part of the dispatcher that must have survived.
async fn neighbour(db: &TestDatabase, running: &mut Running, when: When, case: &str) {
    let limit = Duration::from_secs(20);
    let task = if when == When::Running { "overdue" } else { "neighbour" };
    db.run(&format!("insert into rowcall.files (status) values ('{}')", task.to_uppercase())).await;
    let launched = loop {
        let launched = tokio::time::timeout(limit, running.launch()).await;
        let launched = launched.unwrap_or_else(|_| panic!("{case}: its neighbour did not start"));
        if launched.attempt.task == task {
            break launched;
        }
        running.end(&launched, End::exited(0));
    };
    let id = launched.attempt.id;
    if when == When::Left {
        leave(db, &format!("id = {id}")).await;
        let adopted = format!(
            "select dispatcher_id = {} from rowcall.attempts where id = {id}",
            running.dispatcher.id()
        );
        let adopted = tokio::time::timeout(limit, db.until(&adopted)).await;
        adopted.unwrap_or_else(|_| panic!("{case}: its neighbour was not adopted"));
    }
    // The other is stopped by its timeout.
    if task == "neighbour" {
        running.end(&launched, End::exited(0));
    }
    let settled =
        format!("select exists (select from rowcall.history where job_id = {})", launched.attempt.job_id);
    let settled = tokio::time::timeout(limit, db.until(&settled)).await;
    settled.unwrap_or_else(|_| panic!("{case}: its neighbour did not end"));
}

/// Leaves attempts to a dispatcher that is gone.
async fn leave(db: &TestDatabase, which: &str) {
    db.run(&format!(
        "update rowcall_internal.attempts set dispatcher_id = (select id from rowcall_internal.dispatchers where host = 'gone')
         where {which}"
    ))
    .await;
}

/// Every column, every value; what stopped the neighbour is named.
async fn all_of(place: Place) {
    let db = TestDatabase::new().await;
    // The victim has terms of its own.
    for (task, more) in [
        ("victim", "'1 hour', '7 seconds'"),
        ("neighbour", "'1 hour', '8 seconds'"),
        ("overdue", "'50 milliseconds', '8 seconds'"),
    ] {
        db.task(task, &task.to_uppercase(), ("max_attempts, timeout, backoff", &format!("1, {more}"))).await;
    }
    db.run(
        "create table victim_before as select * from rowcall.parameters where name = 'victim';
         insert into rowcall_internal.dispatchers (host, pid, version, runners, stopped_at) values ('gone', 1, 'v', '{docker}', now())",
    )
    .await;
    let mut running = Running::start(&db).await;
    let (mut tried, mut refused) = (0, String::new());
    for (column, kind) in columns(&db, place.table).await {
        let values =
            worst(&kind).unwrap_or_else(|| panic!("{}.{column}: no worst value of type {kind}", place.table));
        for value in values.iter().copied().chain(["null"]) {
            let case = format!("{}.{column} = {value}", place.table);
            let waits = place.when == When::Waiting;
            if waits {
                db.run("update rowcall.parameters set enabled = false where name = 'victim'").await;
            }
            db.run("insert into rowcall.files (status) values ('VICTIM')").await;
            let victim = if waits { None } else { Some(running.launch().await) };
            if spoil(&db, &place, &column, value).await {
                tried += 1;
            } else {
                write!(refused, "{case}; ").unwrap();
            }
            match place.when {
                // Past the checks of an edit: the row may be as bad as it can.
                When::Waiting => {
                    db.run(
                        "begin; set local session_replication_role = replica;
                         update rowcall.parameters set enabled = true where name = 'victim'; commit;
                         select pg_notify('rowcall_control', '')",
                    )
                    .await;
                }
                When::Running => {}
                When::Left if column == "dispatcher_id" => {}
                When::Left => leave(&db, "task = 'victim'").await,
            }
            neighbour(&db, &mut running, place.when, &case).await;
            if let Some(victim) = victim {
                running.end(&victim, End::exited(1));
                neighbour(&db, &mut running, When::Waiting, &format!("{case}, ended")).await;
            }
            db.run(
                "begin; set local session_replication_role = replica;
                 delete from rowcall_internal.attempts; delete from rowcall_internal.jobs; delete from rowcall.files;
                 delete from rowcall.parameters where name not in ('neighbour', 'overdue');
                 insert into rowcall.parameters select * from victim_before; commit; truncate rowcall_internal.history, rowcall_internal.ended_attempts",
            )
            .await;
        }
    }
    assert!(tried > 6, "{tried} values were tried; refused: {refused}");
    running.stop().await;
}

const OF_VICTIM: &str = "task = 'victim'";

#[tokio::test]
async fn nothing_in_a_job_stops_its_neighbours() {
    all_of(Place { table: "rowcall_internal.jobs", victim: OF_VICTIM, when: When::Waiting }).await;
}

#[tokio::test]
async fn nothing_in_a_running_job_stops_its_neighbours() {
    all_of(Place { table: "rowcall_internal.jobs", victim: OF_VICTIM, when: When::Running }).await;
}

#[tokio::test]
async fn nothing_in_an_attempt_stops_its_neighbours() {
    all_of(Place { table: "rowcall_internal.attempts", victim: OF_VICTIM, when: When::Running }).await;
}

#[tokio::test]
async fn nothing_in_an_attempt_left_behind_stops_its_neighbours() {
    all_of(Place { table: "rowcall_internal.attempts", victim: OF_VICTIM, when: When::Left }).await;
}

const ITS_TERMS: &str = "id in (select terms_id from rowcall_internal.attempts where task = 'victim')";

#[tokio::test]
async fn nothing_in_terms_of_an_attempt_stops_its_neighbours() {
    all_of(Place { table: "rowcall_internal.terms", victim: ITS_TERMS, when: When::Running }).await;
}

#[tokio::test]
async fn nothing_in_terms_left_behind_stops_its_neighbours() {
    all_of(Place { table: "rowcall_internal.terms", victim: ITS_TERMS, when: When::Left }).await;
}

#[tokio::test]
async fn nothing_in_parameters_stops_the_neighbours() {
    all_of(Place { table: "rowcall.parameters", victim: "name = 'victim'", when: When::Waiting }).await;
}
