-- A text with values in place of its :names. Each name is looked at once, so that a value may itself look like one: table and
-- column names are a user's.
create or replace function rowcall_internal.fill_in(template text, given jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select string_agg(coalesce(case when m.piece[1] ~ '^:[a-z]' then given ->> substr(m.piece[1], 2) end, m.piece[1]), '' order by m.place)
    from regexp_matches(template, ':[a-z_]+|:+|[^:]+', 'g') with ordinality as m(piece, place)
$$;
