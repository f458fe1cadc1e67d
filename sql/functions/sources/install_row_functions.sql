-- Writes the functions by which rows of a source table are read (rowcall_internal.source_rows), given a status
-- (rowcall_internal.write_back, rowcall_internal.mark_all) and given the end of a job, with its result in a column of jsonb: the
-- statements of read_rows_sql.sql, mark_all_sql.sql, write_row_sql.sql and write_rows_sql.sql, planned once for each session instead of each time, which
-- takes longer than to run them. They run with the rights of their caller, and all but reading with its search_path, which triggers of
-- users see. The names of the table and of the columns for results are noted: under others they are not used.
create or replace function rowcall_internal.install_row_functions(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    -- A table has one or two.
    most_result_columns constant int := 8;
    entry rowcall_internal.source_tables := rowcall_internal.source_of(source);
    result_columns constant text[] := array(
        select a.attname from pg_attribute a
        where a.attrelid = source and a.atttypid = 'jsonb'::regtype and a.attnum > 0 and not a.attisdropped
        order by a.attnum limit most_result_columns);
    made record;
begin
    perform rowcall_internal.drop_row_functions(entry.id);
    for made in
        select format('rowcall_internal.%s(%s)', name, arguments) as signature, f.*
        from (
            select format('read_rows_%s', entry.id) as name, 'jsonb[]' as arguments,
                'table (keys jsonb[], statuses text[], texts text[], versions text[])' as answer, 'set search_path = pg_catalog, pg_temp' as settings,
                format('return query %s', rowcall_internal.read_rows_sql(entry)) as body
            union all
            select format('mark_all_%s', entry.id), 'jsonb[], text[], text[], text[]', 'bigint', '',
                rowcall_internal.mark_all_sql(entry)
            union all
            select w.name, 'jsonb[], jsonb[], text[], jsonb[], text[], text[], text[]',
                'table (places int[], states text[], errors text[], arrivals boolean[])', '',
                rowcall_internal.write_row_sql(entry, w.result_column, w.observers)
                    || 'return query ' || rowcall_internal.write_rows_sql(entry, w.result_column, w.observers)
            from (
                select format('mark_rows_%s', entry.id) as name, null as result_column, false as observers
                union all
                select format('write_rows_%s_%s', entry.id, c.number), c.name, false
                from unnest(result_columns) with ordinality as c(name, number)
                union all
                select format('write_results_%s_%s', entry.id, c.number), c.name, true
                from unnest(result_columns) with ordinality as c(name, number)) w
        ) f
    loop
        execute format('create function %s returns %s language plpgsql %s as %L', made.signature, made.answer, made.settings,
            format(E'#variable_conflict use_column\ndeclare\n    marked bigint;\n    kept text;\nbegin\n    %s;\nend', made.body));
        execute format('comment on function %s is %L', made.signature,
            format('Written for %s by rowcall_internal.install_row_functions().', source));
        execute format('revoke all on function %s from public', made.signature);
        if to_regrole('rowcall_writer') is not null then
            execute format('grant execute on function %s to rowcall_writer', made.signature);
        end if;
    end loop;
    update rowcall_internal.source_tables s set written_as = source::text, written_columns = result_columns where s.id = entry.id;
end
$$;
