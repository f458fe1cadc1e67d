-- Of these launch keys ($1; $2: the ids in them), those whose attempt is over. A key that is not here at all may belong to another
-- copy of this database, and must be left alone.
select launch_key from rowcall_internal.ended_attempts where id = any ($2) and launch_key = any ($1)
