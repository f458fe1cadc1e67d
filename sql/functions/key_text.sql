-- A key of any type as the text by which rowcall.row_key() knows it: 42, abc, {1,2} of an array.
create or replace function rowcall.key_text(key anyelement) returns text
language sql stable
set search_path = pg_catalog, pg_temp
-- As rowcall.row_key() reads what has no plain value in JSON.
set timezone = 'UTC' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set datestyle = 'ISO, YMD'
as $$
    select case when t.typtype in ('c', 'r', 'm') or t.typcategory = 'A' then key::text else to_jsonb(key) #>> '{}' end
    from pg_type t where t.oid = pg_typeof(key)
$$;
