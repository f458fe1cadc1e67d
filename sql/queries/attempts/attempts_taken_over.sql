-- Of these attempts ($1, with their launch keys $3), those that another dispatcher follows by now, and those that are over,
-- also if this dispatcher has ended them itself a moment ago. "is_unknown": the database knows nothing of it, because a
-- failover lost its last commits or it was restored; another may have the same number by now. "is_orphan": the one that has it is gone.
with mine as (
    select * from rows from (unnest($1::bigint[], $3::text[]), generate_series(1, cardinality($1))) as mine(id, launch_key, place)
), not_open as (
    select mine.* from mine
    where not exists (select from rowcall_internal.attempts a where a.id = any ($1) and a.id = mine.id and a.launch_key = mine.launch_key)
), ended as (
    select e.id, e.dispatcher_id from rowcall_internal.ended_attempts e join not_open using (id, launch_key)
    where e.id = any (array(select id from not_open))
)
select a.id, false as is_unknown, true as elsewhere, false as over,
    a.dispatcher_id not in (select id from rowcall_internal.running_dispatchers) as is_orphan
from mine join rowcall_internal.attempts a using (id, launch_key)
where a.id = any ($1) and a.dispatcher_id <> $2
union all
select not_open.id, e.id is null, e.dispatcher_id is distinct from $2, true,
    e.dispatcher_id not in (select id from rowcall_internal.running_dispatchers) is not false
from not_open left join ended e using (id)
