-- Sets aside locked jobs that the settings of this dispatcher ($3) forbid, each with the reason. Another one that lives ($4:
-- seconds of silence until it does not) and offers the runner may start them, and so they wait for it; a job that all of
-- them have refused is blocked.
update rowcall_internal.jobs j
set refused_by = seen.refused_by, reason = r.reason, held_since = coalesce(j.held_since, now()),
    state = case when seen.is_everyones then 'blocked' else 'waiting' end,
    blocked_at = case when seen.is_everyones then now() end,
    due_at = case when seen.is_everyones then j.due_at else now() + make_interval(
        secs => greatest(0.5, least(coalesce(extract(epoch from now() - j.held_since)::float8, 0) / 2, 60))) end
from unnest($1::bigint[], $2::text[]) as r(id, reason)
join rowcall_internal.jobs old on old.id = r.id
left join rowcall.parameters p on p.name = old.task
cross join lateral (select array_append(array_remove(old.refused_by, format('%s/%s', $3::bigint, p.version)),
    format('%s/%s', $3::bigint, p.version)) as refused_by) mine
cross join lateral (select mine.refused_by, not exists (
    select from rowcall_internal.dispatchers d
    where p.runner = any (d.runners) and d.stopped_at is null and d.seen_at > now() - make_interval(secs => $4)
      and format('%s/%s', d.id, p.version) <> all (mine.refused_by)) as is_everyones) seen
where j.id = r.id and j.state = 'pending'
returning j.state = 'blocked' as is_blocked
