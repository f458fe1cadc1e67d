-- Whether a value has the form that rowcall.settings_keys() gives its key, or rowcall.parameters_columns() its column.
-- "minimum" and "maximum" bound a number ("integer"; "units" may also be in quotes) or the seconds of an interval,
-- which must be more than the minimum. "minimum" counts the characters of a string ("text", "word"), "maximum" the
-- items of an array ("texts", "words", "items") or the levels of an object. "pattern" is a regular expression for the
-- string, or for each string of an array; of a "word" or "words" it lists the words.
create or replace function rowcall_internal.setting_fits(form text, minimum bigint, maximum bigint, pattern text, value jsonb)
returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    kind text := jsonb_typeof(value);
    plain text := value #>> '{}';
begin
    case form
        when 'boolean' then
            return kind = 'boolean';
        when 'object', 'tags' then
            -- The daemon reads no deeper than 128 levels.
            return kind = 'object' and (form = 'tags' or maximum is null
                or not jsonb_path_exists(value, format('strict $.**{%s}', maximum)::jsonpath, silent => true));
        when 'interval' then
            -- Compared as intervals: the constraints of the table count a month as 30 days, too.
            return kind = 'string' and plain::interval > make_interval(secs => minimum)
                and plain::interval <= make_interval(secs => maximum);
        when 'text', 'word' then
            return kind = 'string' and length(plain) >= coalesce(minimum, 0) and plain ~ coalesce(pattern, '');
        -- A number, or one in quotes: AWS writes the size of a task as text.
        when 'integer', 'units' then
            return (kind = 'number' or kind = 'string' and form = 'units')
                and case when plain ~ '^-?[0-9]{1,18}$' then plain::bigint between minimum and maximum else false end;
        when 'texts', 'words', 'items' then
            return kind = 'array' and jsonb_array_length(value) <= coalesce(maximum, 2147483647) and not exists (
                select from jsonb_array_elements(case when kind = 'array' then value else '[]' end) item
                where case form
                    when 'items' then jsonb_typeof(item) <> 'object'
                    else jsonb_typeof(item) <> 'string' or item #>> '{}' !~ coalesce(pattern, '')
                end);
    end case;
end
$$;
