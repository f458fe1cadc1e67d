-- Notes that their runner had taken these attempts, which are over: only what is not known of them yet. One that another session notes just now
-- is left to it.
with free as materialized (
    select id from rowcall_internal.ended_attempts where id = any ($1) order by id for update skip locked
)
update rowcall_internal.ended_attempts e
set launched_at = coalesce(e.launched_at, least(now(), e.ended_at)), external_id = coalesce(e.external_id, taken.external_id),
    begun_at = case when taken.begun then coalesce(e.begun_at, least(now(), e.ended_at)) else e.begun_at end,
    log_group = coalesce(taken.log_group, e.log_group), log_stream = coalesce(taken.log_stream, e.log_stream)
from rows from (unnest($1::bigint[], $2::text[], $3::boolean[], $4::text[], $5::text[]), generate_series(1, cardinality($1)))
    as taken(id, external_id, begun, log_group, log_stream, place)
where e.id = any ($1) and e.id = taken.id and e.id in (select id from free)
