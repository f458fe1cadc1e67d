-- Takes over the open attempts of dispatchers that are gone, each by its own settings. If the runner is bound to its
-- machine, a dispatcher on the same machine takes them ($4, and $6 for each of these: where), or any dispatcher once that machine has been silent for long; or, where its dispatcher was
-- stopped in order, once they are over in any case. An attempt from another machine counts as launched: its first launch
-- cannot be found here, so its key must not be launched again. So does an attempt whose runner was called and cannot be
-- called twice: it may run, and is followed.
--
-- What a runner has that no running dispatcher offers any more is taken by any, to be ended ("is_unoffered").
--
-- After it was cut off itself ($7), a dispatcher that has only been silent is not taken for gone.
--
-- Besides, it returns this dispatcher's own attempts that it does not follow ($5): the answer to the statement that
-- gave them to it was lost. And those that a session holds, most likely their own program's ("is_held"): they stay with
-- the dispatcher that is gone until they are free, and are followed meanwhile.
with gone as (
    select id, runners, places, stopped_at is not null as was_stopped, l.lost_after,
        coalesce(stopped_at, seen_at) < now() - l.lost_after and not $7 as long_gone
    from rowcall_internal.dispatchers d
    cross join lateral (select least(greatest(d.lost_after, '0'), '1 year') as lost_after) l
    where id <> $1 and id not in (select id from rowcall_internal.running_dispatchers) and (stopped_at is not null or not $7)
      -- This one has said a moment ago that it lives. If it looks dead itself, the database's clock has stepped ahead since.
      and exists (select from rowcall_internal.running_dispatchers where id = $1)
    union all
    -- Whose row is gone, after a long sleep.
    select distinct a.dispatcher_id, null::text[], null::text[], false, interval '0', true
    from rowcall_internal.attempts a
    where a.dispatcher_id not in (select id from rowcall_internal.dispatchers) and not $7
), own as (
    select a.id from rowcall_internal.attempts a
    where a.dispatcher_id = $1 and a.created_at < now() - make_interval(secs => $2) and not $7
      and a.id not in (select unnest($5::bigint[]))
    limit 1000
    for update of a skip locked
), eligible as (
    select a.id, a as attempt, a.runner = any ($4) and not here.is_here as elsewhere, a.runner <> all ($3) and a.runner <> all ($4) as is_unoffered
    from rowcall_internal.attempts a join gone on gone.id = a.dispatcher_id
    cross join lateral (select coalesce(gone.places[array_position(gone.runners, a.runner::text)]
        = ($6::text[])[array_position($4::text[], a.runner::text)], false) as is_here) here
    cross join lateral (select least(greatest(a.timeout, '0'), '1 year') + least(greatest(a.launch_timeout, '0'), '1 year') as longest) l
    where case
        when a.runner = any ($3) then true
        when a.runner = any ($4) then here.is_here
            or gone.long_gone and (not gone.was_stopped or a.created_at < now() - l.longest - gone.lost_after)
        else gone.long_gone and not exists (
            select from rowcall_internal.running_dispatchers d where a.runner = any (d.runners)) end
), taken as (
    -- With a limit it is one look at an index for each, as in attempts_overdue.sql. Another may have taken it meanwhile.
    select e.id, e.elsewhere, e.is_unoffered from (select * from eligible order by id) e
    cross join lateral (
        select from rowcall_internal.attempts
        where id = e.id and dispatcher_id = (e.attempt).dispatcher_id limit 1 for update skip locked) a
    limit 1000
), all_taken as (
    select * from taken union all select id, false, false from own
), adopted as (
    update rowcall_internal.attempts a set dispatcher_id = $1, launched_at = coalesce(a.launched_at, a.asked_at)
    from all_taken taken where a.id = any (array(select id from all_taken)) and a.id = taken.id
    returning a.*, taken.elsewhere, taken.is_unoffered, false as is_held
), held as (
    select (e.attempt).*, e.elsewhere, e.is_unoffered, true as is_held
    from eligible e
    where e.id not in (select id from all_taken)
      and e.id not in (select unnest($5::bigint[]))
      -- Perhaps it is only that there are more than are taken at once.
      and (select count(*) from taken) < 1000
    order by e.id limit 1000
)
select r.id, r.job_id, r.task, r.number, r.runner, r.launch_key,
    t.terms || jsonb_build_object('launch', t.terms->'launch' || coalesce(r.rendered, '{}')) as request, r.external_id, r.is_unoffered, r.is_held,
    r.launched_at is not null or r.elsewhere as launched, r.begun_at is not null or r.started_at is not null as begun,
    extract(epoch from clock_timestamp())::float8 - extract(epoch from r.created_at)::float8 as age
from (select * from adopted union all select * from held) r left join rowcall_internal.terms t on t.id = r.terms_id
