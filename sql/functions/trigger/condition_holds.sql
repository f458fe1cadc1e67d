-- Whether a parameters condition lets a row through. A filter ($ ? (@.status == "x")) holds when it finds
-- something, a predicate ($.attributes.size > 10) when it is true; null and errors within the path are "no".
-- The _tz form, because the plain one raises where a time with a zone meets one without.
create or replace function rowcall_internal.condition_holds(row_data jsonb, condition jsonpath) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
    select coalesce(
        pg_catalog.jsonb_path_query_first_tz(row_data, condition, '{}', true) not in ('false'::jsonb, 'null'::jsonb),
        false)
$$;

-- The same of a row itself, for triggers: what it says must not depend on the settings of the session that writes it.
create or replace function rowcall_internal.condition_holds(row_itself anyelement, condition jsonpath) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set bytea_output = 'hex'
set extra_float_digits = 1 set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    row_data constant jsonb := to_jsonb(row_itself);
begin
    -- Code of the table's owner may have changed it, and would choose what the caller's next names mean.
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
    return rowcall_internal.condition_holds(row_data, condition);
end
$$;
