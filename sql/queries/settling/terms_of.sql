-- Terms of requests by their ids.
select id::text as id, terms from rowcall_internal.terms where id = any ($1::text[]::uuid[])
