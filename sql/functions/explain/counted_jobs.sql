-- A number of jobs in words: "1 job", "12 jobs", "more than 1000 jobs".
create or replace function rowcall_internal.counted_jobs(jobs bigint) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when jobs > 1000 then 'more than 1000 jobs' when jobs = 1 then '1 job' else jobs || ' jobs' end
$$;
