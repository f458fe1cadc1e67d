-- Writes the functions by which rows of a source table are read (rowcall_internal.source_rows) and given a status
-- (rowcall_internal.write_back, rowcall_internal.mark_all): the statements of read_rows_sql.sql, write_rows_sql.sql and mark_all_sql.sql,
-- planned once for each session instead of each time, which takes longer than to run them. They run with the rights of their caller,
-- and marking with its search_path, which triggers of users see. The name of the table that they are written with is noted: once it
-- is called otherwise, they are not used.
create or replace function rowcall_internal.install_row_functions(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    entry rowcall_internal.source_tables := rowcall_internal.source_of(source);
    made record;
begin
    for made in
        select format('rowcall_internal.%s_%s(%s)', name, entry.id, arguments) as signature, f.* from (values
            ('read_rows', 'jsonb[]', 'table (keys jsonb[], statuses text[], texts text[], versions text[])', 'set search_path = pg_catalog, pg_temp',
                format('return query %s', rowcall_internal.read_rows_sql(entry))),
            ('mark_rows', 'jsonb[], jsonb[], text[], jsonb[], text[], text[], text[]',
                'table (places int[], states text[], errors text[], arrivals boolean[])', '',
                format('return query %s', rowcall_internal.write_rows_sql(entry, null, false))),
            ('mark_all', 'jsonb[], text[], text[], text[]', 'bigint', '',
                format('%s; get diagnostics marked = row_count; return marked', rowcall_internal.mark_all_sql(entry)))
        ) f(name, arguments, answer, settings, body)
    loop
        execute format('create or replace function %s returns %s language plpgsql %s as %L', made.signature, made.answer, made.settings,
            format(E'#variable_conflict use_column\ndeclare\n    marked bigint;\nbegin\n    %s;\nend', made.body));
        execute format('comment on function %s is %L', made.signature,
            format('Written for %s by rowcall_internal.install_row_functions().', source));
        execute format('revoke all on function %s from public', made.signature);
        if to_regrole('rowcall_writer') is not null then
            execute format('grant execute on function %s to rowcall_writer', made.signature);
        end if;
    end loop;
    update rowcall_internal.source_tables s set written_as = source::text where s.id = entry.id;
end
$$;
