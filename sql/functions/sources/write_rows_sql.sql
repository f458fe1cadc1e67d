-- SQL text: writes rows of a source table, each if its status and version allow, and says of each what became of it, in one line of
-- arrays (places, states, errors, arrivals); rowcall_internal.write_back() has the words. $1: keys, $2: for each an array of the statuses expected, $3: new statuses, $4: what is
-- merged into the result column, $5: tasks, $6: versions, $7: the runner's names of the attempts.
create or replace function rowcall_internal.write_rows_sql(source rowcall_internal.source_tables, result_column text, observers boolean) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    parts constant record := rowcall_internal.write_parts(source, result_column, observers);
begin
    return format($sql$
        with want as (
            select * from rows from (unnest($1, $2, $3, $4, $5, $6, $7), generate_series(1, cardinality($1)))
                as w(key, expected, status, merge, task, version, external_id, place)
        ), held as (
            select w.*, t.* from want w
            cross join lateral (
                select t.ctid as at, t.tableoid as part from %2$s t
                where %3$s and %5$s and not (%7$s) and (w.version is null or t.xmin::text = w.version)
                limit 1 for no key update skip locked) t
        ), written as (
            update %2$s t set %4$s
            from held w
            where %8$s
            returning w.place, %6$s as keeps
        )
        select array_agg(w.place), array_agg(
            case when written.place is not null then case when written.keeps is null then 'written' else 'kept' end
                 when seen.is_there is null then 'deleted'
                 when seen.says_nothing then 'written'
                 when not seen.as_expected then 'moved'
                 when seen.is_changed then 'changed'
                 else 'locked' end),
            array_agg('the result column holds the ' || written.keeps || ', which stays; the result is in rowcall.attempts'),
            -- The task itself, with a statement of its own, has given the row the status that it is to have now.
            array_agg(coalesce(seen.arrived, false))
        from want w left join written using (place)
        -- Looked at only where it was not written.
        left join lateral (
            select true as is_there, %7$s as says_nothing, %5$s as as_expected, t.xmin::text <> w.version as is_changed, t.%1$I::text = w.status as arrived
            from %2$s t where written.place is null and %3$s limit 1) seen on true
    $sql$,
        source.status_column, source.relation, rowcall_internal.key_match_sql(source, 't', 'w.key'),
        parts.assignments, parts.as_expected, parts.keeps, parts.says_nothing, rowcall_internal.same_row_sql(source));
end
$$;
