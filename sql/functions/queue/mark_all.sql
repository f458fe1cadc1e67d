-- Gives rows of a source table the statuses of the attempts that are about to start, all of them or none: an error says that one of
-- them is not as it was read, or cannot be written now. Returns how many. What write_back() does besides, row by row after an error, is not done here.
create or replace function rowcall_internal.mark_all(
    source regclass, keys jsonb[], found_in text[], statuses text[], versions text[], tasks text[], channels text[], back boolean) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    entry rowcall_internal.source_tables;
    own_lock_timeout constant text := current_setting('lock_timeout');
    marked bigint;
begin
    if cardinality(keys) = 0 then
        return 0;
    end if;
    select * into entry from rowcall_internal.source_tables where relation = source;
    if entry.written_as is distinct from source::text then
        raise exception '% has no functions of its own, or another name', source using errcode = 'RC015';
    end if;
    -- As write_back() has it.
    set constraints all immediate;
    perform set_config('rowcall.writing', concat_ws(' ', case when back then 'back' else 'on' end, rowcall_internal.writing_proof()), true),
        set_config('lock_timeout', rowcall_internal.shorter_timeout(own_lock_timeout, '100ms'), true),
        set_config('search_path', rowcall_internal.path_of_users(), true);
    execute format('select rowcall_internal.mark_all_%s($1, $2, $3, $4)', entry.id) into marked using keys, found_in, statuses, versions;
    set constraints all immediate;
    perform set_config('search_path', 'pg_catalog, pg_temp', true), set_config('lock_timeout', own_lock_timeout, true),
        set_config('rowcall.writing', '', true);
    if marked <> cardinality(keys) then
        raise exception 'of % rows of % only % are as they were read', cardinality(keys), source, marked using errcode = 'RC015';
    end if;
    perform rowcall_internal.announce(channels[i], tasks[i], source, keys[i], statuses[i])
    from generate_subscripts(channels, 1) i where channels[i] is not null;
    return marked;
end
$$;
