-- Of these attempts, those that are over or no longer their job's.
select id from unnest($1::bigint[]) as mine(id)
-- With limits each is one look at an index.
where (
    select j.is_its from rowcall_internal.attempts a
    cross join lateral (select true as is_its from rowcall_internal.jobs where id = a.job_id and attempt_id = a.id limit 1) j
    where a.id = mine.id limit 1) is null
