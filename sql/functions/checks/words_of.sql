-- The words that a domain of the schema rowcall allows, in their order, read from its constraint, so that no list of
-- them is typed twice.
create or replace function rowcall_internal.words_of(domain text) returns text[]
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select w.word[1]
        from pg_constraint c
        cross join regexp_matches(pg_get_constraintdef(c.oid), '''([A-Za-z_]+)''', 'g') with ordinality w(word, position)
        where c.contypid = format('rowcall.%I', domain)::regtype
        order by w.position)
$$;
