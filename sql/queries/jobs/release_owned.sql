-- Blocked jobs whose parameters changed after a change could not reach them (somebody held the job).
select rowcall.release_blocked(array(
    select distinct j.task from rowcall_internal.jobs j join rowcall.parameters p on p.name = j.task
    where j.state = 'blocked' and p.updated_at > j.blocked_at))
