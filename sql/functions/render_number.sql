-- A number as the daemon prints it, or null where only the daemon can tell: it keeps integers of 64 bits, and makes
-- doubles of all others. Up to 15 digits these print as they were written, but for the zeros at the end.
create or replace function rowcall.render_number(value jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when value::text ~ '^-?[0-9]+$' then
            case when value::numeric between -9223372036854775808 and 18446744073709551615 then value::text end
        when length(ltrim(translate(value::text, '-.', ''), '0')) <= 15 and scale(value::numeric) <= 22 then
            trim_scale(value::numeric)::text
                || case when value::numeric = trunc(value::numeric) then '.0' else '' end
    end
$$;
