-- An expression of a template as errors show it: as far as its }}, and at most 80 characters.
create or replace function rowcall_internal.template_shown(source text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select left(case when strpos(source, '}}') > 0 then left(source, strpos(source, '}}') + 1) else source end, 80)
$$;
