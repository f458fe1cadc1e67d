-- Notes of locked jobs that the settings of this dispatcher ($3) forbid them, each with the reason. It claims them no more;
-- another one that runs and offers the runner may. A job that all of them have refused is blocked.
update rowcall_internal.jobs j
set refused_by = seen.refused_by, reason = r.reason,
    state = case when seen.is_everyones then 'blocked' else 'pending' end,
    blocked_at = case when seen.is_everyones then now() end
from rows from (unnest($1::bigint[], $2::text[]), generate_series(1, cardinality($1))) as r(id, reason, place)
join rowcall_internal.jobs old on old.id = r.id
left join rowcall.parameters p on p.name = old.task
cross join lateral (select array_append(array_remove(old.refused_by, format('%s/%s', $3::bigint, p.version)),
    format('%s/%s', $3::bigint, p.version)) as refused_by) mine
cross join lateral (select mine.refused_by, not exists (
    select from rowcall_internal.running_dispatchers d
    where p.runner = any (d.runners) and format('%s/%s', d.id, p.version) <> all (mine.refused_by)) as is_everyones) seen
where j.id = any ($1) and old.id = any ($1) and j.id = r.id and j.state = 'pending'
returning j.state = 'blocked' as is_blocked
