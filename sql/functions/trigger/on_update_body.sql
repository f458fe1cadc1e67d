-- The body of the trigger that a source table has for UPDATE; rowcall_internal.install_triggers() puts the table's own names in place
-- of those of on_insert_body.sql, and besides of :status (its status column), :same_key (whether the old row, o, and the new one, n,
-- have the same key) and :enqueue_changed and :enqueue_many (the text of enqueue_sql.sql, the
-- latter for a statement of its own). tests/schema/files_on_update.sql shows what comes out for
-- rowcall.files.
--
-- As for INSERT (on_insert_body.sql), rows whose status or key has changed get the jobs that they ask for. Besides, jobs of
-- such rows learn that a user has moved their row on, and blocked jobs of rows that were written at all are released.
create or replace function rowcall_internal.on_update_body() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $body$
    select $trigger$
#variable_conflict use_variable
declare
    source constant regclass := :relation;
    made bigint;
    cause text;
    -- Which of our own writes this is, if it is one; rowcall_internal.write_back() says what the words mean.
    writing text := case when coalesce(current_setting('rowcall.writing', true), '') = '' then '' else rowcall_internal.own_writing() end;
    -- What other triggers of the table do on that occasion is a user's.
    by_user boolean := writing = '' or pg_trigger_depth() > 1;
begin
    if writing = 'back' and not by_user or :is_detached then
        return null;
    end if;

    <<the_work>>
    begin
        -- A row that a user mended is worth another look, whatever column the mending was in.
        if exists (
            select from rowcall_internal.jobs j where j.source_table = source and j.state = 'blocked')
        then
            with free as (
                select j.id from rowcall_internal.jobs j
                join new_rows n on j.short_key = :short_key
                where j.source_table = source and j.state = 'blocked'
                for update of j skip locked
            )
            update rowcall_internal.jobs j set state = 'pending', refused_by = null, held_since = null, reason = null
            where j.id = any (array(select id from free));
            get diagnostics made = row_count;
            if made > 0 and rowcall_internal.is_asleep() then
                perform rowcall_internal.notify('rowcall_control');
            end if;
        end if;

        made := 0;
        if (select count(*) from (select from new_rows limit 2) as few) < 2 then
            if not exists (
                select from new_rows n left join old_rows o on :same_key
                where o.:status is distinct from n.:status)
            then
                exit the_work;
            end if;
            if by_user then
                with changed as (
                    select n.* from new_rows n left join old_rows o on :same_key
                    where o.:status is distinct from n.:status
                )
                update rowcall_internal.jobs j set moved_to = :status_text, moved_at = clock_timestamp(), moved_by = session_user,
                    run_again = j.run_again and j.task not in (select name from rowcall_internal.owners)
                from changed n
                where j.source_table = source and j.short_key = :short_key;
            end if;
            if exists (
                select from new_rows n
                join rowcall.parameters p on p.source_table = source and p.on_status = :status_text)
            then
                with changed as (
                    select n.* from new_rows n left join old_rows o on :same_key
                    where o.:status is distinct from n.:status
                )
                :enqueue_changed;
                get diagnostics made = row_count;
            end if;
        elsif not by_user and not exists (
            select from rowcall.parameters p
            where p.source_table = source and p.on_status in (select :status_text from new_rows n))
        then
            -- A write of ours, after which no task comes.
            exit the_work;
        else
            -- The same for many rows. The join of new and old rows must be planned for the rows at hand: a plan kept from a
            -- statement of one row compares every row of a large one with every other. Hence the dynamic statements.
            if by_user then
                execute $many$
                    with changed as (
                        select n.* from new_rows n left join old_rows o on :same_key
                        where o.:status is distinct from n.:status
                    )
                    update rowcall_internal.jobs j set moved_to = :status_text, moved_at = clock_timestamp(), moved_by = session_user,
                    run_again = j.run_again and j.task not in (select name from rowcall_internal.owners)
                    from changed n
                    where j.source_table = $1 and j.short_key = :short_key
                $many$ using source;
            end if;
            execute $many$
                with changed as (
                    select n.* from new_rows n left join old_rows o on :same_key
                    where o.:status is distinct from n.:status
                )
                :enqueue_many
            $many$ using source;
            get diagnostics made = row_count;
        end if;

        :wake;
    exception when others then
        begin
            cause := sqlerrm;
            perform set_config('lock_timeout', '20ms', true);
            execute $many$
                insert into rowcall_internal.missed_rows (source_table, row_key, error, moved_to, moved_by)
                select $3, :key, $1, case when $2 then :status_text end, case when $2 then session_user end
                from new_rows n left join old_rows o on :same_key
                where o.:status is distinct from n.:status
            $many$ using cause, by_user, source;
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
    end the_work;
    return null;
end
$trigger$
$body$;
