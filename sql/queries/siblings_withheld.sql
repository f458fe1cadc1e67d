-- Tells jobs how a sibling ended, for the last of them to write; a failure is not forgotten for a success.
update rowcall.jobs j set withheld = w.how
from unnest($1::bigint[], $2::jsonb[]) as w(id, how)
where j.id = w.id and (w.how->>'outcome' <> 'SUCCEEDED' or coalesce(j.withheld->>'outcome', 'SUCCEEDED') = 'SUCCEEDED')
