-- Writes status, result and message into rows of a source table, each only if its status is still one of those expected
-- (compare-and-set). The end of an observer is written whatever the status, under results.<task>. It does not wait for
-- a row that another session holds: that one is left, and reported as locked.
--
-- Per row: written | kept (the status is written, and the result column, which holds no object, is left) | moved (another
-- status by now) | changed (it is not the version that was read) | deleted | locked | later (the rows before it took all the
-- time there is) | failed (with the error). One row's error does not touch the others.
create or replace function rowcall_internal.write_back(
    source regclass,
    result_column text,      -- null: status only
    keys jsonb[],
    expected jsonb[],        -- per row, an array of statuses
    statuses text[],         -- null: leave the status
    merges jsonb[],          -- merged into the result column, in place of our older message; null: leave it
    immediate boolean default true, -- deferred constraints are checked here, where their error has one row's name
    tasks text[] default null,      -- per row, whose write it is; needed where there are channels, and for observers
    channels text[] default null,   -- per row, where its new status is announced once this has committed; null: nowhere
    back boolean default false,     -- a status put back for the same job, which therefore asks for nothing anew
    observers boolean default false, -- these are ends of observers
    versions text[] default null,   -- per row, the only version to write on, as source_rows() has it; null: any
    external_ids text[] default null -- per row, the runner's name of the attempt, for a table that keeps it; null: leave it
) returns table (place int, state text, error text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    entry rowcall_internal.source_tables;
    own_function text;
    statement text;
    i int;
    -- If another session has locked the table, or what its triggers need, each row would wait for the lock timeout. Rows that were written
    -- before are held meanwhile: all these waits together take less than deadlock_timeout, also of several calls in a transaction, so that no
    -- other session is the victim of a deadlock with us (docs/architecture.md, Locks).
    has_waited constant boolean := coalesce(current_setting('rowcall.has_waited', true), '') <> '';
    patience text := rowcall_internal.shorter_timeout(current_setting('lock_timeout'), case when has_waited then '1ms' else '100ms' end);
    own_lock_timeout constant text := current_setting('lock_timeout');
    path_of_users constant text := rowcall_internal.path_of_users();
    tries_end timestamptz;
    places int[];
    states text[];
    errors text[];
    arrivals boolean[];
    -- What came of a second try, of these places.
    again int[];
    places_again int[];
    states_again text[];
    errors_again text[];
    arrivals_again boolean[];
begin
    select * into entry from rowcall_internal.source_tables where relation = source;
    if not found then
        return query select generate_subscripts(keys, 1), 'failed', 'the table is no longer watched';
        return;
    end if;
    own_function := case when entry.written_as is distinct from source::text then null
        when result_column is null and not observers then format('mark_rows_%s', entry.id)
        when result_column = any (entry.written_columns) then format('%s_%s_%s', case when observers then 'write_results' else 'write_rows' end,
            entry.id, array_position(entry.written_columns, result_column)) end;
    statement := case when own_function is not null
        then format('select * from rowcall_internal.%s($1, $2, $3, $4, $5, $6, $7)', own_function)
        else rowcall_internal.write_rows_sql(entry, result_column, observers) end;

    if immediate then
        set constraints all immediate;
    end if;
    -- Read by our own triggers (on_update_body.sql): "on", these changes are the job's own and no user moves the row on;
    -- "back", the same, and the status asks for nothing; '', it is a user who writes. Set for this transaction, and put
    -- back below: what the same transaction writes afterwards is the user's.
    perform set_config('rowcall.writing', concat_ws(' ', case when back then 'back' else 'on' end, rowcall_internal.writing_proof()), true);
    -- Returned at last: what has been returned stays returned when triggers fail.
    begin
        perform set_config('lock_timeout', patience, true);
        -- For the triggers of the table, which know nothing of our path. Not the caller's own: a task may be calling.
        -- Its temporary tables come last: a name that a trigger leaves unqualified must not find one of them.
        perform set_config('search_path', path_of_users, true);
        execute statement into places, states, errors, arrivals using keys, expected, statuses, merges, tasks, versions, external_ids;
        -- One that another session has written since the statement began is locked as it is now, and cannot be written by it.
        again := array(
            select i from unnest(places, states) p(i, state) where p.state = 'locked' and versions[p.i] is null order by p.i);
        if again <> '{}' and cardinality(keys) > 1 then
            execute statement into places_again, states_again, errors_again, arrivals_again
            using array(select keys[i] from unnest(again) i), array(select expected[i] from unnest(again) i),
                array(select statuses[i] from unnest(again) i), array(select merges[i] from unnest(again) i),
                array(select tasks[i] from unnest(again) i), null::text[], array(select external_ids[i] from unnest(again) i);
            for i in 1 .. cardinality(places_again) loop
                place := array_position(places, again[places_again[i]]);
                states[place] := states_again[i];
                errors[place] := errors_again[i];
                arrivals[place] := arrivals_again[i];
            end loop;
        end if;
        if array_remove(channels, null) <> '{}' then
            for i in 1 .. cardinality(places) loop
                place := places[i];
                if (states[i] in ('written', 'kept') or states[i] = 'moved' and arrivals[i])
                    and channels[place] is not null and statuses[place] is not null
                then
                    perform rowcall_internal.announce(channels[place], tasks[place], source, keys[place], statuses[place]);
                end if;
            end loop;
        end if;
        if immediate then
            -- What a trigger has deferred is done now, with the rights that the trigger has, and its error has a row's name.
            set constraints all immediate;
        end if;
        return query select * from unnest(places, states, errors);
    exception when others then
        tries_end := clock_timestamp() + case when has_waited then interval '50 ms' else interval '500 ms' end;
        if sqlstate in ('55P03', '40P01') then
            perform set_config('rowcall.has_waited', 'yes', true);
        end if;
        -- What the function of the table was written with may be called otherwise by now.
        statement := rowcall_internal.write_rows_sql(entry, result_column, observers);
        for i in 1 .. cardinality(keys) loop
            if clock_timestamp() > tries_end then
                place := i; state := 'later'; error := null;
                return next;
                continue;
            end if;
            begin
                perform set_config('search_path', path_of_users, true);
                perform set_config('lock_timeout', patience, true);
                execute statement into places, states, errors, arrivals
                using keys[i:i], expected[i:i], statuses[i:i], merges[i:i], tasks[i:i], versions[i:i], external_ids[i:i];
                place := i; state := states[1]; error := errors[1];
                if (state in ('written', 'kept') or state = 'moved' and arrivals[1]) and channels[i] is not null and statuses[i] is not null then
                    perform rowcall_internal.announce(channels[i], tasks[i], source, keys[i], statuses[i]);
                end if;
                if immediate then
                    set constraints all immediate;
                end if;
                return next;
            exception
                -- Nor is a server without room or memory, or whose disk fails, the row's fault: its time will come.
                when lock_not_available or deadlock_detected or serialization_failure or disk_full or out_of_memory or io_error then
                    place := i; state := 'locked'; error := sqlerrm;
                    patience := rowcall_internal.shorter_timeout(patience, '10ms');
                    perform set_config('rowcall.has_waited', 'yes', true);
                    return next;
                when others then
                    -- Where the table is not what it was, that says more than the statement's own error.
                    place := i; state := 'failed'; error := sqlerrm;
                    error := coalesce(rowcall_internal.source_drift(entry), error);
                    return next;
            end;
        end loop;
    end;
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
    perform set_config('lock_timeout', own_lock_timeout, true);
    perform set_config('rowcall.writing', '', true);
end
$$;
