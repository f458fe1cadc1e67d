-- The rows of a source table with these keys, as jobs and templates see them; no line for a row that is gone. A row that
-- cannot be read has a line with its key and an error: what is wrong with it, or "later" if the rows before it are as
-- many bytes as are read at once. The version changes with each write of the row. A table that cannot be read returns one line with only an error: "locked" if a lock
-- timed out or the server's disk is full, and what to do if the table has changed since rowcall.watch(). Every session reads a row the same: the
-- settings that decide how a value is printed are fixed here.
create or replace function rowcall_internal.source_rows(source regclass, keys jsonb[])
returns table (row_key jsonb, status text, row_data text, version text, error text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set bytea_output = 'hex'
set extra_float_digits = 1 set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    -- A row is held in memory several times on its way to a template. A large value belongs into a table of its own.
    most_of_a_row constant int := 16777216;
    most_at_once constant int := 67108864;
    entry rowcall_internal.source_tables;
    statement text;
    found_keys jsonb[];
    statuses text[];
    texts text[];
    versions text[];
    bytes bigint := 0;
    drift text;
    is_read boolean;
begin
    -- Not among the declarations: an error there would escape the handlers below, and stop the whole claim.
    entry := rowcall_internal.source_of(source);
    statement := case when entry.written_as = source::text
        then format('select * from rowcall_internal.read_rows_%s($1)', entry.id)
        else rowcall_internal.read_rows_sql(entry) end;
    -- A cast or policy of the table's owner must leave nothing behind: not a search_path for what its caller does next. So the
    -- reading is undone, but for what was read.
    begin
        is_read := false;
        execute statement into found_keys, statuses, texts, versions using keys;
        is_read := true;
        raise exception using errcode = 'RC000';
    exception when lock_not_available or deadlock_detected or serialization_failure or disk_full then
        raise;
    when others then
        if not is_read then
            drift := coalesce(rowcall_internal.source_drift(entry), '');
            -- What the function of the table was written with may be called otherwise by now.
            statement := rowcall_internal.read_rows_sql(entry);
        end if;
    end;
    if is_read then
        if coalesce((select sum(octet_length(one)) from unnest(texts) one), 0) <= most_of_a_row then
            return query select f.*, null::text from unnest(found_keys, statuses, texts, versions) f;
            return;
        end if;
    elsif drift <> '' then
        return query select null::jsonb, null::text, null::text, null::text, drift;
        return;
    end if;

    -- Each by itself: what is wrong with one is not the others'.
    foreach row_key in array keys loop
        begin
            if bytes > most_at_once then
                status := null; row_data := null; version := null; error := 'later';
                return next;
                continue;
            end if;
            begin
                is_read := false;
                execute statement into found_keys, statuses, texts, versions using array[row_key];
                is_read := true;
                raise exception using errcode = 'RC000';
            exception when others then
                if not is_read then
                    raise;
                end if;
            end;
            bytes := bytes + coalesce(octet_length(texts[1]), 0);
            if octet_length(texts[1]) > most_of_a_row then
                status := null; row_data := null; version := null;
                error := format('it has %s bytes as JSON; %s are read. Keep large values in another table', octet_length(texts[1]), most_of_a_row);
                return next;
            elsif texts is not null then
                status := statuses[1]; row_data := texts[1]; version := versions[1]; error := null;
                return next;
            end if;
        exception when lock_not_available or deadlock_detected or serialization_failure or disk_full then
            raise;
        when others then
            status := null; row_data := null; version := null; error := sqlerrm;
            return next;
        end;
    end loop;
exception
    -- A full disk is no fault of a row either. That memory was short may be one row's.
    when lock_not_available or deadlock_detected or serialization_failure or disk_full then
        return query select null::jsonb, null::text, null::text, null::text, 'locked';
    when others then
        return query select null::jsonb, null::text, null::text, null::text, sqlerrm;
end
$$;
