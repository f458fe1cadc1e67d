-- Takes over the open attempts of dispatchers that are gone. If the runner is bound to its machine, a dispatcher on the
-- same machine takes them, or any dispatcher once that machine has been silent for long; or, where its dispatcher was
-- stopped in order, once they are over in any case. An attempt from another machine counts as launched: its first launch
-- cannot be found here, so its key must not be launched again. So does an attempt whose runner was called and cannot be
-- called twice: it may run, and is followed.
--
-- What a runner has that no running dispatcher offers any more is taken by any, to be ended ("is_unoffered").
--
-- Besides, it returns this dispatcher's own attempts that it does not follow ($7): the answer to the statement that
-- gave them to it was lost. And those that a session holds, most likely their own program's ("is_held"): they stay with
-- whoever is gone until they are free, and are followed meanwhile.
with gone as (
    select id, host, stopped_at is not null as was_stopped,
        coalesce(stopped_at, seen_at) < now() - make_interval(secs => $4) as long_gone
    from rowcall_internal.dispatchers
    where id <> $1 and (stopped_at is not null or seen_at < now() - make_interval(secs => $3))
), own as (
    select a.id from rowcall_internal.attempts a
    where a.dispatcher_id = $1 and a.ended_at is null and a.created_at < now() - make_interval(secs => $3)
      and not exists (select from unnest($7::bigint[]) as followed(id) where followed.id = a.id)
    limit 1000
    for update of a skip locked
), eligible as (
    select a.id, a.runner = any ($6) and gone.host <> $2 as elsewhere, a.runner <> all ($5) and a.runner <> all ($6) as is_unoffered
    from rowcall_internal.attempts a join gone on gone.id = a.dispatcher_id
    cross join lateral (select least(greatest(a.timeout, '0'), '1 year') + least(greatest(a.launch_timeout, '0'), '1 year') as longest) l
    where a.ended_at is null and case
        when a.runner = any ($5) then true
        when a.runner = any ($6) then gone.host = $2
            or gone.long_gone and (not gone.was_stopped or a.created_at < now() - l.longest - make_interval(secs => $4))
        else gone.long_gone and not exists (
            select from rowcall_internal.dispatchers d
            where a.runner = any (d.runners) and d.stopped_at is null and d.seen_at > now() - make_interval(secs => $3)) end
), taken as (
    select e.* from rowcall_internal.attempts a join eligible e using (id)
    where a.ended_at is null
    order by a.id limit 1000
    for update of a skip locked
), all_taken as (
    select * from taken union all select id, false, false from own
), adopted as (
    update rowcall_internal.attempts a set dispatcher_id = $1, launched_at = coalesce(a.launched_at, a.asked_at)
    from all_taken taken where a.id = taken.id
    returning a.*, taken.elsewhere, taken.is_unoffered, false as is_held
), held as (
    select a.*, e.elsewhere, e.is_unoffered, true as is_held
    from eligible e join rowcall_internal.attempts a using (id)
    where a.id not in (select id from all_taken)
      and not exists (select from unnest($7::bigint[]) as followed(id) where followed.id = a.id)
      -- Perhaps it is only that there are more than are taken at once.
      and (select count(*) from taken) < 1000
    order by a.id limit 1000
)
select r.id, r.job_id, r.task, r.number, r.runner, r.launch_key, r.request, r.external_id, r.is_unoffered, r.is_held,
    r.launched_at is not null or r.elsewhere as launched, r.begun_at is not null or r.started_at is not null as begun,
    extract(epoch from clock_timestamp())::float8 - extract(epoch from r.created_at)::float8 as age
from (select * from adopted union all select * from held) r
