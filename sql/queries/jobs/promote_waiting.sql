-- Makes jobs pending whose waiting is over. Returns how many, and the seconds until the next one; and whether a trigger has noted
-- rows whose jobs it could not make.
with due as (
    select id from rowcall_internal.jobs where state = 'waiting' and due_at <= now() order by due_at limit 1000
    for update skip locked
), promoted as (
    update rowcall_internal.jobs j set state = 'pending' where j.id = any (array(select id from due)) returning 1
)
select (select count(*) from promoted) as promoted,
    (select extract(epoch from min(due_at))::float8 - extract(epoch from now())::float8 from rowcall_internal.jobs
     where state = 'waiting' and due_at > now()) as next_in,
    exists (select from rowcall_internal.missed_rows) as has_missed_rows
