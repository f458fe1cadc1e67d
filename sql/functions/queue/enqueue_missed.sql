-- Makes the jobs for rows that a trigger noted as missed, and tells the jobs of rows that users have moved on; up to 10,000 notes
-- at a time. Deletes the notes. Notes of a table that still cannot be read stay for the next time. Returns the number of notes
-- dealt with.
create or replace function rowcall_internal.enqueue_missed() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- What another session holds is left for the next time, and holds up none of the others.
set lock_timeout = '20ms'
as $$
declare
    missed record;
    dealt bigint := 0;
    one rowcall_internal.missed_rows;
    still_missed bigint := 0;
    tries_end timestamptz;
begin
    for missed in
        with taken as (
            delete from rowcall_internal.missed_rows m
            where m.ctid in (select ctid from rowcall_internal.missed_rows for update skip locked limit 10000)
            returning m
        )
        select (m).source_table, array_agg(m order by (m).id) as notes
        from taken
        -- Of a table that is no longer watched nothing is wanted.
        where (m).source_table in (select relation from rowcall_internal.source_tables) group by (m).source_table
        -- Not always the same ones last, for which there may be no time left.
        order by random()
    loop
        begin
            perform rowcall_internal.take_notes(missed.source_table, missed.notes);
        exception when others then
            -- Each by itself: what is wrong with one is not the others'. For a while, since what was done is held until the end; the rest
            -- another time.
            tries_end := coalesce(tries_end, clock_timestamp() + interval '500 ms');
            foreach one in array missed.notes loop
                begin
                    if clock_timestamp() > tries_end then
                        raise exception '%', one.error;
                    end if;
                    perform rowcall_internal.take_notes(missed.source_table, array[one]);
                exception when others then
                    insert into rowcall_internal.missed_rows (source_table, row_key, error, moved_to, moved_by, noted_at)
                    values (missed.source_table, one.row_key, sqlerrm, one.moved_to, one.moved_by, one.noted_at);
                    still_missed := still_missed + 1;
                end;
            end loop;
        end;
        dealt := dealt + cardinality(missed.notes);
    end loop;
    return greatest(dealt - still_missed, 0);
end
$$;
