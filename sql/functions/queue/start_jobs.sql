-- Starts the jobs of a claimed batch: each gets an attempt with its frozen request (keep_terms() has what it shares with others), before any runner is called. moved_to:
-- the status to which a user was known to have moved the row; a later one stays. keys: the concurrency
-- keys of jobs that have had none until now. Returns how many.
create or replace function rowcall_internal.start_jobs(
    dispatcher bigint, ids bigint[], jobs bigint[], tasks text[], source_tables oid[], row_keys jsonb[], numbers int[], runners text[], launch_keys text[],
    token_hashes bytea[], terms_ids text[], rendered jsonb[], timeouts float8[], launch_timeouts float8[], heartbeat_timeouts float8[], moved_to text[],
    keys text[]) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    started bigint;
begin
    -- A server that crashes must not forget what a runner is about to be told.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    -- A dispatcher remembers which it has written down, and a server that has lost its latest commits may not know them.
    if exists (select from (select distinct unnest(terms_ids)::uuid) wanted(id)
               where not exists (select from rowcall_internal.terms t where t.id = wanted.id)) then
        raise exception 'the terms of a request are gone' using errcode = 'RC016';
    end if;
    with started as (
        select * from rows from (
                unnest(ids, jobs, tasks, source_tables, row_keys, numbers, runners, launch_keys, token_hashes, terms_ids, start_jobs.rendered,
                    timeouts, launch_timeouts, heartbeat_timeouts, start_jobs.moved_to, start_jobs.keys),
                generate_series(1, cardinality(ids)))
            as a(id, job_id, task, source_table, row_key, number, runner, launch_key, token_hash, terms_id, rendered, timeout,
                 launch_timeout, heartbeat_timeout, moved_to, key, place)
    ), running as (
        update rowcall_internal.jobs j
        set state = 'running', attempt_id = a.id, attempt_count = a.number, moved_to = nullif(j.moved_to, a.moved_to),
            moved_at = case when j.moved_to is distinct from a.moved_to then j.moved_at end,
            moved_by = case when j.moved_to is distinct from a.moved_to then j.moved_by end, reason = null,
            held_since = null, refused_by = null, left_as = null, concurrency_key = coalesce(a.key, j.concurrency_key)
        from started a where j.id = any (start_jobs.jobs) and j.id = a.job_id
    )
    insert into rowcall_internal.attempts (id, job_id, task, source_table, row_key, number, runner, launch_key, token_hash,
        terms_id, rendered, timeout, launch_timeout, heartbeat_timeout, dispatcher_id, created_at)
    overriding system value
    select a.id, a.job_id, a.task, a.source_table::regclass, a.row_key, a.number, a.runner, a.launch_key, a.token_hash,
        a.terms_id::uuid, a.rendered, make_interval(secs => a.timeout), make_interval(secs => a.launch_timeout),
        make_interval(secs => a.heartbeat_timeout), dispatcher,
        -- After its row was marked: what a user did to the row before is older.
        clock_timestamp()
    from started a;
    get diagnostics started = row_count;
    return started;
end
$$;
