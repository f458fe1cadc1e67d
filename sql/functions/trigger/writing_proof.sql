-- What a write of ours shows to the triggers of its table within this transaction, and no one else can make up: any role may set
-- rowcall.writing for its session. PL/pgSQL keeps the plan; a function in SQL would be planned at each call.
create or replace function rowcall_internal.writing_proof() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select encode(sha256(secret || convert_to('writes of ' || pg_current_xact_id(), 'UTF8')), 'hex') from rowcall_internal.instance);
end
$$;
