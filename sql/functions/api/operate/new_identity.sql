-- Gives a copy of a database (a restore beside the original, a staging copy) an identity of its own, so that it stops,
-- adopts and reports to nothing that the original runs. Open attempts end as LOST, and all open jobs are dropped. Call
-- it before any dispatcher starts on the copy. Returns how many jobs were dropped.
create or replace function rowcall.new_identity() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    dropped bigint;
begin
    if exists (select from rowcall_internal.running_dispatchers) then
        raise exception 'rowcall.new_identity: a dispatcher has been at work here a moment ago'
            using errcode = 'RC006',
                  hint = 'This is for copies, before a dispatcher starts. In a fresh copy of a database at work, wait three minutes.';
    end if;
    update rowcall_internal.instance set id = gen_random_uuid(), secret = default, home = null;
    perform rowcall_internal.lose_attempts(array(select id from rowcall_internal.attempts),
        'belongs to the database that this one is a copy of');
    delete from rowcall_internal.jobs;
    get diagnostics dropped = row_count;
    return dropped;
end
$$;
