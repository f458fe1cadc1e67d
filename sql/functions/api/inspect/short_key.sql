-- The form of a row key in the index of rowcall.jobs (jobs.short_key): the text of the key, or its SHA-256 if it has more
-- than 500 bytes. No two keys have the same short key: the text of a key begins with a brace, which a hash never has, and two keys
-- with one hash cannot be made. Equal keys have one text, as rowcall.row_key() has it.
create or replace function rowcall.short_key(row_key jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when octet_length(row_key::text) <= 500 then row_key::text
        else encode(sha256(decode(replace(row_key::text, '\', '\\'), 'escape')), 'hex') end
$$;
