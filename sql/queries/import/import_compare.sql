-- The rows that an import wants ($1 names, $2 the columns that it decides), each beside the row of that name in
-- rowcall.parameters: its values of these columns, and a fingerprint of both. The text of jsonb is canonical, so equal
-- columns have equal fingerprints.
select w.name, left(encode(sha256(convert_to(w.columns::text, 'UTF8')), 'hex'), 12) as wanted_mark,
    p.name is not null as stands, p.description, p.enabled, now.columns,
    left(encode(sha256(convert_to(now.columns::text, 'UTF8')), 'hex'), 12) as mark,
    (select format('%s, %s UTC', h.changed_by, to_char(h.changed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))
     from rowcall.parameters_history h where h.name = p.name and h.version = p.version) as changed
from unnest($1::text[], $2::jsonb[]) with ordinality as w(name, columns, place)
left join rowcall.parameters p on p.name = w.name
left join lateral (
    select jsonb_object_agg(e.key, e.value) as columns
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join jsonb_each(to_jsonb(p) || jsonb_build_object('source_table', format('%I.%I', n.nspname, c.relname))) e
    where c.oid = p.source_table and w.columns ? e.key
) now on true
order by w.place
