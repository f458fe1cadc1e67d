-- Takes over the open attempts of dispatchers that are gone. If the runner is bound to its machine, a dispatcher on the
-- same machine takes them, or any dispatcher once that machine has been silent for long. An attempt from another
-- machine counts as launched: its first launch cannot be found here, so its key must not be launched again. So does an
-- attempt whose runner was called and cannot be called twice: it may run, and is followed.
--
-- Besides, it returns this dispatcher's own attempts that it does not follow ($7): the answer to the statement that
-- gave them to it was lost.
with gone as (
    select id, host, stopped_at is null and seen_at < now() - make_interval(secs => $4) as long_gone
    from rowcall_internal.dispatchers
    where id <> $1 and (stopped_at is not null or seen_at < now() - make_interval(secs => $3))
), own as (
    select a.id from rowcall_internal.attempts a
    where a.dispatcher_id = $1 and a.ended_at is null and a.created_at < now() - make_interval(secs => $3)
      and not exists (select from unnest($7::bigint[]) as followed(id) where followed.id = a.id)
    limit 1000
    for update of a skip locked
), taken as (
    select a.id, a.runner = any ($6) and gone.host <> $2 as elsewhere
    from rowcall_internal.attempts a join gone on gone.id = a.dispatcher_id
    where a.ended_at is null
      and (a.runner = any ($5) or (a.runner = any ($6) and (gone.host = $2 or gone.long_gone)))
    order by a.id limit 1000
    for update of a skip locked
), all_taken as (
    select * from taken union all select id, false from own
)
update rowcall_internal.attempts a set dispatcher_id = $1, launched_at = coalesce(a.launched_at, a.asked_at) from all_taken taken where a.id = taken.id
returning a.id, a.job_id, a.task, a.number, a.runner, a.launch_key, a.request, a.external_id,
    a.launched_at is not null or taken.elsewhere as launched, a.begun_at is not null or a.started_at is not null as begun,
    extract(epoch from clock_timestamp())::float8 - extract(epoch from a.created_at)::float8 as age
