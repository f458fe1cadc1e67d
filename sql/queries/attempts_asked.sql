-- Before a runner is called that must not be called twice: whether somebody has done so. No row: it is over.
with before as (
    select id, asked from rowcall.attempts where id = $1 and ended is null for update
)
update rowcall.attempts a set asked = coalesce(a.asked, now())
from before where a.id = before.id returning before.asked is not null
