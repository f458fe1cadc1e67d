-- The ids of these terms of requests, in their order; those that are new are written down.
create or replace function rowcall_internal.keep_terms(terms jsonb[]) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    ids constant uuid[] := array(
        select encode(substring(sha256(convert_to(w.terms::text, 'UTF8')) from 1 for 16), 'hex')::uuid
        from unnest(keep_terms.terms) with ordinality w(terms, place) order by w.place);
begin
    -- In one order, so that two dispatchers which write the same wait for each other in one.
    insert into rowcall_internal.terms (id, terms) select * from unnest(ids, keep_terms.terms) order by 1 on conflict do nothing;
    return ids::text[];
end
$$;
