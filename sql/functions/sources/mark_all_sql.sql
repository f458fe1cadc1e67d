-- PL/pgSQL text: gives rows of a source table new statuses, those that are as they were read and that no other session holds, and
-- counts them in the variable marked. $1: keys, $2: the statuses in which they were read, $3: the new ones, $4: the versions that
-- were read, or null for any. For a single row a join takes longer to begin than to run.
create or replace function rowcall_internal.mark_all_sql(source rowcall_internal.source_tables) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return format($sql$
    if cardinality($1) = 1 then
        perform from %2$s t, (select $1[1] as key, $2[1] as found_in, $4[1] as version) w
        where %3$s and t.%1$I::text = w.found_in and (w.version is null or t.xmin::text = w.version)
        for no key update of t skip locked;
        if not found then
            return 0;
        end if;
        update %2$s t set %4$s from (select $1[1] as key, $3[1] as status) w where %3$s;
    else
        with want as (
            select * from rows from (unnest($1, $2, $3, $4), generate_series(1, cardinality($1))) as w(key, found_in, status, version, place)
        ), held as (
            select w.*, t.* from want w
            cross join lateral (
                select t.ctid as at, t.tableoid as part from %2$s t
                where %3$s and t.%1$I::text = w.found_in and (w.version is null or t.xmin::text = w.version)
                limit 1 for no key update skip locked) t
        )
        update %2$s t set %4$s from held w where %5$s;
    end if;
    get diagnostics marked = row_count;
    return marked
    $sql$,
        source.status_column, source.relation, rowcall_internal.key_match_sql(source, 't', 'w.key'),
        concat_ws(', ', format('%I = w.status::%s', source.status_column, source.status_type),
            case when source.touch_column <> '' then format('%I = now()', source.touch_column) end),
        rowcall_internal.same_row_sql(source));
end
$$;
