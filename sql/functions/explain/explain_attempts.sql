-- The last five ended attempts of a job, newest first, one line each, for rowcall.explain().
create or replace function rowcall_internal.explain_attempts(job bigint) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with ended as (
        select a.*, count(*) over () as all_of_them, row_number() over (order by a.number desc, a.id desc) as place
        from rowcall_internal.ended_attempts a where a.job_id = explain_attempts.job
    )
    select case when place <= 5 then format('    attempt %s on %s%s, %s for %s: %s%s', number, runner,
            coalesce(' (' || external_id || ')', ''),
            date_trunc('second', coalesce(begun_at, started_at, launched_at, created_at)),
            date_trunc('second', ended_at - coalesce(begun_at, started_at, launched_at, created_at)), 
            -- The word alone says no more than the words beside it where an exit code or a report decided.
            outcome || coalesce(' (' || nullif(nullif(cause, 'exit_code'), 'reported') || ')', ''),
            coalesce(', ' || coalesce(message, reason, 'exit code ' || exit_code), ''))
        else format('    and %s earlier attempts', all_of_them - 5) end
    from ended where place <= 6
    order by place
$$;
