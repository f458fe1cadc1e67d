-- Of these attempts, those that another dispatcher follows by now, and those that are over, also if this dispatcher has
-- ended them itself a moment ago. "is_orphan": the one that has it is gone ($3: seconds of silence).
select a.id, a.dispatcher_id <> $2 as elsewhere, a.ended_at is not null as over,
    not exists (select from rowcall_internal.dispatchers d
                where d.id = a.dispatcher_id and d.stopped_at is null and d.seen_at > now() - make_interval(secs => $3)) as is_orphan
from rowcall_internal.attempts a where a.id = any ($1) and (a.ended_at is not null or a.dispatcher_id <> $2)
