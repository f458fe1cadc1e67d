-- The body of the trigger that a source table has for INSERT; rowcall_internal.install_triggers() puts the table's own names in place
-- of :source (the number of its registry entry), :status (its status column), :status_text (that of the row n as text) and :key (its row key as jsonb), and the text of
-- enqueue_sql.sql in place of :enqueue_new_rows, and whether this table is no partition of it any more (:is_detached). tests/schema/files_on_insert.sql shows what comes out for rowcall.files.
--
-- It runs inside a statement of a user. It makes the jobs that the new rows ask for and wakes a dispatcher that sleeps;
-- whatever goes wrong is noted in rowcall.missed_rows, and never reaches that user.
create or replace function rowcall_internal.on_insert_body() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $body$
    select $trigger$
declare
    channels text[];
    made bigint;
    cause text;
    own_lock_timeout constant text := current_setting('lock_timeout');
begin
    if :is_detached then
        return null;
    end if;
    -- The writer waits so long for a lock of ours: what holds it longer is no business of the writer's.
    if own_lock_timeout = '0' or own_lock_timeout::interval > interval '80 ms' then
        perform set_config('lock_timeout', '80ms', true);
    end if;
    begin
        -- Whether any of these rows has a task at all: much cheaper to ask than to start an INSERT for nothing.
        if exists (
            select from new_rows n
            join rowcall_internal.source_tables s on s.id = :source
            join rowcall.parameters p on p.source_table = s.relation and p.on_status = :status_text)
        then
            with enqueued as (
                :enqueue_new_rows
            )
            select array_agg(distinct rowcall_internal.channel(on_status)) into strict channels from enqueued;

            if channels is not null then
                perform rowcall_internal.wake(channels);
            end if;
        end if;
    exception when others then
        begin
            cause := sqlerrm;
            perform set_config('lock_timeout', '20ms', true);
            insert into rowcall_internal.missed_rows (source_table, row_key, error)
            select s.relation, :key, cause from new_rows n, rowcall_internal.source_tables s where s.id = :source;
            get diagnostics made = row_count;
            if made > 0 then
                perform rowcall_internal.wake('{rowcall_control}');
            end if;
        exception when others then
            raise warning 'rowcall: rows of % may have missed their jobs: % (and: %)', tg_relid::regclass, cause, sqlerrm
                using hint = 'After the cause is gone: SELECT rowcall.rescan(table);';
        end;
    end;
    perform set_config('lock_timeout', own_lock_timeout, true);
    return null;
end
$trigger$
$body$;
