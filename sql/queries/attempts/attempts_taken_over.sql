-- Of these attempts, those that another dispatcher follows by now, and those that are over, also if this dispatcher has
-- ended them itself a moment ago.
select id, dispatcher_id <> $2 as elsewhere, ended_at is not null as over
from rowcall_internal.attempts where id = any ($1) and (ended_at is not null or dispatcher_id <> $2)
