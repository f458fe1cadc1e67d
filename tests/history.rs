//! What is over is kept by days, and goes with its day.

use crate::support::TestDatabase;

const KEEP: &str = "select rowcall_internal.keep_history('30 days')";

#[tokio::test]
async fn jobs_and_attempts_that_are_over_go_with_their_day() {
    let db = TestDatabase::new().await;
    for (table, time) in [("history", "settled_at"), ("ended_attempts", "ended_at")] {
        let old = format!(
            "create table rowcall_internal.{table}_20200101 partition of rowcall_internal.{table}
             for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')"
        );
        db.run(&old).await;
        db.run(KEEP).await;
        let days: Vec<String> = db
            .one(&format!(
                "select array_agg(to_char(current_date - to_date(right(c.relname, 8), 'YYYYMMDD'), 'FM90') order by c.relname)
                 from pg_inherits join pg_class c on c.oid = inhrelid
                 where inhparent = 'rowcall_internal.{table}'::regclass and c.relname !~ 'default'"
            ))
            .await;
        assert_eq!(days, ["0", "-1", "-2", "-3"], "{table}");
        // As of a time for which no dispatcher had made a partition.
        let (columns, values) = match table {
            "history" => ("job_id, on_status, attempt_count, created_at", "1, 'REGISTERED', 1, now()"),
            _ => ("id, job_id, number", "1, 1, 1"),
        };
        for age in ["29 days", "31 days"] {
            let of_default = format!(
                "insert into rowcall_internal.{table} (task, source_table, row_key, outcome, {columns}, {time})
                 values ('task', 'rowcall.files', '{{\"id\": 1}}', 'SUCCEEDED', {values}, now() - interval '{age}')"
            );
            db.run(&of_default).await;
        }
        db.run(KEEP).await;
        let kept = format!(
            "select count(*) from rowcall_internal.{table} where {time} > now() - interval '30 days'"
        );
        let all = format!("select count(*) from rowcall_internal.{table}");
        assert_eq!((db.one::<i64>(&kept).await, db.one::<i64>(&all).await), (1, 1), "{table}");
    }
}
