-- A row key as the index of rowcall.jobs has it (jobs.short_key): the key itself, or the SHA-256 of one that is too long for
-- an index. Two keys never have the same: a key is an object, a hash is a string, and nobody can make two keys of one hash.
create or replace function rowcall.short_key(row_key jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when octet_length(row_key::text) <= 500 then row_key
        else ('"' || encode(sha256(decode(replace(row_key::text, '\', '\\'), 'escape')), 'hex') || '"')::jsonb end
$$;
