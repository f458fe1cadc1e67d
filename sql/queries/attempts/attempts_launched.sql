-- Notes that their runner has taken these attempts. Returns those that another session holds just now (a task in its
-- own transaction), to be noted later; those that are over ("is_over"), see attempts_launched_late.sql; and those whose row keeps the
-- runner's name of them.
with taken as (
    select * from rows from (unnest($1::bigint[], $2::text[], $3::boolean[], $4::text[], $5::text[]), generate_series(1, cardinality($1)))
        as l(id, external_id, begun, log_group, log_stream, place)
), free as (
    select a.id from rowcall_internal.attempts a join taken on taken.id = a.id
    where a.id = any ($1)
    for update of a skip locked
), written as (
    update rowcall_internal.attempts a
    set launched_at = coalesce(a.launched_at, now()), external_id = taken.external_id,
        begun_at = case when taken.begun then coalesce(a.begun_at, now()) else a.begun_at end,
        log_group = coalesce(taken.log_group, a.log_group), log_stream = coalesce(taken.log_stream, a.log_stream)
    from taken join free using (id)
    where a.id = any ($1) and a.id = taken.id
    returning a.id
)
select taken.id, a.id is null as is_over, a.id is not null and taken.id not in (select id from written) as is_held,
    a.source_table::oid as source_table, a.row_key, t.terms->'write_back'->'expected' as expected, a.task, taken.external_id
from taken left join rowcall_internal.attempts a on a.id = any ($1) and a.id = taken.id left join rowcall_internal.terms t on t.id = a.terms_id
where taken.id not in (select id from written)
    -- Its row gets the name.
    or a.source_table in (select relation from rowcall_internal.source_tables where external_id_column <> '')
