-- The form of a row key in the index of rowcall.jobs (jobs.short_key). Of a key of one integer: its digits, behind a letter that says how many
-- characters they are (c123), so that the index grows at its end where the keys do. Of a key of one UUID: u, and its bytes as 22 characters
-- of an alphabet that sorts as they do. Of any other key its text, or its SHA-256 if that has more than 500 bytes. No two keys have the
-- same short key: a letter u says another length than an integer can have, the text of a key begins with a brace, a hash has 64 characters,
-- and two keys with one hash cannot be made. Equal keys have one text, as rowcall.row_key() has it.
create or replace function rowcall.short_key(row_key jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when value ~ '^-?[0-9]' then chr(96 + length(value)) || value
        -- As short_key_sql() has it.
        when value is not null then 'u' || translate(encode(decode(translate(value, '"-', ''), 'hex'), 'base64'),
            'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=', '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz')
        when octet_length(row_key::text) <= 500 then row_key::text
        else encode(sha256(decode(replace(row_key::text, '\', '\\'), 'escape')), 'hex') end
    from substring(row_key::text from '^\{"(?:[^"\\]|\\.)*": (-?[0-9]{1,19}|"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")\}$')
        as value
$$;
