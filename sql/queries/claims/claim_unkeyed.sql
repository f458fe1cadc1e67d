-- Locks jobs of a task ($1) whose concurrency keys are not rendered yet, after claim_lock.sql: at most $4, and no more than its cap ($2)
-- leaves room for. $3: as $9 in claim.sql. Which of them may start is found out when their keys are known (keys_in_use.sql).
with picked as (
    select j as job from rowcall_internal.jobs j
    where state = 'pending' and concurrency_key is null and task = $1 and (refused_by is null or $3 <> all (refused_by))
      and not exists (select from rowcall_internal.control where paused_at is not null)
    order by due_at, id
    limit case when $2::int is null then $4::bigint else
        greatest(least($4, $2 - (select count(*) from rowcall_internal.jobs r where r.state = 'running' and r.task = $1)), 0) end
    for update skip locked
)
