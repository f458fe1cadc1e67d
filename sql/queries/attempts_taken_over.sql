-- Of these attempts, those that are over or followed by another dispatcher by now.
select id from rowcall.attempts where id = any ($1) and (ended is not null or dispatcher_id <> $2)
