-- The jobs of a row, open and settled, the newest first. It finds them by an index, however many jobs there are.
create or replace function rowcall.jobs_of(source regclass, key text)
returns table (job_id bigint, task text, state text, outcome text, cause text, on_status text, attempt_count int, reason text,
    created_at timestamptz, settled_at timestamptz)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted constant jsonb := rowcall.row_key(source, key);
begin
    return query
    select j.id, j.task, j.state::text, null::text, null::text, j.on_status, j.attempt_count, j.reason, j.created_at, null::timestamptz
    from rowcall_internal.jobs j where j.source_table = source and j.short_key = rowcall.short_key(wanted)
    union all
    select h.job_id, h.task, 'settled', h.outcome::text, h.cause::text, h.on_status, h.attempt_count, h.message, h.created_at, h.settled_at
    from rowcall_internal.history h where h.source_table = source and h.row_key = wanted
    order by 9 desc, 1 desc;
end
$$;

-- The same for a key of any type.
create or replace function rowcall.jobs_of(source regclass, key anyelement)
returns table (job_id bigint, task text, state text, outcome text, cause text, on_status text, attempt_count int, reason text,
    created_at timestamptz, settled_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select * from rowcall.jobs_of(source, rowcall.key_text(key))
$$;
