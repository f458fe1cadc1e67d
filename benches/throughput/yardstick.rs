//! What a drain is measured by.

use std::time::Instant;

use crate::Bench;

/// A queue with nothing but a state: claim 500, complete 500.
pub async fn least(bench: &Bench, jobs: i64) -> anyhow::Result<f64> {
    let client = &bench.client;
    client
        .batch_execute(
            "drop table if exists yardstick;
             create table yardstick (id bigint primary key, state text not null default 'ready');
             create index on yardstick (id) where state = 'ready';",
        )
        .await?;
    client.execute("insert into yardstick select g from generate_series(1, $1::bigint) g", &[&jobs]).await?;
    client.batch_execute("vacuum analyze yardstick").await?;
    let claim = client
        .prepare(
            "with picked as (select id from yardstick where state = 'ready' order by id limit 500
                             for update skip locked)
             update yardstick y set state = 'running' from picked where y.id = picked.id returning y.id",
        )
        .await?;
    let complete = client.prepare("update yardstick set state = 'done' where id = any ($1)").await?;
    let before = Instant::now();
    loop {
        let ids: Vec<i64> = client.query(&claim, &[]).await?.iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            return Ok(jobs as f64 / before.elapsed().as_secs_f64());
        }
        client.execute(&complete, &[&ids]).await?;
    }
}

/// Tables like ours, without triggers, and what a dispatcher writes there for one job: the row twice, the job, its attempt, its end.
const TABLES: &str = r"
    drop table if exists y_files, y_jobs, y_attempts, y_ended, y_history;
    create table y_files (like rowcall.files including all);
    create table y_jobs (like rowcall_internal.jobs including all);
    create table y_attempts (like rowcall_internal.attempts including all);
    create table y_ended (like rowcall_internal.ended_attempts including all);
    create table y_history (like rowcall_internal.history including all);
";
const ROWS: &str = "insert into y_files (status) select 'REGISTERED' from generate_series(1, $1::bigint)";
const QUEUE: &str = "insert into y_jobs (task, source_table, row_key, on_status)
    select 'noop', 'rowcall.files', jsonb_build_object('id', id), 'REGISTERED' from y_files";
const START: &str = r#"
    with picked as (
        select id, row_key, nextval(pg_get_serial_sequence('y_attempts', 'id')) as attempt from y_jobs
        where state = 'pending' and concurrency_key is null and task = 'noop'
        order by due_at, id limit 500 for update skip locked
    ), started as (
        update y_jobs j set state = 'running', attempt_id = p.attempt, attempt_count = 1 from picked p where j.id = p.id
    ), marked as (
        update y_files f set status = 'PROCESSING', last_update = now() from picked p where f.id = (p.row_key->>'id')::bigint
    )
    insert into y_attempts (id, job_id, task, source_table, row_key, number, runner, launch_key, token_hash, request, timeout,
        launch_timeout, dispatcher_id)
    overriding system value
    select attempt, id, 'noop', 'rowcall.files', row_key, 1, 'docker', 'rowcall-01234567-' || attempt || '-01234567',
        sha256(attempt::text::bytea),
        '{"launch": {"runner": "docker", "target": "null", "values": {}, "command": [], "settings": {}, "completion": "exit", "environment": {}},
          "policy": {"backoff": 10, "retry_on": ["TASK_FAILED", "TIMED_OUT", "RUNNER_FAILED", "LOST"], "backoff_max": 600, "max_attempts": 3},
          "version": 1, "write_back": {"expected": ["PROCESSING"], "observer": false, "on_moved": "finish", "result_column": "attributes",
          "status_failed": "ERROR", "notify_channel": null, "running_by_task": false, "status_succeeded": "PROCESSED",
          "status_runner_failed": null}}',
        '1 hour', '10 minutes', 1
    from picked returning id"#;
const END: &str = r"
    with over as (
        delete from y_attempts where id = any ($1) returning *
    ), ended as (
        insert into y_ended (id, job_id, task, source_table, row_key, number, runner, launch_key, request, timeout, launch_timeout,
            dispatcher_id, created_at, row_written, launched_at, begun_at, external_id, ended_at, outcome, cause, exit_code)
        select id, job_id, task, source_table, row_key, number, runner, launch_key, request, timeout, launch_timeout,
            dispatcher_id, created_at, row_written, now(), now(), 'null', now(), 'SUCCEEDED', 'exit_code', 0 from over
    ), written as (
        update y_files f set status = 'PROCESSED', last_update = now(), attributes = coalesce(f.attributes, '{}')
        from over where f.id = (over.row_key->>'id')::bigint and f.status = 'PROCESSING'
    ), finished as (
        delete from y_jobs j using over where j.id = over.job_id returning j.*
    )
    insert into y_history (job_id, task, source_table, row_key, on_status, outcome, cause, attempt_count, created_at)
    select id, task, source_table, row_key, on_status, 'SUCCEEDED', 'exit_code', attempt_count, created_at from finished";

/// The same writes as ours, 500 jobs to a transaction, by one client that has nothing to decide.
pub async fn same_writes(bench: &Bench, jobs: i64) -> anyhow::Result<f64> {
    let client = &bench.client;
    client.batch_execute(TABLES).await?;
    client.execute(ROWS, &[&jobs]).await?;
    client.execute(QUEUE, &[]).await?;
    client.batch_execute("vacuum analyze y_files").await?;
    client.batch_execute("vacuum analyze y_jobs").await?;
    // As the dispatcher has it.
    client.batch_execute("set enable_seqscan = off; set jit = off").await?;
    let (start, end) = (client.prepare(START).await?, client.prepare(END).await?);
    let before = Instant::now();
    loop {
        let ids: Vec<i64> = client.query(&start, &[]).await?.iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            break;
        }
        client.execute(&end, &[&ids]).await?;
    }
    let rate = jobs as f64 / before.elapsed().as_secs_f64();
    client.batch_execute("reset enable_seqscan; reset jit").await?;
    Ok(rate)
}
