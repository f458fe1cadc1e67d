-- Of these attempts, those that are over or no longer their job's.
select id from unnest($1::bigint[]) as mine(id)
where not exists (
    select from rowcall_internal.attempts a join rowcall_internal.jobs j on j.id = a.job_id and j.attempt_id = a.id
    where a.id = any ($1) and a.id = mine.id
        and j.id = any (array(select job_id from rowcall_internal.attempts where id = any ($1))))
