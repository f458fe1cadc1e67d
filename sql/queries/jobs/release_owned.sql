-- Releases blocked jobs whose parameters were edited later, by an edit that missed them because another session held
-- them.
select rowcall.release_blocked(array(
    select distinct j.task from rowcall_internal.jobs j join rowcall.parameters p on p.name = j.task
    where j.state = 'blocked' and p.updated_at > j.blocked_at))
