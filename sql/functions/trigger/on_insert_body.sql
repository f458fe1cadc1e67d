-- The body of the trigger that a source table has for INSERT; rowcall_internal.install_triggers() puts the table's own names in place
-- of :relation (the source table itself), :status_text (the status of the row n as text),
-- :key (its row key as jsonb) and :short_key (that as the jobs have it), the texts of asks_sql.sql, enqueue_sql.sql and wake_sql.sql in place of
-- :asks, :enqueue_new_rows and :wake, and whether this table is no partition of it any more (:is_detached).
-- tests/schema/files_on_insert.sql shows what comes out for rowcall.files.
--
-- It runs inside a statement of a user. It makes the jobs that the new rows ask for and wakes a dispatcher that sleeps;
-- whatever goes wrong is noted in rowcall.missed_rows, and never reaches that user. For a lock of ours it waits 80 ms at most, which
-- its lock_timeout sees to.
--
-- The first try is a bare INSERT: to look for a conflict as well takes half as long again for each row. A new row that has a job
-- already, as when a row was deleted and its key is used again, is what the second try is for.
create or replace function rowcall_internal.on_insert_body() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $body$
    select $trigger$
#variable_conflict use_variable
declare
    source constant regclass := :relation;
    made bigint;
    cause text;
begin
    if :is_detached then
        return null;
    end if;
    for try in 1..2 loop
        begin
            if try = 1 then
                insert into rowcall_internal.jobs (task, source_table, row_key, short_key, on_status)
                select p.name, p.source_table, :key, :short_key, p.on_status
                from new_rows n
                join rowcall.parameters p on p.source_table = source and p.on_status = :status_text
                where :asks;
            else
                :enqueue_new_rows;
            end if;
            get diagnostics made = row_count;
            :wake;
            return null;
        exception when others then
            continue when try = 1 and sqlstate = '23505';
            cause := sqlerrm;
            begin
                perform set_config('lock_timeout', '20ms', true);
                insert into rowcall_internal.missed_rows (source_table, row_key, error)
                select source, :key, cause from new_rows n;
                get diagnostics made = row_count;
                if made > 0 and rowcall_internal.is_asleep() then
                    perform rowcall_internal.notify('rowcall_control');
                end if;
            exception
                when insufficient_resources or system_error then
                    -- The server is in need, and so is this transaction. Committed without job and note, its rows would wait for ever.
                    raise;
                when others then
                    raise warning 'rowcall: rows of % may have missed their jobs: % (and: %)', tg_relid::regclass, cause, sqlerrm
                        using hint = 'After the cause is gone: SELECT rowcall.rescan(table);';
            end;
            return null;
        end;
    end loop;
    return null;
end
$trigger$
$body$;
