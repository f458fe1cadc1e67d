-- Blocks pending jobs that no dispatcher would ever claim: their task is gone, no running dispatcher offers its runner, or all
-- that do have refused them. $1 runs, since it asks, whatever was heard of it last. It steps from task to task, and from one refused job to
-- the next, and never reads the queue: that may be long. Pending jobs without and with a concurrency key have an index each.
with recursive unkeyed as (
    (select task from rowcall_internal.jobs where state = 'pending' and concurrency_key is null order by task limit 1)
    union all
    select (select j.task from rowcall_internal.jobs j
            where j.state = 'pending' and j.concurrency_key is null and j.task > before.task order by j.task limit 1)
    from unkeyed before where before.task is not null
), keyed as (
    (select task from rowcall_internal.jobs where state = 'pending' and concurrency_key is not null order by task limit 1)
    union all
    select (select j.task from rowcall_internal.jobs j
            where j.state = 'pending' and j.concurrency_key is not null and j.task > before.task order by j.task limit 1)
    from keyed before where before.task is not null
), running as materialized (
    select d.id, d.runners from rowcall_internal.dispatchers d
    where d.id = $1 or d.id in (select id from rowcall_internal.running_dispatchers)
), unowned as materialized (
    select t.task, case when p.name is null then format('no parameters row named %s', t.task)
        else format('no running dispatcher offers the runner %s', p.runner) end as reason
    from (select task from unkeyed union select task from keyed) t left join rowcall.parameters p on p.name = t.task
    where t.task is not null and (p.name is null or not exists (select from running r where p.runner = any (r.runners)))
), of_tasks as (
    select j.id, u.reason from unowned u cross join lateral (
        select id from rowcall_internal.jobs
        where task = u.task and state = 'pending' and concurrency_key is null
        order by due_at, id limit 10000 for update skip locked) j
    union all
    select j.id, u.reason from unowned u cross join lateral (
        select id from rowcall_internal.jobs
        where task = u.task and state = 'pending' and concurrency_key is not null
        order by due_at, id limit 10000 for update skip locked) j
), refused as (
    select j.id, j.reason from rowcall_internal.jobs j join rowcall.parameters p on p.name = j.task
    where j.refused_by is not null and j.state = 'pending' and not exists (
        select from running r where p.runner = any (r.runners) and format('%s/%s', r.id, p.version) <> all (j.refused_by))
    limit 10000
    for update of j skip locked
), found as materialized (
    select * from refused union all select * from of_tasks where id not in (select id from refused)
)
update rowcall_internal.jobs j set state = 'blocked', blocked_at = now(), reason = found.reason
from found where j.id = found.id and j.id = any (array(select id from found))
