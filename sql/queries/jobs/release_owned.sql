-- Releases blocked jobs whose parameters were edited later, by an edit that missed them because another session held
-- them; and every blocked job now and then, since the edit may have been committed long after it was made. A job that still
-- cannot run is blocked again.
with edited as (
    select rowcall.release_blocked(array(
        select distinct j.task from rowcall_internal.jobs j join rowcall.parameters p on p.name = j.task
        where j.state = 'blocked' and p.updated_at > j.blocked_at)) as released
), old as (
    select id from rowcall_internal.jobs
    where state = 'blocked' and blocked_at < now() - interval '10 minutes'
    order by blocked_at limit 1000
    for update skip locked
), again as (
    update rowcall_internal.jobs j set state = 'pending', refused_by = null, held_since = null, reason = null
    where j.id = any (array(select id from old)) returning 1
)
select (select released from edited) + (select count(*) from again)
