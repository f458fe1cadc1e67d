-- Tells jobs in which status a sibling has put their row.
update rowcall.jobs j set left_in = l.status
from unnest($1::bigint[], $2::text[]) as l(id, status)
where j.id = l.id and j.left_in is distinct from l.status
