-- Looks at the queue where little is expected, and locks up to $3 jobs of tasks that are not counted, in no order among the
-- tasks: with fewer jobs than that there is nothing to choose. claim.sql has the order, and takes five times as long to say
-- that there is nothing. Their rows come along. $2: as $9 there. $4: the tasks that are counted; one that has jobs gets a line (claim_few_counted.sql). $5, $6: as $11
-- and $12 there.
with picked as (
    select j.job
    from unnest($1::text[], $2::text[], $5::float8[], $6::bigint[]) as w(task, refused, due, id)
    cross join lateral (
        select j as job from rowcall_internal.jobs j
        where state = 'pending' and concurrency_key is null and task = w.task
          and (due_at, id) > (to_timestamp(w.due), w.id) and (refused_by is null or w.refused <> all (refused_by))
        order by due_at, id limit $3
        for update skip locked
    ) j
    where not exists (select from rowcall_internal.control where paused_at is not null)
    limit $3
)
