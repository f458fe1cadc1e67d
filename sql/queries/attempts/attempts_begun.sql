-- Notes that the programs of these attempts were seen to run. Returns the attempts noted; one that another session
-- holds is noted at a later look.
with free as (
    select id from rowcall_internal.attempts where id = any ($1) for update skip locked
)
update rowcall_internal.attempts a set begun_at = coalesce(a.begun_at, now())
where a.id = any (array(select id from free)) returning a.id
