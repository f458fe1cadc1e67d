-- Of these launch keys, those whose attempt is over. A key that is not here at all may belong to another copy of this
-- database, and must be left alone.
select launch_key from rowcall_internal.attempts where launch_key = any ($1) and ended_at is not null
