-- Of these attempts ($1, with their launch keys $3), those that another dispatcher follows by now, and those that are over,
-- also if this dispatcher has ended them itself a moment ago. "is_unknown": the database knows nothing of it, because a
-- failover lost its last commits or it was restored; another may have the same number by now. "is_orphan": the one that has it is gone.
select mine.id, a.id is null as is_unknown, a.dispatcher_id is distinct from $2 as elsewhere, a.id is null or a.ended_at is not null as over,
    a.dispatcher_id not in (select id from rowcall_internal.running_dispatchers) is not false as is_orphan
from unnest($1::bigint[], $3::text[]) as mine(id, launch_key)
left join rowcall_internal.attempts a on a.id = mine.id and a.launch_key = mine.launch_key
where a.id is null or a.ended_at is not null or a.dispatcher_id <> $2
