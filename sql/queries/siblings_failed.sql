-- Tells jobs how a sibling failed, for the last of them to write.
update rowcall.jobs j set failed_with = f.how
from unnest($1::bigint[], $2::jsonb[]) as f(id, how)
where j.id = f.id
