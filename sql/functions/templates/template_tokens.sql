-- The tokens of an expression of a template, and the place where each ends: names, integers, strings in quotes, }}, and
-- any other character by itself, such as the quote of a string that is not closed.
create or replace function rowcall_internal.template_tokens(source text, out tokens text[], out ends int[])
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(t.token order by t.place), array_agg(t.ends::int order by t.place)
    from (
        select m.place, m.found[2] as token, sum(length(m.found[1]) + length(m.found[2])) over (order by m.place) as ends
        from regexp_matches(source,
            '([ \t\n\r]*)([A-Za-z_][A-Za-z0-9_]*|-?[0-9]+|''[^'']*''|"[^"]*"|\}\}|[^ \t\n\r])', 'g')
            with ordinality as m(found, place)
    ) t
$$;
