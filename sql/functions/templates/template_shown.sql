-- How an error shows an expression of a template: as far as its }}, and no more of it than a line takes.
create or replace function rowcall_internal.template_shown(source text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select left(case when strpos(source, '}}') > 0 then left(source, strpos(source, '}}') + 1) else source end, 80)
$$;
