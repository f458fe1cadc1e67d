-- A key of any type as the string that rowcall.row_key() reads: 42, abc, {"a": 1} (of a jsonb).
create or replace function rowcall.key_text(key anyelement) returns text
language sql stable
set search_path = pg_catalog, pg_temp
-- No digit of the caller's is lost.
set extra_float_digits = 1
as $$
    select to_jsonb(key) #>> '{}'
$$;
