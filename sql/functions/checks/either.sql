-- Words as a sentence names them: "a, b or c".
create or replace function rowcall_internal.either(words text[]) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case when cardinality(words) < 2 then words[1]
        else array_to_string(words[:cardinality(words) - 1], ', ') || ' or ' || words[cardinality(words)] end
$$;
