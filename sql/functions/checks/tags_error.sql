-- The first problem that AWS or Rowcall would have with these tags, or null. Characters beyond ASCII are not checked:
-- AWS takes some of them and refuses others.
create or replace function rowcall_internal.tags_error(tags jsonb, maximum bigint) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select format('settings.tags must be %s at most, beside those of Rowcall', maximum)
         from jsonb_object_keys(tags) having count(*) > maximum),
        (select wrong from jsonb_each(tags) t cross join lateral (select case
            when jsonb_typeof(t.value) <> 'string' then
                format('settings.tags.%s must be a string, and is %s', t.key, t.value)
            when length(t.key) not between 1 and 128 or length(t.value #>> '{}') > 256 then
                format('settings.tags.%s: a key has 1 to 128 characters and a value up to 256', t.key)
            when t.key || (t.value #>> '{}') ~ '[\u0001-\u001f!-*,;<>?[-^`{-\u007f]' then
                format('settings.tags.%s: letters, digits, spaces and + - = . _ : / @ only', t.key)
            when lower(t.key) like 'aws:%' or t.key like 'rowcall:%' then
                format('settings.tags.%s: keys that begin with aws: or rowcall: are taken', t.key)
         end) e(wrong)
         where wrong is not null order by t.key limit 1))
$$;
