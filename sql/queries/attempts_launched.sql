-- Attempts that their runner has taken.
update rowcall.attempts a
set launched = coalesce(a.launched, now()), external_id = l.external_id
from unnest($1::bigint[], $2::text[]) as l(id, external_id)
where a.id = l.id and a.ended is null
