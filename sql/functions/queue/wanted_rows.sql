-- The rows of a source table that ask for tasks as they are now: all of them, or those with these keys; with a task, for that
-- one only. Rows that are named by their keys are locked first, in the order of their keys, as their writers lock them: a claim that is about to start
-- the job of one has it marked by then, and it asks no more. For rowcall.rescan().
create or replace function rowcall_internal.wanted_rows(source regclass, keys jsonb[], only_task text)
returns table (task text, row_key jsonb, on_status text)
language plpgsql security definer
-- The zone as for the triggers: the text of a key must not depend on the caller's.
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    is_writer constant boolean := rowcall_internal.assert_writer();
    entry constant rowcall_internal.source_tables := rowcall_internal.source_of(source);
begin
    return query execute format(
        'select p.name, %s, p.on_status from %s join rowcall.parameters p on p.source_table = $1 and p.on_status = n.%I::text '
        'where ($3 is null or p.name = $3) and %s %s',
        rowcall_internal.key_sql(entry, 'n'),
        -- By its key a row is found, however long the table.
        case when keys is null then format('%s n', source) else format('(select distinct w.key from unnest($2) as w(key)) w join %s n on %s',
            source, rowcall_internal.key_match_sql(entry, 'n', 'w.key')) end,
        entry.status_column, rowcall_internal.asks_sql(), case when keys is not null then format('order by %s for no key update of n', rowcall_internal.key_sql(entry, 'n')) end)
    using source, keys, only_task;
    -- Code of the table's owner may have changed it, and would choose what the caller's next names mean.
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
end
$$;
