-- Blocks jobs that no dispatcher would ever claim: their task is gone, no running dispatcher offers its runner, or all
-- that do have refused them. $1 runs,
-- since it asks, whatever was heard of it last.
with unowned as (
    select j.id, case when p.name is null then format('no parameters row named %s', j.task)
        when j.refused_by is not null then j.reason
        else format('no running dispatcher offers the runner %s', p.runner) end as reason
    from rowcall_internal.jobs j left join rowcall.parameters p on p.name = j.task
    where j.state in ('pending', 'waiting')
      and (p.name is null or not exists (
          select from rowcall_internal.dispatchers d
          where p.runner = any (d.runners) and (d.id = $1 or d.id in (select id from rowcall_internal.running_dispatchers))
            and (j.refused_by is null or format('%s/%s', d.id, p.version) <> all (j.refused_by))))
    limit 10000
    for update of j skip locked
)
update rowcall_internal.jobs j set state = 'blocked', blocked_at = now(), reason = u.reason from unowned u where j.id = u.id
