-- The form of a row key in the index of rowcall.jobs (jobs.short_key): the key itself, or its SHA-256 if it has more
-- than 500 bytes. No two keys have the same short key: a key is an object and a hash is a string, and two keys with one
-- hash cannot be made.
create or replace function rowcall.short_key(row_key jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when octet_length(row_key::text) <= 500 then row_key
        else ('"' || encode(sha256(decode(replace(row_key::text, '\', '\\'), 'escape')), 'hex') || '"')::jsonb end
$$;
