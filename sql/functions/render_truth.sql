-- Whether a value counts as true in a template: not null, false, 0, nor anything empty.
create or replace function rowcall.render_truth(value jsonb) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select value not in ('null', 'false', '0', '""', '[]', '{}')
$$;
