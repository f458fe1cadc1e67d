-- Whether a parameters condition lets a row through. A filter ($ ? (@.status == "x")) holds when it finds
-- something, a predicate ($.attributes.size > 10) when it is true; null and errors within the path are "no".
-- The _tz form, because the plain one raises where a time with a zone meets one without.
create or replace function rowcall.condition_holds(row_data jsonb, condition jsonpath) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        pg_catalog.jsonb_path_query_first_tz(row_data, condition, '{}', true) not in ('false'::jsonb, 'null'::jsonb),
        false)
$$;
