-- PL/pgSQL text: does what write_rows_sql.sql does if there is one row and it can be written, and then says so as that does, in the
-- variables places, states, errors and arrivals. For a single row the joins there take longer to begin than to run.
create or replace function rowcall_internal.write_row_sql(source rowcall_internal.source_tables, result_column text, observers boolean) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    parts constant record := rowcall_internal.write_parts(source, result_column, observers);
    wanted constant text := '(select $1[1] as key, $2[1] as expected, $3[1] as status, $4[1] as merge, $5[1] as task, $6[1] as version, $7[1] as external_id) w';
begin
    return format($sql$
    if cardinality($1) = 1 then
        perform from %1$s t, %7$s
        where %2$s and %4$s and not (%6$s) and (w.version is null or t.xmin::text = w.version)
        for no key update of t skip locked;
        if found then
            update %1$s t set %3$s from %7$s
            where %2$s returning %5$s into kept;
            if found then
                places := '{1}';
                states := case when kept is null then '{written}' else '{kept}' end;
                errors := array['the result column holds the ' || kept || ', which stays; the result is in rowcall.attempts'];
                arrivals := '{false}';
                return next;
                return;
            end if;
        end if;
    end if;
    $sql$,
        source.relation, rowcall_internal.key_match_sql(source, 't', 'w.key'), parts.assignments, parts.as_expected, parts.keeps, parts.says_nothing, wanted);
end
$$;
