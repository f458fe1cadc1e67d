-- Ends open attempts of which nothing more will be heard. Returns how many.
create or replace function rowcall_internal.lose_attempts(ids bigint[], reason text) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    select rowcall_internal.end_attempts(ids, array_fill('LOST'::text, array[n]), array_fill(null::int, array[n]), array_fill(reason, array[n]),
        array_fill(null::text, array[n]), array_fill(null::jsonb, array[n]), array_fill(null::text, array[n]), array_fill('lost'::text, array[n]),
        array_fill(0::float8, array[n]), array_fill(null::float8, array[n]), array_fill(null::boolean, array[n]),
        array_fill(null::text, array[n]), array_fill(null::text, array[n]))
    from cardinality(ids) n
$$;
