-- Of these attempts, those that another dispatcher follows by now, and those that are over, also if this dispatcher has
-- ended them itself a moment ago. "is_orphan": the one that has it is gone.
select a.id, a.dispatcher_id <> $2 as elsewhere, a.ended_at is not null as over,
    a.dispatcher_id not in (select id from rowcall_internal.running_dispatchers) as is_orphan
from rowcall_internal.attempts a where a.id = any ($1) and (a.ended_at is not null or a.dispatcher_id <> $2)
