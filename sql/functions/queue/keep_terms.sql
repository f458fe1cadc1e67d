-- The ids of these terms of requests, in their order; those that are new are written down.
create or replace function rowcall_internal.keep_terms(terms jsonb[]) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- In one order, so that two dispatchers which write the same wait for each other in one.
    insert into rowcall_internal.terms (id, terms)
    select md5(w.terms::text)::uuid as id, w.terms from unnest(keep_terms.terms) w(terms) order by 1
    on conflict do nothing;
    return array(select (md5(w.terms::text)::uuid)::text from unnest(keep_terms.terms) with ordinality w(terms, place) order by w.place);
end
$$;
